"""Support vector machines and boosting on molecules: what they learn, and on which rows their settings are chosen.

`esol_sample.csv` has 190 molecules of ESOL (Delaney 2004, as distributed by DeepChem) with measured solubilities, of
all parts of DeepChem's scaffold split.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammal.errors import ConfigError
from mammal.evaluation.evaluate_task import Depth
from mammal.tasks.baselines.boosting import Boosting, splittable
from mammal.tasks.baselines.fit import Fitted, fit_baselines
from mammal.tasks.baselines.search import sampled, search_settings
from mammal.tasks.baselines.support_vectors import ColumnScales, Distances, SupportVectors
from mammal.tasks.task import Task

Make = Callable[..., Task]
Rows = list[dict[str, Any]]
SVM = ("svm_morgan", "svm_descriptors", "svm_both")
TUNED = (*SVM, "boosting_morgan", "boosting_descriptors", "boosting_both")


@pytest.fixture(scope="module")
def esol() -> dict[str, Rows]:
    with (Path(__file__).parent / "esol_sample.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {part: [row for row in rows if row["part"] == part] for part in ("train", "valid", "test")}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mammal.tasks.baselines.boosting.MOST_TREES", 75)


@pytest.fixture
def solubility(make: Make) -> Task:
    return make("regression", "<MASK> {smiles:smiles}", "{log_solubility:scalar}", metrics=["rmse"])


def fitted(task: Task, parts: dict[str, Rows], names: tuple[str, ...] = TUNED, **how: Any) -> dict[str, Fitted]:
    return fit_baselines(task, parts["train"], parts["test"], valid=parts["valid"], names=names, trees=20, **how)


def test_measured_solubility_is_learned_better_than_by_the_mean(solubility: Task, esol: dict[str, Rows]):
    steps: list[tuple[str, int, int]] = []
    found = fitted(solubility, esol, ("mean", *TUNED), progress=lambda *step: steps.append(step))
    rmse = {name: solubility.metrics(one.test[0], esol["test"])["rmse"] for name, one in found.items()}
    on_valid = {name: solubility.metrics(one.valid[0], esol["valid"])["rmse"] for name, one in found.items()}
    assert set(rmse) == {"mean", *TUNED}
    assert all(rmse[name] < 0.85 * rmse["mean"] and on_valid[name] < on_valid["mean"] for name in TUNED), rmse
    assert max(rmse["svm_descriptors"], rmse["svm_both"]) < 0.6 * rmse["mean"], rmse
    assert all("C=" in found[name].note and "epsilon=" in found[name].note for name in SVM)
    assert "share=" in found["svm_both"].note and "share=" not in found["svm_morgan"].note
    assert all("leaves=" in found[name].note and "trees=" in found[name].note for name in TUNED[3:])
    assert [(done, total) for _, done, total in steps] == [(n, 7) for n in range(1, 8)]


def test_settings_are_chosen_on_the_validation_labels_and_never_on_test_labels(solubility: Task, esol: dict[str, Rows]):
    names = ("svm_descriptors", "boosting_descriptors")
    found = fitted(solubility, esol, names)
    wrong_test = [row | {"log_solubility": str(-float(row["log_solubility"]))} for row in esol["test"]]
    again = fitted(solubility, esol | {"test": wrong_test}, names)
    assert again == found, "the same settings and predictions, also in a second run"
    wrong_valid = [row | {"log_solubility": str(-float(row["log_solubility"]))} for row in esol["valid"]]
    other = fitted(solubility, esol | {"valid": wrong_valid}, names)
    assert all(other[name].note != found[name].note for name in names)


def test_the_quick_baselines_have_no_settings_to_choose(solubility: Task, esol: dict[str, Rows]):
    found = fit_baselines(solubility, esol["train"], esol["test"], valid=esol["valid"], trees=5, tuned=False)
    assert set(found) == {"mean", "forest_morgan", "forest_descriptors"}
    with pytest.raises(ConfigError, match="baselines must be true, false or quick"):
        Depth(baselines="fast")


def test_without_validation_rows_the_settings_are_the_defaults(solubility: Task, esol: dict[str, Rows]):
    found = fitted(solubility, esol | {"valid": []}, ("svm_both", "boosting_both"))
    assert found["svm_both"].note == "no choice on validation rows: C=3 gamma=1 epsilon=0.1 share=0.5"
    assert found["boosting_both"].note == "no choice on validation rows: leaves=7 rate=0.1 trees=100"
    assert found["svm_both"].valid == [[]] and len(found["svm_both"].test[0]) == len(esol["test"])


def test_large_sets_are_sampled_and_the_note_says_so(
    solubility: Task, esol: dict[str, Rows], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mammal.tasks.baselines.estimators.ROWS", 50)
    first, again = (fitted(solubility, esol, ("svm_descriptors",))["svm_descriptors"] for _ in range(2))
    assert first.note.endswith("; 50 of 120 training rows") and first == again
    numbers = sampled(1000, 100)
    assert len(set(numbers)) == 100 and (np.diff(numbers) > 0).all() and (sampled(5, 10) == np.arange(5)).all()


def test_rows_set_aside_carry_their_error_in_each_part(solubility: Task, esol: dict[str, Rows]):
    bad = {"smiles": "CC(", "log_solubility": "1"}
    parts = {"train": [bad, *esol["train"]], "valid": [bad, *esol["valid"]], "test": [*esol["test"], bad]}
    one = fitted(solubility, parts, ("svm_descriptors",))["svm_descriptors"]
    clean = fitted(solubility, esol, ("svm_descriptors",))["svm_descriptors"]
    assert one.valid[0][0].error is not None and one.test[0][-1].error is not None
    assert [p.value for p in one.test[0][:-1]] == [p.value for p in clean.test[0]]
    assert [p.row_id for p in one.test[0]] == list(range(len(parts["test"])))


def test_three_classes_and_missing_labels(make: Make, esol: dict[str, Rows]):
    labels = ["low", "middle", "high"]

    def labelled(row: dict[str, Any], number: int) -> dict[str, Any]:
        solubility = float(row["log_solubility"])
        level = labels[int(solubility > -4) + int(solubility > -2)]
        return row | {"level": level, "other": "" if number % 3 else ("low", "high")[int(solubility > -3)]}

    parts = {part: [labelled(row, n) for n, row in enumerate(rows)] for part, rows in esol.items()}
    target = "<SENTINEL_ID_0> {level:label} <SENTINEL_ID_1> {other:label}"
    task = make("classification", "{smiles:smiles}", target, labels=labels, metrics=["accuracy"])
    found = fitted(task, parts, ("mean", "svm_both", "boosting_both"))
    figures = {name: task.metrics(one.test[0], parts["test"]) for name, one in found.items()}
    for name in ("svm_both", "boosting_both"):
        assert figures[name]["accuracy/level"] > figures["mean"]["accuracy/level"] + 0.1, figures
        assert figures[name]["accuracy/other"] > figures["mean"]["accuracy/other"], figures
        assert "level: " in found[name].note and "other: " in found[name].note
        first = found[name].test[0][0].for_target("level")
        assert sum(first.probabilities) == pytest.approx(1)


def test_many_targets_limit_the_search_and_the_rows(make: Make, esol: dict[str, Rows], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mammal.tasks.baselines.estimators.ROWS", 100)
    names = [f"y{number}" for number in range(5)]
    parts = {
        part: [row | {name: str(float(row["log_solubility"]) + n) for n, name in enumerate(names)} for row in rows]
        for part, rows in esol.items()
    }
    prompt = f"{'<MASK>' * len(names)} {{smiles:smiles}}"
    task = make("regression", prompt, " ".join(f"{{{name}:scalar}}" for name in names), metrics=["rmse"])
    found = fitted(task, parts, ("mean", "svm_descriptors", "boosting_descriptors"))
    assert found["svm_descriptors"].note.endswith("; 50 of 120 training rows"), "half as many as for one target"
    assert found["boosting_descriptors"].note.startswith("leaves=7 rate=0.1 trees="), "only the trees are chosen"
    rmse = {name: task.metrics(one.test[0], parts["test"]) for name, one in found.items()}
    assert all(rmse["svm_descriptors"][f"rmse/{name}"] < 0.7 * rmse["mean"][f"rmse/{name}"] for name in names)


def test_one_class_among_validation_rows_is_no_choice(make: Make, esol: dict[str, Rows]):
    parts = {p: [row | {"y": str(int(float(row["log_solubility"]) > -3))} for row in rows] for p, rows in esol.items()}
    parts["valid"] = [row for row in parts["valid"] if row["y"] == "1"]
    task = make("classification", "{smiles:smiles}", "{y:label}", labels=["0", "1"], metrics=["auroc"])
    found = fitted(task, parts, ("svm_descriptors", "boosting_descriptors"))
    assert found["svm_descriptors"].note == "C=3 gamma=1"
    assert all(task.metrics(one.test[0], parts["test"])["auroc"] > 0.8 for one in found.values())


def test_bounds_among_validation_labels_choose_nothing(make: Make, esol: dict[str, Rows]):
    task = make(
        "regression", "<MASK> {smiles:smiles}", "{log_solubility:scalar}", metrics=["rmse"], censored="one_sided"
    )
    plain = fitted(task, esol, ("svm_descriptors",))["svm_descriptors"]
    bounds = [row | {"log_solubility": ">9"} for row in esol["valid"]]
    more = fitted(task, esol | {"valid": [*esol["valid"], *bounds]}, ("svm_descriptors",))["svm_descriptors"]
    assert more.note == plain.note and more.test == plain.test


def test_logarithms_are_learned_where_the_task_learns_them(make: Make, esol: dict[str, Rows]):
    def in_mol(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"s": repr(10 ** float(row["log_solubility"]))}

    parts = {part: list(map(in_mol, rows)) for part, rows in esol.items()}
    declared = {"scale": {"log": True}, "metrics": ["rmse_log10"]}
    task = make("regression", "<MASK> {smiles:smiles}", "{s:scalar}", **declared)
    found = fitted(task, parts, ("mean", "svm_descriptors", "boosting_descriptors"))
    rmse = {name: task.metrics(one.test[0], parts["test"])["rmse_log10"] for name, one in found.items()}
    assert max(rmse["svm_descriptors"], rmse["boosting_descriptors"]) < 0.7 * rmse["mean"], rmse


def test_numbers_of_the_prompt_are_read_too(make: Make):
    rows = [{"s": ("CCO", "CCN", "CCCO")[i % 3], "dose": str(i % 7), "y": str(int(i % 7 > 3))} for i in range(90)]
    task = make("classification", "{s:smiles} {dose:scalar}", "{y:label}", labels=["0", "1"], metrics=["auroc"])
    parts = {"train": rows[:60], "valid": rows[60:75], "test": rows[75:]}
    found = fitted(task, parts)
    assert {task.metrics(one.test[0], parts["test"])["auroc"] for one in found.values()} == {1.0}


def test_scores_are_bounded_and_missing_values_are_the_median():
    random = np.random.default_rng(0)
    train = np.stack(
        [random.poisson(1, 300), np.arange(300) == 7, random.normal(size=300), np.full(300, np.nan)], axis=1
    )
    scales = ColumnScales(train, counts=1)
    scores, counts = scales(np.array([[3.0, 1e9, -1e30, 5.0], [0.0, 0.0, np.nan, np.nan]]))
    assert scores.shape == (2, 3) and np.abs(scores).max() <= 2.5 and np.isfinite(scores).all()
    assert (scores[1] == 0).all(), "a rare count that is absent, and missing values"
    assert counts[:, 0].tolist() == pytest.approx([np.log(4), 0])


def test_distances_have_mean_one_over_the_training_rows():
    random = np.random.default_rng(0)
    train = np.concatenate([random.poisson(2, (80, 30)), random.normal(size=(80, 10)) * 1000], axis=1)
    for part in Distances(ColumnScales(train, 30), train)(train):
        assert part.mean() == pytest.approx(1, abs=1e-9)


def test_a_class_with_one_row_and_a_constant_feature_are_no_obstacle():
    x = np.concatenate([np.arange(12.0)[:, None], np.ones((12, 1))], axis=1)
    y = np.array([0] * 11 + [1])
    machine = SupportVectors(0, True, lambda said, classes: float(-said[0, 1])).fit(x, y, x[:2])
    assert machine.predict_proba(x).shape == (12, 2)
    trees = Boosting(True, lambda said, classes: float(-said[0, 1])).fit(x, y, x[:2])
    assert trees.predict_proba(x).shape == (12, 2)


def test_columns_that_cannot_be_split_are_left_out_without_changing_a_tree():
    from sklearn.ensemble import HistGradientBoostingRegressor

    random = np.random.default_rng(0)
    x = random.poisson(0.05, (400, 60)).astype(float)
    x[random.random((400, 60)) < 0.02] = np.nan
    y = x[:, :10].sum(axis=1, where=~np.isnan(x[:, :10])) + random.normal(size=400)
    kept = splittable(x, 20)
    assert 0 < len(kept) < 60
    whole, part = (HistGradientBoostingRegressor(max_iter=30, random_state=0).fit(z, y) for z in (x, x[:, kept]))
    np.testing.assert_array_equal(whole.predict(x), part.predict(x[:, kept]))


def test_search_goes_stage_by_stage_and_ties_keep_the_first():
    tried: list[dict[str, float]] = []

    def attempt(settings: Any) -> tuple[float, str]:
        tried.append(dict(settings))
        return -abs(settings["a"] - 2) - min(settings["b"], 1), f"{settings['a']:g}{settings['b']:g}"

    best, model = search_settings({"a": 1, "b": 1}, [[{"a": 1}, {"a": 2}, {"a": 3}], [{"b": 0}, {"b": 5}]], attempt)
    assert dict(best) == {"a": 2, "b": 0} and model == "20"
    assert tried == [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 3, "b": 1}, {"a": 2, "b": 0}, {"a": 2, "b": 5}]
    assert search_settings({"a": 1, "b": 1}, [[{"a": 2}]], lambda s: (0.0, s["a"]))[1] == 1, "a tie"
    assert search_settings({"a": 1}, [[{"a": 2}]], lambda s: (float("nan"), s["a"]))[1] == 1, "an undefined figure"
