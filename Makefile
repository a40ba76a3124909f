# Two commands for a newcomer: `make demo` and `make test`. Each needs Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV   ?= .venv
DEMO   ?= demo

BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.docs-installed
MAMMAL    := $(BIN)/mammal
EXAMPLES  := docs/examples
NO_HEADS  := $(foreach head,esol b3db amp,$(if $(wildcard checkpoints/heads/$(head)/config.json),,$(head)))
OF_HEADS  := $(if $(strip $(NO_HEADS)),,predictions=$(DEMO)/molecules_by_heads.csv 'explanations=[$(DEMO)/molecules_explained.csv,$(DEMO)/peptides_by_head.csv]')
NEEDS     := import sys; sys.exit(sys.version_info < (3, 11) and f"Python >= 3.11 is needed and this is {sys.version.split()[0]}: make PYTHON=python3.11 ...")

.DEFAULT_GOAL := help
.PHONY: help demo heads test check audit extras bench docs notebook clean typecheck-tree

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml setup.py tasks/grammar/smiles/engine.cpp constraints.txt
	@$(PYTHON) -c '$(NEEDS)'
	@echo "Installing into $(VENV): a few minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# Shipped weights first; then what they add to training, on two tasks. A report without them has no predictions.
demo: $(INSTALLED) ## predict, generate and explain with the shipped weights, fine-tune them, report (at most 6 minutes on 2 cores)
	@mkdir -p $(DEMO) && touch $(DEMO)/begun
ifeq ($(strip $(NO_HEADS)),)
	$(MAMMAL) predict 'task=[esol,b3db]' input=$(EXAMPLES)/molecules.csv output=$(DEMO)/molecules_by_heads.csv || test $$? -eq 3
	$(MAMMAL) explain task=b3db input=$(EXAMPLES)/molecules.csv output=$(DEMO)/molecules_explained.csv method=occlusion || test $$? -eq 3
	$(MAMMAL) explain task=amp input=$(EXAMPLES)/peptides.csv output=$(DEMO)/peptides_by_head.csv method=occlusion || test $$? -eq 3
else
	@echo "Without shipped heads: $(strip $(NO_HEADS)) missing in checkpoints/heads, and make heads makes them. No predictions or explanations of the example files."
endif
	$(MAMMAL) generate bundle=mammal-tiny task=pretrain_properties input=$(EXAMPLES)/requests.csv n=4 guidance=2 output=$(DEMO)/samples.csv
	$(MAMMAL) train experiment=demo output=$(DEMO) test=false
	$(MAMMAL) train experiment=demo_from_nothing output=$(DEMO)/from_nothing test=false
	$(MAMMAL) evaluate bundle=$(DEMO)/bundle output=$(DEMO)/evaluation baselines=quick trees=50 reference_limit=1000
	$(MAMMAL) evaluate bundle=$(DEMO)/from_nothing/bundle output=$(DEMO)/from_nothing/evaluation baselines=false neighbours=false sensitivity=0
	$(MAMMAL) report run=$(DEMO) compare=$(DEMO)/from_nothing explain=3 $(OF_HEADS) samples=$(DEMO)/samples.csv title='MAMMAL demo'

heads: $(INSTALLED) ## train the heads that ship with the package, for the tasks in checkpoints/heads.yaml
	$(BIN)/python -m mammal.training.make_heads

test: export OMP_NUM_THREADS = 1
test: $(INSTALLED) ## run every test, two at a time (under 10 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(INSTALLED) typecheck-tree ## lint, format, types, import direction, contents of the wheel, known faults
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .typecheck && $(abspath $(BIN))/mypy --config-file ../pyproject.toml -p mammal
	cd .typecheck && $(abspath $(BIN))/lint-imports --config ../pyproject.toml --no-cache --no-logo
	$(BIN)/python -m pytest tests/unit/test_packaging.py
	$(BIN)/python tests/audit_packages.py

audit: $(INSTALLED) ## look up known faults of the pinned packages (says so if no index can be reached)
	$(BIN)/python tests/audit_packages.py

extras: $(INSTALLED) ## resolve every extra at its lowest and highest versions, without installing them
	$(BIN)/python -m pip install --disable-pip-version-check 'uv>=0.9'
	$(BIN)/python tests/resolve_extras.py

bench: $(INSTALLED) ## speed: tables beside the published figures
	$(BIN)/python benchmarks/run.py

docs: $(DOCS_INSTALLED) typecheck-tree ## check the pages (blocks run, links exist), then build the site into site/
	$(BIN)/python -m pytest tests/unit/test_readme.py tests/unit/test_docs_site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

notebook: $(DOCS_INSTALLED) ## run docs/quick-start.ipynb again and store its outputs
	$(BIN)/python docs/tools/run_notebook.py

# setuptools maps the root folders into one package; mypy, import-linter and editors see the same shape through links.
typecheck-tree:
	@rm -rf .typecheck && mkdir -p .typecheck/mammal
	@cd .typecheck/mammal && ln -s ../../mammal/* ../../tokenization ../../tasks ../../configs ../../checkpoints .

clean: ## remove what the other targets made, the virtual environment included
	rm -rf $(VENV) .typecheck build dist site $(DEMO) *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
