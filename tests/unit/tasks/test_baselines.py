from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mammal.tasks.baselines import baselines
from mammal.tasks.task import Task

Make = Callable[..., Task]
ALCOHOLS = [{"smiles": "C" * n + tail, "y": str(int(tail == "O"))} for n in range(1, 25) for tail in ("O", "N")]


def test_a_forest_on_fingerprints_learns_what_the_mean_cannot(make: Make):
    task = make("classification", "{smiles:smiles}", "{y:label}", labels=["0", "1"], metrics=["auroc"])
    said = baselines(task, ALCOHOLS[:32], ALCOHOLS[32:], trees=20)
    assert set(said) == {"mean", "forest_morgan"}
    scores = {name: task.metrics(predictions, ALCOHOLS[32:])["auroc"] for name, predictions in said.items()}
    assert scores["mean"] == 0.5 and scores["forest_morgan"] > 0.95


def test_rows_that_the_task_would_set_aside_carry_their_error(make: Make):
    task = make("classification", "{smiles:smiles}", "{y:label}", labels=["0", "1"], metrics=["auroc"])
    test = [{"smiles": "CC(", "y": "1"}, *ALCOHOLS[32:]]
    said = baselines(task, [{"smiles": "", "y": "1"}, *ALCOHOLS[:32]], test, trees=5)
    for predictions in said.values():
        assert len(predictions) == len(test)
        assert "invalid SMILES" in predictions[0].error and predictions[1].error is None
        assert [p.row_id for p in predictions] == list(range(len(test)))


def test_sequences_get_kmers_and_pairs_get_both(make: Make):
    rng = np.random.default_rng(0)
    letters = list("ACDEFGHIKL")
    rows = []
    for i in range(60):
        motif = "WWW" if i % 2 else "MMM"
        rows.append({"p": "".join(rng.choice(letters, 10)) + motif, "d": "C" * (i % 7 + 1), "y": float(i % 2)})
    task = make("regression", "<MASK> {p:protein} {d:smiles}", "{y:scalar}", metrics=["r2"])
    said = baselines(task, rows[:40], rows[40:], trees=20)
    assert set(said) == {"mean", "forest_morgan", "forest_kmers", "linear_kmers", "forest_both"}
    scores = {name: task.metrics(predictions, rows[40:])["r2"] for name, predictions in said.items()}
    assert scores["linear_kmers"] > 0.8 and scores["forest_kmers"] > 0.6 and scores["mean"] <= 0


def test_several_targets_each_get_their_model_and_missing_labels_are_left_out(make: Make):
    task = make(
        "classification", "{s:smiles}", "<SENTINEL_ID_0> {a:label} <SENTINEL_ID_1> {b:label}", labels=["0", "1"]
    )
    rows = [{"s": r["smiles"], "a": r["y"], "b": "" if i % 3 == 0 else str(i % 2)} for i, r in enumerate(ALCOHOLS)]
    said = baselines(task, rows[:30], rows[30:], trees=5)
    assert set(said["mean"][0].by_target) == {"a", "b"}


def test_text_has_no_baseline(make: Make):
    assert baselines(make("generation", "{s:smiles}", "{t:smiles}"), [], []) == {}
