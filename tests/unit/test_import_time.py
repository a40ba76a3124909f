"""`import mammal` and `mammal --help` stay quick because heavy libraries wait until something uses them."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "transformers",
    "lightning",
    "pytorch_lightning",
    "deepchem",
    "rdkit",
    "sklearn",
    "pandas",
    "scipy",
    "matplotlib",
    "peft",
    "pyarrow",
}
TOKENIZATION_MAY_NOT = HEAVY - {"pyarrow"}


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `statement`."""
    code = (
        f"{statement}\nimport json, sys\nsys.stderr.write(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_import_mammal_pulls_no_heavy_library():
    assert modules_after("import mammal") & HEAVY == set()


def test_public_names_are_listed_without_importing_them():
    assert modules_after("import mammal; assert 'load' in dir(mammal)") & HEAVY == set()


def test_tokenizer_needs_no_torch_pandas_or_rdkit():
    statement = "from mammal.tokenization import Tokenizer; Tokenizer.load(None)"
    assert modules_after(statement) & TOKENIZATION_MAY_NOT == set()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["tasks", "--help"]])
def test_help_pulls_no_heavy_library(arguments: list[str]):
    statement = (
        "import contextlib, sys\n"
        "from mammal.cli import main\n"
        f"sys.argv = ['mammal', *{arguments!r}]\n"
        "with contextlib.suppress(SystemExit): main()"
    )
    assert modules_after(statement) & (HEAVY | {"hydra"}) == set()


@pytest.mark.parametrize(
    ("words", "heavy"), [(["task=bbbp", "seed=2", "trainer=ddp"], set()), (["optim.lr=0.5"], {"torch"})]
)
def test_a_configuration_is_shown_without_lightning(words: list[str], heavy: set[str]):
    statement = f"from mammal.cli import main\nassert main(['train', '--cfg', *{words!r}]) == 0"
    assert modules_after(statement) & {"torch", "lightning", "pandas", "rdkit"} == heavy


def test_the_list_of_tasks_needs_nothing_heavier_than_yaml():
    statement = "from mammal.cli import main\nassert main(['tasks']) == 0"
    not_needed = HEAVY | {"numpy", "hydra", "omegaconf", "hashlib", "tempfile", "asyncio", "rich"}
    assert modules_after(statement) & not_needed == set()
