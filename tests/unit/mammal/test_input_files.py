"""Training, evaluation and corpora never replace or move a file that they read."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.corpus.build import build_corpus
from mammal.corpus.recipe import read_recipe
from mammal.errors import ConfigError
from mammal.evaluation.input_files import input_files
from mammal.tasks.declaration.registry import load_task

ROWS = [f"{'C' * (1 + n // 2)}{'ON'[n % 2]},{n * 1.5}" for n in range(60)]
QUICK = ["model=debug", "trainer.max_steps=1", "test=false"]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with assay.csv, a task of it, and a run in the folder `run`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    monkeypatch.delenv("MAMMAL_DATA", raising=False)
    Path("assay.csv").write_text("\n".join(["smiles,y", *ROWS]) + "\n")
    assert main(["new-task", "assay.csv"]) == 0
    assert main(["train", "--config-dir", ".", "task=assay", *QUICK, "output=run"]) == 0
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def moved(name: str) -> str:
    """Moves the table into the folder of the run, and returns the word that reads it there."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile("assay.csv", name)
    return f"task.data.path={name}"


@pytest.mark.parametrize(
    ("case", "reported"),
    [
        ("metrics.csv", "the file of the run metrics.csv run/metrics.csv would replace the data of the task assay"),
        ("evaluation/mine.csv", "the folder of the run evaluation"),
        ("checkpoints/mine.csv", "the folder of the run checkpoints"),
        ("task.data.split_file=run/splits/assay.json.gz", "the split of the task assay"),
        ("init=run", "would replace the model at init"),
        ("init=run/bundle", "would replace the model at init"),
    ],
)
def test_a_run_refuses_its_own_input_before_anything_is_touched(case: str, reported: str, trained: Path, capsys):
    word = case if "=" in case else moved(f"run/{case}")
    before = content(trained)
    command = ["train", "--config-dir", ".", "task=assay", *QUICK, "output=run", word]
    assert main(command) == 2
    assert reported in capsys.readouterr().err
    assert content(trained) == before
    assert main([*command, "output=other"]) == 0


def test_a_run_may_be_repeated_and_continued_in_its_folder(trained: Path):
    command = ["train", "--config-dir", ".", "task=assay", "model=debug", "test=false", "output=run"]
    assert main([*command, "trainer.max_steps=2", "resume=auto"]) == 0
    assert main([*command, "trainer.max_steps=1"]) == 0


@pytest.mark.parametrize("key", ["path", "split_file"])
def test_an_evaluation_refuses_to_replace_the_files_of_its_task(key: str, trained: Path, capsys):
    assert main(["evaluate", "bundle=run", "baselines=false", "output=ev"]) == 0
    if key == "path":
        word = moved("ev/answers_assay.csv")
    else:
        Path("ev/answers_split.csv").write_bytes(gzip.decompress(Path("run/splits/assay.json.gz").read_bytes()))
        word = "task.data.split_file=ev/answers_split.csv"
    assert main(["train", "--config-dir", ".", "task=assay", *QUICK, "output=second", word]) == 0
    before = content(trained)
    capsys.readouterr()
    assert main(["evaluate", "bundle=second", "baselines=false", "output=ev"]) == 2
    said = capsys.readouterr().err
    assert f"would replace the {'data' if key == 'path' else 'split'} of the task assay" in said
    with pytest.raises(ConfigError, match="would replace"):
        mammal.evaluate("second", baselines=False, output="ev")
    with pytest.raises(ConfigError, match="would replace"):
        mammal.evaluate(mammal.load("second"), baselines=False, output="ev")
    assert content(trained) == before
    assert main(["evaluate", "bundle=second", "baselines=false", "output=free"]) == 0


def test_runs_are_not_combined_over_their_own_data(trained: Path, capsys):
    word = moved("seeds/answers_assay.csv")
    assert main(["train", "--config-dir", ".", "task=assay", *QUICK, "output=a", word]) == 0
    Path("seeds/evaluation.json").write_text('{"tasks": []}')
    before = content(trained)
    assert main(["evaluate", "runs=[a]", "baselines=false", "output=seeds"]) == 2
    assert "would replace the data of the task assay" in capsys.readouterr().err and content(trained) == before


def test_a_corpus_does_not_replace_a_file_of_its_recipe(tmp_path: Path):
    file = tmp_path / "molecules.parquet"
    pd.DataFrame({"smiles": ["CCO", "CCN"]}).to_parquet(file)
    before = content(tmp_path)
    sets = {"molecules": {"entity": "smiles", "files": [{"path": str(file)}]}}
    recipe = read_recipe({"name": "mine", "sets": sets})
    with pytest.raises(ConfigError, match=r"table of molecules .* would replace the file"):
        build_corpus(recipe, tmp_path)
    assert content(tmp_path) == before


def test_files_of_the_hub_and_files_that_are_missing_are_not_inputs_here(tmp_path: Path):
    prompt = {"input": "<MASK> {smiles:smiles}", "target": "{y:scalar}"}
    declared = {"name": "t", "kind": "regression", "prompt": prompt, "data": {"path": str(tmp_path / "none.csv")}}
    assert input_files({"t": load_task(declared)}) == {}
    here = tmp_path / "t.csv"
    here.write_text("smiles,y\n")
    declared["data"] = {"files": {"train": str(here)}}
    assert input_files({"t": load_task(declared)}) == {"train data of the task t": here}
