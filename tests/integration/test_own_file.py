"""A newcomer's first job: a file of one's own, from `mammal new-task` to `mammal evaluate` and back."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from mammal.cli import main

ROWS = 60


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data/assay.csv, a task of it and a bundle trained on that."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    monkeypatch.delenv("MAMMAL_DATA", raising=False)
    lines = [f"{'C' * (1 + n // 2)}{'ON'[n % 2]},{('inactive', 'active')[n % 2]}" for n in range(ROWS)]
    Path("data").mkdir()
    Path("data/assay.csv").write_text("\n".join(["smiles,result", *lines]) + "\n")
    assert main(["new-task", "data/assay.csv"]) == 0
    words = ["model=debug", "debug=limit", "test=false", "output=my run"]
    assert main(["train", "--config-dir", ".", "task=assay", *words]) == 0
    return tmp_path


def test_a_bundle_finds_its_rows_and_its_card_gets_figures(trained: Path, monkeypatch, capsys):
    bundle = trained / "my run" / "bundle"
    capsys.readouterr()
    card = (bundle / "README.md").read_text()
    assert "### assay, test" not in card and "positive: `active`" in card
    assert main(["evaluate", "bundle=my run/bundle", "baselines=false"]) == 0
    out = capsys.readouterr().out
    assert "positive: active" in out
    card = (bundle / "README.md").read_text()
    assert "### assay, test" in card and card.count("## Figures") == 1 and "| MAMMAL |" in card
    assert main(["info", str(bundle)]) == 0
    assert "labels inactive, active; positive: active" in capsys.readouterr().out
    assert yaml.safe_load((bundle / "task.yaml").read_text())["tasks"]["assay"]["state"]["positive"] == "active"

    (trained / "elsewhere").mkdir()
    monkeypatch.chdir(trained / "elsewhere")
    assert main(["evaluate", f"bundle={bundle}", "baselines=false"]) == 1
    hint = capsys.readouterr().err
    assert "paths.data=FOLDER names the folder that holds assay.csv" in hint
    assert main(["evaluate", f"bundle={bundle}", "baselines=false", f"paths.data={trained / 'data'}"]) == 0


def test_the_command_of_the_card_runs_as_it_is_pasted(trained: Path, capsys):
    card = (trained / "my run" / "bundle" / "README.md").read_text()
    command = card.partition("## Made by\n\n```\n")[2].partition("\n```")[0]
    words = shlex.split(command)
    assert words[:4] == ["mammal", "train", "--config-dir", "."] and "output=my run" in words
    assert main([*words[1:], "--cfg"]) == 0
    assert "name: assay" in capsys.readouterr().out


def test_answers_say_what_their_probability_is_of(trained: Path, capsys):
    assert main(["predict", "bundle=my run/bundle", "input=data/assay.csv", "output=out.csv"]) == 0
    assert "probability of the positive class, 'active'" in Path("out.csv.manifest.json").read_text()


@pytest.mark.parametrize("end", ["trainer.max_steps=2", "trainer.max_time=1"])
def test_a_run_shorter_than_an_epoch_is_validated(end: str, trained: Path, capsys):
    capsys.readouterr()
    words = ["model=debug", "data.tokens_per_batch=64", "data.max_rows=2", "test=false", "output=short", "adapt=lora"]
    assert main(["train", "--config-dir", ".", "task=assay", end, *words]) == 0
    said = capsys.readouterr().err
    assert "ModelCheckpoint" not in said and "assay: positive: active" in said
    assert "adapt=lora trains adapters and heads only" in said
    assert Path("short/checkpoints/best.ckpt").is_file()
    assert "valid/loss" in Path("short/metrics.csv").read_text()
