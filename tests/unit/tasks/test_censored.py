"""Labels that are only bounds of a measurement: `>10`, `<5`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mammal.tasks.baselines.fit import baselines
from mammal.tasks.batches.batch import ModelOutput
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.targets.censored import bounded_number
from mammal.tasks.task import Task

Make = Callable[..., Task]
ROWS = [
    {"smiles": "C", "y": "4"},
    {"smiles": "CC", "y": "6"},
    {"smiles": "CCC", "y": ">10"},
    {"smiles": "CCCC", "y": "<=3"},
]


@pytest.fixture(params=["encoder", "decoder"])
def task(make: Make, request: pytest.FixtureRequest) -> Task:
    prompt = ("<MASK> {smiles:smiles}", "{y:scalar}")
    if request.param == "decoder":
        prompt = ("<SENTINEL_ID_0> {smiles:smiles}", "<SENTINEL_ID_0> {y:scalar}")
    made = make("regression", *prompt, mode=request.param, metrics=["rmse"])
    made.fit(ROWS)
    return made


@pytest.mark.parametrize(
    ("cell", "number", "bound"),
    [
        (">10", 10, 1),
        (" >= 7.2 ", 7.2, 1),
        ("≥1e3", 1000, 1),
        (">>5", 5, 1),
        ("<5", 5, -1),
        ("<= -2", -2, -1),
        ("=3", 3, 0),
        ("3", 3, 0),
        (-3.5, -3.5, 0),
    ],
)
def test_cells_with_bounds(cell: object, number: float, bound: int):
    assert bounded_number(cell, "y") == (number, bound)


@pytest.mark.parametrize("cell", ["~3", "≈ 3", ">", "> high", "3-5", "><3", ">nan"])
def test_cells_that_are_neither_number_nor_bound(cell: str):
    with pytest.raises(DataError, match="column y"):
        bounded_number(cell, "y")


def test_an_approximate_number_says_what_to_do():
    with pytest.raises(DataError, match="write 3 if that is near enough"):
        bounded_number("~3", "y")


def test_the_loss_is_one_sided(task: Task):
    batch = task.collate([task.encode(row, i, target=True) for i, row in enumerate(ROWS)])
    assert batch.label_bounds_DR.dtype == torch.int8 and batch.label_bounds_DR.flatten().tolist() == [0, 0, 1, -1]
    assert batch.to("cpu").label_bounds_DR is not None
    right = batch.label_values_DR.clone()
    right[2] += 4.0
    right[3] -= 4.0
    assert float(task.loss(ModelOutput(values_DR=right), batch)) == pytest.approx(0, abs=1e-9)
    wrong = batch.label_values_DR.clone()
    wrong[2] -= 4.0
    assert float(task.loss(ModelOutput(values_DR=wrong), batch)) == pytest.approx(16 / 4)


def test_a_batch_without_bounds_has_no_tensor_for_them(task: Task):
    assert task.collate([task.encode(ROWS[0], target=True)]).label_bounds_DR is None


def test_scale_and_metrics_read_measured_numbers_alone(task: Task):
    assert (task.scales["y"].mean, task.scales["y"].std) == (5.0, 1.0)
    said = [Prediction(i, value=v) for i, v in enumerate([4.0, 7.0, 0.0, 99.0])]
    assert task.metrics(said, ROWS) == {"rmse": pytest.approx(np.sqrt(0.5)), "censored": 2}
    assert task.metrics(said[:2], ROWS[:2]) == {"rmse": pytest.approx(np.sqrt(0.5))}


def test_baselines_learn_a_bound_as_its_number(task: Task):
    assert task.truths(ROWS).flatten().tolist() == [4, 6, 10, 3]
    assert baselines(task, ROWS, ROWS[:1], trees=2)["mean"][0].value == pytest.approx(23 / 4)


@pytest.mark.parametrize(("censored", "mean"), [("exact", 23 / 4), ("refuse", 5.0)])
def test_other_ways_to_read_a_bound(make: Make, censored: str, mean: float):
    task = make("regression", "<MASK> {smiles:smiles}", "{y:scalar}", censored=censored, metrics=["rmse"])
    task.fit(ROWS)
    assert task.scales["y"].mean == pytest.approx(mean)
    if censored == "refuse":
        with pytest.raises(DataError, match=">10"):
            task.encode(ROWS[2], target=True)
    else:
        assert task.collate([task.encode(ROWS[2], target=True)]).label_bounds_DR is None


def test_several_targets_each_have_their_bounds(make: Make):
    task = make("regression", "<MASK><MASK> {smiles:smiles}", "{a:scalar} {b:scalar}", metrics=["mae"])
    rows = [
        {"smiles": "C", "a": "1", "b": ">2"},
        {"smiles": "N", "a": "3", "b": ""},
        {"smiles": "O", "a": "2", "b": "1"},
    ]
    task.fit([*rows, {"smiles": "F", "a": "4", "b": "5"}])
    batch = task.collate([task.encode(row, i, target=True) for i, row in enumerate(rows)])
    assert batch.label_bounds_DR.tolist() == [[0, 1], [0, 0], [0, 0]]
    said = [Prediction(i, by_target={c: Prediction(i, value=1.0) for c in "ab"}) for i in range(3)]
    scores = task.metrics(said, rows)
    assert scores["censored"] == scores["censored/b"] == 1 and scores["mae/b"] == 0


def test_an_unknown_way_is_refused(make: Make):
    with pytest.raises(TaskError, match="one_sided"):
        make("regression", "<MASK> {smiles:smiles}", "{y:scalar}", censored="one-sided")
