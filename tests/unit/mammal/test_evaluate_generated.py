"""`mammal evaluate bundle=…` of tasks that sample: conditions, number of samples, seed, validity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

import mammal
from mammal.cli import main
from mammal.evaluation.results import OURS, load_results
from mammal.evaluation.set_results import SetResult, load_sets

SMILES = [f"C{'C' * (n % 7)}{tail}" for n in range(20) for tail in "ON"]
STEERED = {
    "name": "steered",
    "kind": "generation",
    "data": {"source": "file", "path": "molecules.csv", "split": "random"},
    "prompt": {"input": "<SENTINEL_ID_1>{logp:scalar} <SENTINEL_ID_0>", "target": "<SENTINEL_ID_0> {smiles:smiles}"},
    "conditions": {"columns": ["logp"], "of": "smiles", "drop": 0.5},
    "generation": {"do_sample": True, "max_new_tokens": 12},
    "metrics": ["validity", "condition_mae"],
}


@pytest.fixture
def steered(small_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of a task that draws molecules of an asked logP, which its rows have."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mammal.evaluation.evaluate_task.BOOTSTRAP_SAMPLES", 20)
    monkeypatch.setattr("mammal.tasks.molecule_sets.chemnet.why_missing", lambda: ValueError("takes seconds"))
    pd.DataFrame({"smiles": SMILES}).to_csv("molecules.csv", index=False)
    model = mammal.load(small_bundle(), device="cpu")
    model.use(STEERED).fit([{"smiles": smiles} for smiles in SMILES])
    return model.save(tmp_path / "bundle", metrics={})


def judged(bundle: Path, output: str, *words: str) -> tuple[SetResult, list[str]]:
    """The set, and the answers to the rows."""
    how = ["device=cpu", "baselines=false", "sensitivity=0", "neighbours=false", "workers=0", "limit=4"]
    assert main(["evaluate", f"bundle={bundle}", f"output={output}", *how, *words]) == 0
    (result,), (one,) = load_results(Path(output)), load_sets(Path(output))
    return one, result.answers[OURS].tolist()


def test_a_set_is_drawn_without_the_conditions_of_the_rows(steered: Path):
    one, answers = judged(steered, "first", "draws=9", "seed=3")
    assert one.samples == 9 and len(answers) == 4, "as many as were asked for, however few rows there are"
    assert one.source == "draws of steered, conditions withheld" and one.made["seed"] == 3
    model = mammal.load(steered, device="cpu")
    free = model.generate(task="steered", n=9, seed=3, do_sample=True)
    assert one.molecules["smiles"].tolist() == free["text"].tolist()


def test_answers_follow_the_conditions_of_their_rows_and_the_seed(steered: Path):
    first, answers = judged(steered, "first", "seed=3")
    again, same = judged(steered, "again", "seed=3")
    other, others = judged(steered, "other", "seed=4")
    assert answers == same and first.molecules.equals(again.molecules)
    assert answers != others and first.molecules["smiles"].tolist() != other.molecules["smiles"].tolist()
    (result,) = load_results(Path("first"))
    assert np.isfinite(result.ours.estimates["condition_mae"].value), "what rows ask for is still held against answers"
    assert result.generated == ["smiles"], "the report draws them"


def test_sets_are_left_out_where_nobody_wants_them(steered: Path):
    how = ["device=cpu", "baselines=false", "sensitivity=0", "neighbours=false", "limit=4", "generated=false"]
    assert main(["evaluate", f"bundle={steered}", "output=none", *how]) == 0
    assert load_sets(Path("none")) == []


def test_predict_says_which_molecules_are_not_valid(steered: Path, monkeypatch: pytest.MonkeyPatch):
    model = mammal.load(steered, device="cpu")
    rows = pd.DataFrame({"logp": [0.5, 1.0, 1.5]})
    assert model.predict(rows)["error"].isna().all()

    def refused(self: object, ids: object, row: dict[str, float], **how: object) -> str | None:
        return "unclosed ring" if row["logp"] == 1.0 else None

    monkeypatch.setattr("mammal.tasks.kinds.generation.GenerationTask.invalid_reason", refused)
    found = model.predict(rows)
    assert found["error"].tolist()[1] == "no valid sequence in 20 samples; the last one: unclosed ring"
    assert found["error"].isna().tolist() == [True, False, True] == found["text"].notna().tolist()
    drawn_once = {**STEERED, "generation": {**STEERED["generation"], "max_draws": 1}}
    task = model.find_task(drawn_once)
    task.load_state(model.find_task("steered").state())
    assert model.predict(rows, task)["error"].tolist()[1] == "not valid: unclosed ring"


def test_decoding_is_as_asked_and_refused_where_nothing_is_generated(steered: Path, capsys: pytest.CaptureFixture):
    judged(steered, "short", "generation.max_new_tokens=8")
    (one,) = load_sets(Path("short"))
    atoms = [Chem.MolFromSmiles(smiles).GetNumAtoms() for smiles in one.molecules["smiles"]]
    assert max(atoms) == 2, "what is left beside the tags and <EOS>"
    assert main(["evaluate", f"bundle={steered}", "output=none", "generation.max_new_token=3"]) == 2
    assert "max_new_tokens" in capsys.readouterr().err
    assert main(["evaluate", f"bundle={steered}", "task=bbbp", "output=none", "generation.num_beams=3"]) == 2
    assert "bbbp generates nothing" in capsys.readouterr().err
