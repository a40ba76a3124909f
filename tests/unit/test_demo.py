"""`make demo`: its commands compose, and its results become the block of the README."""

import importlib.util
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml

from mammal.configuration.compose import compose, parse_arguments
from mammal.evaluation.results import OURS, Contender, Estimate, TaskResult, save_results

ROOT = Path(__file__).resolve().parents[2]
HEADS = "esol b3db amp"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_block", ROOT / "docs/tools/demo_block.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recipe(missing: str) -> list[str]:
    """The lines that `make demo` runs, without running them."""
    words = ["make", "-n", "demo", "VENV=v", "-o", "v/.installed", f"NO_HEADS={missing}"]
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return shown.stdout.splitlines()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("missing", ["", "amp"])
def test_commands_compose(missing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    lines = recipe(missing)
    commands = [shlex.split(line.split(" || ")[0])[1:] for line in lines if line.startswith("v/bin/mammal")]
    for verb, *words in commands:
        compose(verb, parse_arguments(verb, words))
    used = {verb for verb, *_ in commands}
    assert used == {"generate", "train", "evaluate", "report"} | (set() if missing else {"predict", "explain"})
    assert any("amp missing in checkpoints/heads" in line for line in lines) is bool(missing)
    report = commands[-1]
    assert any(word.startswith("predictions=") for word in report) is not bool(missing)


def test_heads_of_the_demo_are_made():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"$(foreach head,{HEADS}," in makefile
    made = yaml.safe_load((ROOT / "checkpoints/heads.yaml").read_text(encoding="utf-8"))["heads"]
    assert set(HEADS.split()) <= set(made)


def evaluated(task: str, values: dict[str, float]) -> TaskResult:
    return TaskResult(
        task=task,
        about="",
        kind="regression" if task == "melting_point" else "classification",
        part="test",
        split="scaffold",
        split_hash="0123",
        rows={"test": 1200},
        metrics=list(values),
        contenders=[
            Contender(OURS, {name: Estimate(value, value, value) for name, value in values.items()}),
            Contender("forest_kmers", {name: Estimate(2 * value, 0.0, 1.0) for name, value in values.items()}, valid=1),
        ],
        answers=pd.DataFrame(),
        unit="K" if task == "melting_point" else "",
        molecules=["smiles"] if task == "melting_point" else [],
    )


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    results = [
        evaluated("melting_point", {"rmse": 50.0, "mae": 40.0, "pearson": 0.8}),
        evaluated("amp", {"auroc": 0.875, "auprc": 0.75, "mcc": 0.5}),
    ]
    save_results(results, tmp_path / "evaluation")
    worse = [replace(r, contenders=[Contender(OURS, r.contenders[1].estimates)]) for r in results]
    save_results(worse, tmp_path / "from_nothing" / "evaluation")
    (tmp_path / "molecules_by_heads.csv").write_text("smiles,error\nCCO,\nCCN,\nC1CC,unclosed ring\n")
    (tmp_path / "molecules_explained.csv").write_text("row,part,error\n1,CO,\n,,unclosed ring\n")
    (tmp_path / "peptides_by_head.csv").write_text("row,part,error\n1,G,\n1,I,\n,,empty cell\n")
    (tmp_path / "samples.csv").write_text("logp,text\n1.0,CCO\n4.0,c1ccccc1\n4.0,CCO\n")
    for name in ("begun", "report.html"):
        (tmp_path / name).touch()
    return tmp_path


def test_block_has_figures_of_both_runs(tool: ModuleType, demo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOOK", "4 min of processor time")
    text = tool.block(demo)
    assert "the demo took 4 min of processor time" in text
    assert "| melting point, 1,200 molecules | RMSE (K) | MAE (K) | Pearson |" in text
    assert "| MAMMAL, from `mammal-tiny` | 50.0 (50.0 to 50.0) |" in text
    assert "| MAMMAL, the same shape from nothing | 100 (0.00 to 1.00) |" in text
    assert "| random forest, k-mers, best on validation rows | 1.75 (0.00 to 1.00) |" in text
    assert "2 of 3 rows have an answer, and 1 have a reason" in text and "1 of 2 rows have an answer" in text
    assert "their mean logP is -0.00140 for 1, 0.843 for 4." in text


def test_block_replaces_the_one_of_the_page(tool: ModuleType):
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    new = tool.replaced(page, "new results")
    assert f"{tool.BEGIN}\nnew results\n{tool.END}" in new
    assert new.startswith(page.partition(tool.BEGIN)[0]) and new.endswith(page.partition(tool.END)[2])
