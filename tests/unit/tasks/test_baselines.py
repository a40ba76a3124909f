from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mammal.tasks.baselines.baseline_features import all_descriptors, with_medians, words
from mammal.tasks.baselines.fit import baselines, fit_baselines, seeded_baselines
from mammal.tasks.features.esm2 import Esm2
from mammal.tasks.features.rdkit_names import NAMES
from mammal.tasks.task import Task

Make = Callable[..., Task]
ALCOHOLS = [{"smiles": "C" * n + tail, "y": str(int(tail == "O"))} for n in range(1, 25) for tail in ("O", "N")]


def test_a_forest_on_fingerprints_learns_what_the_mean_cannot(make: Make):
    task = make("classification", "{smiles:smiles}", "{y:label}", labels=["0", "1"], metrics=["auroc"])
    said = baselines(task, ALCOHOLS[:32], ALCOHOLS[32:], trees=20)
    tuned = {f"{model}_{seen}" for model in ("svm", "boosting") for seen in ("morgan", "descriptors", "both")}
    assert set(said) == {"mean", "forest_morgan", "forest_descriptors"} | tuned
    scores = {name: task.metrics(predictions, ALCOHOLS[32:])["auroc"] for name, predictions in said.items()}
    assert scores["mean"] == 0.5 and scores["forest_morgan"] > 0.95 and scores["forest_descriptors"] > 0.95


def test_rows_that_the_task_would_set_aside_carry_their_error(make: Make):
    task = make("classification", "{smiles:smiles}", "{y:label}", labels=["0", "1"], metrics=["auroc"])
    test = [{"smiles": "CC(", "y": "1"}, *ALCOHOLS[32:]]
    said = baselines(task, [{"smiles": "", "y": "1"}, *ALCOHOLS[:32]], test, trees=5)
    for predictions in said.values():
        assert len(predictions) == len(test)
        assert "invalid SMILES" in predictions[0].error and predictions[1].error is None
        assert [p.row_id for p in predictions] == list(range(len(test)))


def pairs(rows: int = 80) -> list[dict[str, object]]:
    """Labels that neither side tells alone: whether the motif of the protein and the tail of the drug agree."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(rows):
        motif, tail = rng.integers(2, size=2)
        p = "".join(rng.choice(list("ACDEFGHIKL"), 10)) + ("WWW", "MMM")[motif]
        made.append({"p": p, "d": "C" * int(rng.integers(1, 4)) + ("O", "N")[tail], "y": float(motif == tail)})
    return made


def test_pairs_get_a_forest_on_everything_and_one_on_each_side_alone(make: Make):
    task = make("regression", "<MASK> {p:protein} {d:smiles}", "{y:scalar}", metrics=["r2"])
    rows = pairs(240)
    said = baselines(task, rows[:200], rows[200:], trees=50)
    assert set(said) == {"mean", "forest_all", "forest_only_p", "forest_only_d"}
    scores = {name: task.metrics(predictions, rows[200:])["r2"] for name, predictions in said.items()}
    assert scores["forest_all"] > 0.2
    assert max(scores["forest_only_p"], scores["forest_only_d"]) < 0.1


def test_sequences_and_pairs_of_them_get_kmers(make: Make):
    rows = [{"p": "ACDE" * 3 + ("WWW" if i % 2 else "MMM"), "q": "GHIK", "y": float(i % 2)} for i in range(60)]
    one = make("regression", "<MASK> {p:protein}", "{y:scalar}", metrics=["r2"])
    said = baselines(one, rows[:40], rows[40:], trees=10)
    assert set(said) == {"mean", "forest_kmers", "linear_kmers"}
    assert all(one.metrics(said[name], rows[40:])["r2"] > 0.8 for name in ("forest_kmers", "linear_kmers"))
    two = make("regression", "<MASK> {p:protein} {q:protein}", "{y:scalar}", metrics=["r2"])
    found = baselines(two, rows[:40], rows[40:], trees=10)
    assert set(found) == {"mean", "forest_all", "forest_only_p", "forest_only_q", "linear_kmers"}


def test_numbers_of_the_prompt_are_features_too(make: Make):
    rows = [{"s": "CCO", "dose": str(i % 7), "y": str(int(i % 7 > 3))} for i in range(60)]
    task = make("classification", "{s:smiles} {dose:scalar}", "{y:label}", labels=["0", "1"], metrics=["auroc"])
    said = baselines(task, rows[:40], rows[40:], trees=10)
    assert task.metrics(said["forest_only_dose"], rows[40:])["auroc"] == 1
    assert task.metrics(said["forest_only_s"], rows[40:])["auroc"] == 0.5


def test_names_in_a_list_are_counted_whole():
    counts = words(["[CD8A][B2M]", "[B2M], [CD8A]", "[CD8][B2M]"]).toarray()
    assert (counts[0] == counts[1]).all() and (counts[0] != counts[2]).any()
    assert counts.sum(axis=1).tolist() == [2, 2, 2]


def test_descriptors_that_rdkit_cannot_give_are_the_median_of_train():
    train, test = with_medians(all_descriptors)(["CCO", "CCCC", "c1ccccc1"], ["[Na+].[Cl-]", "C" * 60])
    assert train.shape == (3, len(NAMES)) and train.dtype == test.dtype == np.float32
    assert np.isfinite(train).all() and np.isfinite(test).all()
    raw = all_descriptors(["[Na+].[Cl-]"])[0]
    gaps = np.flatnonzero(np.isnan(raw))
    assert len(gaps), "RDKit gives no partial charges of bare ions"
    np.testing.assert_allclose(test[0, gaps], np.median(train[:, gaps], axis=0))


def test_seeds_vary_the_forests_and_nothing_else(make: Make):
    task = make("regression", "<MASK> {d:smiles}", "{y:scalar}")
    rows = [{"d": "C" * n + "O", "y": float(n)} for n in range(1, 41)]
    how = {"trees": 5, "seeds": (0, 1, 2), "names": ["mean", "forest_morgan"]}
    said = fit_baselines(task, rows[:30], rows[30:], **how)
    assert set(said) == {"mean", "forest_morgan"} and {len(fitted.test) for fitted in said.values()} == {3}
    assert said["mean"].test[0] == said["mean"].test[2]
    assert said["forest_morgan"].test[0] != said["forest_morgan"].test[1]
    with pytest.warns(DeprecationWarning, match="fit_baselines"):
        former = seeded_baselines(task, rows[:30], rows[30:], **how)
    assert former == {name: fitted.test for name, fitted in said.items()}
    again = baselines(task, rows[:30], rows[30:], trees=5, seed=1)
    assert again["forest_morgan"] == said["forest_morgan"].test[1]


def test_one_class_in_train_is_answered_with_it(make: Make):
    task = make("classification", "{p:protein}", "{y:label}", labels=["0", "1"])
    rows = [{"p": "ACDEFGH", "y": "1"}] * 4
    said = baselines(task, rows, rows[:1], trees=5)
    assert all(predictions[0].label == "1" for predictions in said.values())


def test_several_targets_each_get_their_model_and_missing_labels_are_left_out(make: Make):
    task = make(
        "classification", "{s:smiles}", "<SENTINEL_ID_0> {a:label} <SENTINEL_ID_1> {b:label}", labels=["0", "1"]
    )
    rows = [{"s": r["smiles"], "a": r["y"], "b": "" if i % 3 == 0 else str(i % 2)} for i, r in enumerate(ALCOHOLS)]
    said = baselines(task, rows[:30], rows[30:], trees=5)
    assert set(said["mean"][0].by_target) == {"a", "b"}


def test_text_has_no_baseline(make: Make):
    assert baselines(make("generation", "{s:smiles}", "{t:smiles}"), [], []) == {}


def test_frozen_esm2_features_are_a_baseline_where_weights_are(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MAMMAL_ESM2", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    rows = [{"p": "ACDE" * 3 + ("WWW" if i % 2 else "MMM"), "d": "CCO", "y": float(i % 2)} for i in range(40)]
    task = make("regression", "<MASK> {p:protein} {d:smiles}", "{y:scalar}", metrics=["r2"])
    only = ["linear_esm2"]
    assert fit_baselines(task, rows[:30], rows[30:], names=only) == {}, "no weights, no baseline"
    (tmp_path / "esm2_t6_8M_UR50D.pt").touch()
    monkeypatch.setattr(Esm2, "of", lambda self, text: np.full(self.width, float("W" in text), dtype=np.float32))
    said = fit_baselines(task, rows[:30], rows[30:], names=only)
    assert task.metrics(said["linear_esm2"].test[0], rows[30:])["r2"] > 0.9


def test_a_task_that_learns_logarithms_has_baselines_that_do(make: Make):
    rows = [{"s": "C" * (i % 2 + 1) + "O", "y": 10.0 ** (i % 2 + (1 if i % 4 < 2 else -1))} for i in range(40)]
    task = make("regression", "<MASK> {s:smiles}", "{y:scalar}", scale={"log": True})
    said = fit_baselines(task, rows, rows[:1], names=["mean"])["mean"].test[0]
    assert np.isclose(said[0].value, 10**0.5), "the geometric mean"
