"""Numbers among the tokens of a target: missing, bounded, repeated, weighted; and numbers in a chain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.task import Task

Make = Callable[..., Task]
STANDARD = {"mean": 0.0, "std": 1.0}
TARGET = "<SENTINEL_ID_0> {t:smiles} <SENTINEL_ID_1> {a:scalar} {b:scalar}"


def batch_of(task: Task, rows: list[dict], **how: bool) -> Batch:
    return task.collate([task.encode(row, i, **how) for i, row in enumerate(rows)])


def at_scalars(task: Task, batch: Batch, field: str) -> list[list[float]]:
    """A field of the batch at the places of `<SCALAR>` among the labels."""
    found = batch.labels_DR == task.tokenizer.scalar_id
    return [values[places].tolist() for values, places in zip(getattr(batch, field), found, strict=True)]


def test_a_row_that_lacks_a_number_trains_on_the_others_and_has_the_same_tokens(make: Make):
    task = make("generation", "{s:smiles}", TARGET, scale=STANDARD)
    rows = [{"s": "C", "t": "CCO", "a": a, "b": b} for a, b in [("1", "2"), ("", "2"), ("1", ""), ("", "")]]
    batch = batch_of(task, rows, target=True)
    assert len({tuple(ids) for ids in batch.labels_DR.tolist()}) == 1
    np.testing.assert_array_equal(
        at_scalars(task, batch, "label_values_DR"), [[1, 2], [np.nan, 2], [1, np.nan], [np.nan, np.nan]]
    )
    fed = batch.decoder_ids_DT == task.tokenizer.scalar_id
    assert [has[places].tolist() for has, places in zip(batch.decoder_has_value_DT, fed, strict=True)] == [
        [True, True],
        [False, True],
        [True, False],
        [False, False],
    ]


def test_a_batch_without_any_number_still_has_a_loss(make: Make):
    task = make("generation", "{s:smiles}", TARGET, scale=STANDARD)
    batch = batch_of(task, [{"s": "C", "t": "CCO", "a": "", "b": ""}], target=True)
    steps, width = batch.labels_DR.shape[1], len(task.candidates_V)
    values = torch.ones(1, steps, requires_grad=True)
    loss = task.loss(ModelOutput(logits_DRV=torch.zeros(1, steps, width), values_DR=values), batch)
    assert float(loss.detach()) == pytest.approx(np.log(width), rel=1e-6)
    loss.backward()
    assert not values.grad.any()


def test_a_row_with_no_number_at_all_is_set_aside_where_nothing_else_is_asked(make: Make):
    task = make("generation", "{s:smiles}", "{a:scalar} {b:scalar}", scale=STANDARD)
    with pytest.raises(DataError, match="empty cell"):
        task.encode({"s": "C", "a": "", "b": ""}, target=True)


@pytest.mark.parametrize(("weight", "counted"), [(1.0, 1.0), (0.25, 0.25)])
def test_numbers_count_as_much_as_declared(make: Make, weight: float, counted: float):
    task = make("generation", "{s:smiles}", TARGET, scale=STANDARD, number_weight=weight)
    batch = batch_of(task, [{"s": "C", "t": "CCO", "a": "1", "b": "2"}], target=True)
    steps, width = batch.labels_DR.shape[1], len(task.candidates_V)
    output = ModelOutput(logits_DRV=torch.zeros(1, steps, width), values_DR=torch.zeros(1, steps))
    mean_square = (1 + 4) / 2
    assert float(task.loss(output, batch)) == pytest.approx(np.log(width) + counted * mean_square, rel=1e-6)


def test_a_bound_is_one_sided_and_not_fed(make: Make):
    task = make("generation", "{s:smiles}", TARGET, scale=STANDARD, metrics=["mae"])
    row = {"s": "C", "t": "CCO", "a": ">3", "b": "2"}
    batch = batch_of(task, [row], target=True)
    assert at_scalars(task, batch, "label_values_DR") == [[3, 2]]
    assert at_scalars(task, batch, "label_bounds_DR") == [[1, 0]]
    assert batch.decoder_values_DT[batch.decoder_has_value_DT].tolist() == [2]

    def loss(a: float) -> float:
        said = torch.where(batch.label_values_DR == 3, a, torch.nan_to_num(batch.label_values_DR))
        logits = torch.zeros(1, said.shape[1], len(task.candidates_V))
        return float(task.loss(ModelOutput(logits_DRV=logits, values_DR=said), batch))

    assert loss(9.0) == pytest.approx(loss(3.0)) and loss(1.0) > loss(3.0) + 1
    said = Prediction(
        0, by_target={"t": Prediction(0, text="CCO"), "a": Prediction(0, value=1.0)} | {"b": Prediction(0, value=2.5)}
    )
    assert task.metrics([said], [row])["mae/b"] == 0.5
    assert task.metrics([said], [row])["censored"] == 1 and "mae/a" not in task.metrics([said], [row])


def test_a_number_asked_for_twice_is_answered_by_the_first(make: Make):
    task = make("generation", "{s:smiles}", "{a:scalar} {t:smiles} {a:scalar} {b:scalar}", scale=STANDARD)
    batch = batch_of(task, [{"s": "C", "t": "CCO", "a": "1", "b": "2"}], target=True)
    assert at_scalars(task, batch, "label_values_DR") == [[1, 1, 2]]
    ids = batch.labels_DR[0].tolist()
    values = np.full(len(ids), np.nan)
    values[[place for place, token in enumerate(ids) if token == task.tokenizer.scalar_id]] = [5, 6, 7]
    said = task.decode_generated(ids, 0, values=values.tolist())
    assert (said.for_target("a").value, said.for_target("b").value) == (5.0, 7.0)


def test_numbers_before_a_molecule_and_behind_it_are_distinguished(make: Make):
    task = make("generation", "{s:smiles}", "{a:scalar} {t:smiles} {b:scalar}", scale=STANDARD)
    batch = batch_of(task, [{"s": "C", "t": "CCO", "a": "1", "b": "2"}], target=True)
    said = task.decode_generated(batch.labels_DR[0].tolist(), 0, values=batch.label_values_DR[0].tolist())
    assert (said.for_target("a").value, said.for_target("t").text, said.for_target("b").value) == (1.0, "CCO", 2.0)


# Numbers computed from a molecule of the target


@pytest.fixture
def weighing(make: Make) -> Task:
    metrics = ["validity", "consistency_mae", "mae"]
    target = "<SENTINEL_ID_0> {t:smiles} <SENTINEL_ID_1> {mw:scalar}"
    task = make("generation", "{s:smiles}", target, computed={"mw": "t"}, metrics=metrics)
    task.fit([{"s": "C", "t": "C"}, {"s": "C", "t": "CCCC"}, {"s": "C", "t": "no molecule"}])
    return task


def test_a_row_without_a_cell_has_the_number_of_its_molecule(weighing: Task):
    rows = [{"s": "C", "t": "CCO"}, {"s": "C", "t": "CCO", "mw": ""}, {"s": "C", "t": "CCO", "mw": "60"}]
    asked = at_scalars(weighing, batch_of(weighing, rows, target=True), "label_values_DR")
    middle, deviation = (16.043 + 58.124) / 2, (58.124 - 16.043) / 2
    ethanol = pytest.approx((46.069 - middle) / deviation, abs=1e-3)
    assert asked == [[ethanol], [ethanol], [pytest.approx((60 - middle) / deviation, abs=1e-3)]]


def test_an_answer_is_held_against_the_molecule_that_it_wrote(weighing: Task):
    def said(row: int, text: str, mw: float) -> Prediction:
        return Prediction(row, by_target={"t": Prediction(row, text=text), "mw": Prediction(row, value=mw)})

    answers = [said(0, "CCO", 50.069), said(1, "C", 14.043), said(2, "C1C", 999.0)]
    rows = [{"s": "C", "t": "CCO"}, {"s": "C", "t": "CCO"}, {"s": "C", "t": "CCO"}]
    scores = weighing.metrics(answers, rows)
    assert scores["consistency_mae"] == pytest.approx((4.0 + 2.0) / 2, abs=1e-3), "C1C is no molecule"
    assert scores["mae/mw"] == pytest.approx((4.0 + 32.026 + 952.931) / 3, abs=1e-2)
    low, high = weighing.metric_intervals(answers, rows, samples=50)["consistency_mae"]
    assert low > 2.0 - 1e-3 and high < 4.0 + 1e-3


@pytest.mark.parametrize(("computed", "named"), [({"t": "s"}, "number of the target"), ({"a": "t"}, "property")])
def test_a_computed_column_is_a_number_of_the_target_and_a_property(make: Make, computed: dict, named: str):
    with pytest.raises(TaskError, match=named):
        make("generation", "{s:smiles}", TARGET, computed=computed)


# A chain of numbers


@pytest.fixture
def chain(make: Make) -> Task:
    return make("regression", "{s:smiles}", "{a:scalar} {b:scalar}", mode="decoder", chain=True, scale=STANDARD)


def test_a_chain_shows_each_number_to_those_behind_it_in_training_alone(chain: Task):
    rows = [{"s": "C", "a": "3", "b": "10"}, {"s": "N", "a": "", "b": "20"}, {"s": "O", "a": ">5", "b": "30"}]
    learned = batch_of(chain, rows, target=True)
    assert learned.read_DR.tolist() == [[0, 1]] * 3 and not learned.feeds_back
    assert learned.decoder_has_value_DT[:, 1].tolist() == [True, False, False], "missing, and a mere bound"
    assert learned.decoder_values_DT[0, 1] == 3
    np.testing.assert_array_equal(learned.label_values_DR, [[3, 10], [np.nan, 20], [5, 30]])
    for how in ({}, {"target": True, "judged": True}):
        asked = batch_of(chain, rows, **how)
        assert asked.feeds_back and asked.decoder_has_value_DT is None, "what is judged never saw a truth"
    np.testing.assert_array_equal(asked.label_values_DR, learned.label_values_DR)


def test_a_chain_of_one_is_no_chain(make: Make):
    task = make("regression", "{s:smiles}", "{a:scalar}", mode="decoder", chain=True, scale=STANDARD)
    assert not batch_of(task, [{"s": "C"}]).feeds_back


@pytest.mark.parametrize(
    ("target", "named"), [("{t:smiles} {a:scalar}", "'t' as smiles"), ("{a:scalar} {a:scalar}", "twice")]
)
def test_a_regression_of_anything_but_one_slot_a_number_is_refused(make: Make, target: str, named: str):
    with pytest.raises(TaskError, match=named):
        make("regression", "{s:smiles}", target, mode="decoder")


def test_a_chain_outside_the_decoder_is_refused():
    prompt = {"input": "<MASK><MASK> {s:smiles}", "target": "{a:scalar} {b:scalar}"}
    with pytest.raises(TaskError, match="chain"):
        load_task({"name": "t", "kind": "regression", "mode": "encoder", "chain": True, "prompt": prompt})
