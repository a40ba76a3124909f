"""Evaluation of tasks between names and structures: five answers per row, names read back, a copying baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mammal
from mammal.cli import main
from mammal.evaluation.results import OURS, load_results
from mammal.report.task_section import task_section
from mammal.report.worst_rows import wrong_rows
from mammal.tasks.metrics import name_metrics

CHAINS = {1: "meth", 2: "eth", 3: "prop", 4: "but", 5: "pent", 6: "hex", 7: "hept", 8: "oct"}
ENDS = {"ane": "", "anol": "O", "anamine": "N", "anethiol": "S", "anoic acid": "C(=O)O"}
PAIRS = {f"{stem}{end}": "C" * n + tail for n, stem in CHAINS.items() for end, tail in ENDS.items()}


@pytest.fixture
def names_bundle(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mammal.evaluation.evaluate_task.BOOTSTRAP_SAMPLES", 50)
    monkeypatch.setattr(name_metrics, "structures", lambda names: {name: PAIRS.get(name) for name in names})
    lines = ["iupac,smiles", *(f"{name},{smiles}" for name, smiles in PAIRS.items())]
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    model = mammal.load(tiny_bundle, device="cpu")
    model.tasks = {}
    changes = {"data": {"source": "file", "path": "pairs.csv", "name": None}, "generation": {"max_new_tokens": 12}}
    for name in ("iupac_to_smiles", "smiles_to_iupac"):
        from mammal.tasks import build_task, load_task

        model.tasks[name] = build_task(load_task(name, changes), model.tokenizer)
    return model.save(tmp_path / "run" / "bundle", metrics={})


def test_both_ways_are_judged_with_intervals_beside_the_nearest_training_row(names_bundle: Path, capsys):
    assert main(["evaluate", f"bundle={names_bundle}", "device=cpu", "seeds=2"]) == 0
    out = capsys.readouterr().out
    assert "nearest" in out and "split molecules of smiles, seed 0" in out
    results = {result.task: result for result in load_results(names_bundle.parent / "evaluation")}
    for name, answer in (("iupac_to_smiles", "molecule_match"), ("smiles_to_iupac", "opsin_match")):
        result = results[name]
        ours, nearest = result.contenders
        assert nearest.name == "nearest" and ours.name == OURS
        assert set(ours.estimates) == set(result.metrics)
        for metric in result.metrics:
            for contender in (ours, nearest):
                e = contender.estimates[metric]
                assert 0 <= e.low <= e.value <= e.high <= 1 or np.isnan(e.value)
        assert nearest.estimates[answer].value == 0, "no test molecule is one of train"
        assert set(result.answers.columns) >= {"row", "truth", OURS, "nearest", "similarity"}
        assert answer.replace("_", " ") in task_section(result).body.lower().replace("_", " ")
        ours_by_row = result.answers[answer].mean()
        assert ours_by_row == pytest.approx(ours.estimates[answer].value), (
            "the table of answers holds each row's figure"
        )
        wrong = wrong_rows(result)
        assert len(wrong.rows) == wrong.judged == len(result.answers) and not wrong.rows[answer].any()
    assert results["iupac_to_smiles"].leakage["test/smiles"] == 0
    assert results["iupac_to_smiles"].contenders[1].estimates["validity"].value == 1
    assert results["smiles_to_iupac"].contenders[1].estimates["opsin_validity"].value == 1
