from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import unit_text
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.task import Task
from mammal.tokenization.errors import PromptError

Make = Callable[..., Task]
ROWS = [{"smiles": "C" * n, "y": str(100 * n)} for n in (1, 2, 3)]


@pytest.fixture
def task(make: Make) -> Task:
    made = make("regression", "<MASK> {smiles:smiles}", "{y:scalar}", unit="K", metrics=["rmse", "r2"])
    made.fit(ROWS)
    return made


def batch_of(task: Task, rows: list[dict], target: bool = False) -> Batch:
    return task.collate([task.encode(row, i, target=target) for i, row in enumerate(rows)])


def test_labels_are_standardised_by_the_training_rows(task: Task):
    batch = batch_of(task, ROWS, target=True)
    assert batch.mode == "encoder" and batch.wants == ("values",) and batch.decoder_ids_DT is None
    assert batch.label_values_DR[:, 0].tolist() == pytest.approx([-1.2247449, 0, 1.2247449])
    assert all(batch.ids_BL[i, batch.read_DR[i, 0]] == task.tokenizer.mask_id for i in range(3))


def test_predictions_are_in_the_files_unit(task: Task):
    batch = batch_of(task, ROWS)
    assert batch.label_values_DR is None
    said = task.decode(ModelOutput(values_DR=torch.tensor([[-1.2247449], [0.0], [1.2247449]])), batch)
    assert [p.value for p in said] == pytest.approx([100, 200, 300], rel=1e-6)
    assert task.metrics(said, ROWS)["rmse"] == pytest.approx(0, abs=1e-3)


def test_the_wire_target_shows_the_scaled_value(task: Task):
    assert (
        task.render(ROWS[0], target=True).target
        == "<@TOKENIZER-TYPE=SCALARS_LITERALS>-1.22474487<@TOKENIZER-TYPE=AA><EOS>"
    )


def test_the_state_brings_scale_and_interval_back(task: Task, make: Make):
    rng = np.random.default_rng(0)
    rows = [{"smiles": "C", "y": str(v)} for v in rng.normal(200, 50, size=200)]
    said = [
        Prediction(i, value=float(row["y"]) + e)
        for i, (row, e) in enumerate(zip(rows, rng.normal(size=200), strict=True))
    ]
    task.calibrate(said, rows)
    fresh = make("regression", "<MASK> {smiles:smiles}", "{y:scalar}")
    with pytest.raises(TaskError, match="not known yet"):
        fresh.decode(ModelOutput(values_DR=torch.zeros(1, 1)), batch_of(task, ROWS[:1]))
    fresh.load_state(task.state())
    (prediction,) = fresh.decode(ModelOutput(values_DR=torch.zeros(1, 1)), batch_of(task, ROWS[:1]))
    low, high = prediction.interval
    assert prediction.value == pytest.approx(200) and high - low == pytest.approx(2 * 1.645, rel=0.2)
    task.fit(ROWS)
    assert task.state()["conformal"] == {}, "a new fit forgets the old interval"


def test_a_declared_scale_is_never_refitted(make: Make):
    task = make("regression", "<MASK> {smiles:smiles}", "{y:scalar}", scale={"mean": 5.0, "std": 2.0})
    task.fit(ROWS)
    (prediction,) = task.decode(ModelOutput(values_DR=torch.tensor([[1.5]])), batch_of(task, [{"smiles": "C"}]))
    assert prediction.value == 8.0


def test_several_targets_mask_what_is_missing(make: Make):
    task = make("regression", "<MASK><MASK> {smiles:smiles}", "{a:scalar} {b:scalar}", metrics=["mae"])
    rows = [
        {"smiles": "C", "a": "1", "b": ""},
        {"smiles": "N", "a": "3", "b": "10"},
        {"smiles": "O", "a": "", "b": "20"},
    ]
    task.fit(rows)
    batch = batch_of(task, rows, target=True)
    assert torch.isnan(batch.label_values_DR).tolist() == [[False, True], [False, False], [True, False]]
    said = task.decode(ModelOutput(values_DR=torch.zeros(3, 2)), batch)
    assert said[0].by_target["a"].value == 2.0 and said[0].by_target["b"].value == 15.0
    scores = task.metrics(said, rows)
    assert scores == {"mae": pytest.approx(3.0), "mae/a": pytest.approx(1.0), "mae/b": pytest.approx(5.0)}
    assert set(task.metric_intervals(said, rows, samples=20)) == set(scores)
    with pytest.raises(DataError, match="empty cell"):
        task.encode({"smiles": "C", "a": "", "b": ""}, target=True)


def test_a_number_can_be_read_in_the_decoder(make: Make):
    task = make("regression", "<SENTINEL_ID_0> {smiles:smiles}", "<SENTINEL_ID_0> {y:scalar}", mode="decoder")
    task.fit(ROWS)
    batch = batch_of(task, ROWS[:1], target=True)
    specials = task.tokenizer.specials
    step = int(batch.read_DR[0, 0])
    assert batch.decoder_ids_DT[0, : step + 1].tolist() == [specials["<DECODER_START>"], specials["<SENTINEL_ID_0>"]]
    assert batch.label_values_DR[0].tolist() == pytest.approx([-1.2247449])
    assert float(task.loss(ModelOutput(values_DR=torch.tensor([[-1.2247449]])), batch)) == pytest.approx(0, abs=1e-9)


def test_several_numbers_in_the_decoder_lean_on_none_of_each_other(make: Make):
    task = make("regression", "{smiles:smiles}", "{a:scalar} {b:scalar}", mode="decoder")
    rows = [
        {"smiles": "C", "a": "1", "b": ""},
        {"smiles": "N", "a": "3", "b": "10"},
        {"smiles": "O", "a": "", "b": "20"},
    ]
    task.fit(rows)
    learned, asked = batch_of(task, rows, target=True), batch_of(task, rows)
    assert torch.isnan(learned.label_values_DR).tolist() == [[False, True], [False, False], [True, False]]
    assert learned.decoder_values_DT.tolist() == asked.decoder_values_DT.tolist(), "training shows what inference shows"
    assert not torch.isnan(learned.decoder_values_DT).any()


@pytest.mark.parametrize("value", ["warm", "nan", "inf", "~5", ">warm"])
def test_labels_that_are_no_numbers_are_set_aside(task: Task, value: str):
    with pytest.raises(DataError, match="column y"):
        task.encode({"smiles": "C", "y": value}, target=True)


def test_rows_with_such_labels_teach_and_judge_nothing(task: Task):
    task.fit([*ROWS, {"smiles": "C", "y": "~500"}, {"smiles": "C", "y": ""}])
    assert task.scales["y"].mean == pytest.approx(200)
    said = [Prediction(0, value=100.0), Prediction(1, value=5.0)]
    assert task.metrics(said, [ROWS[0], {"smiles": "C", "y": "~500"}])["rmse"] == 0


def test_other_rows_than_those_it_is_fitted_on_change_nothing(task: Task):
    """Validation and test rows may hold any labels: scale, labels and state come from the training rows."""
    before = task.state()
    others = [{"smiles": "N", "y": "1e6"}, {"smiles": "O", "y": "-1e6"}]
    batch_of(task, others, target=True)
    said = task.decode(ModelOutput(values_DR=torch.zeros(2, 1)), batch_of(task, others))
    task.metrics(said, others)
    assert task.state() == before and [p.value for p in said] == pytest.approx([200, 200])


def test_labels_on_a_logarithmic_scale(make: Make):
    declared = {"scale": {"log": True}, "metrics": ["mae"]}
    task = make("regression", "<MASK> {smiles:smiles}", "{y:scalar}", **declared)
    rows = [{"smiles": "C", "y": "0.01"}, {"smiles": "N", "y": "1"}, {"smiles": "O", "y": "100"}]
    task.fit([*rows, {"smiles": "F", "y": "0"}])
    scaled = batch_of(task, rows, target=True).label_values_DR
    assert scaled[:, 0].tolist() == pytest.approx([-1.2247449, 0, 1.2247449])
    said = task.decode(ModelOutput(values_DR=scaled), batch_of(task, rows))
    assert [p.value for p in said] == pytest.approx([0.01, 1, 100], rel=1e-5), "predictions are in the file's unit"
    with pytest.raises(DataError, match="no logarithm"):
        task.encode({"smiles": "F", "y": "-3"}, target=True)
    rng = np.random.default_rng(0)
    valid = [{"smiles": "C", "y": str(10.0**e)} for e in rng.normal(size=200)]
    task.calibrate([Prediction(i, value=1.0) for i in range(201)], [*valid, {"smiles": "C", "y": "0"}])
    fresh = make("regression", "<MASK> {smiles:smiles}", "{y:scalar}", **declared)
    fresh.load_state(task.state())
    low_one, high_one = fresh.decode(ModelOutput(values_DR=torch.zeros(1, 1)), batch_of(task, rows[:1]))[0].interval
    assert 0 < low_one < 1 < high_one and low_one * high_one == pytest.approx(1), "a factor either way, never below 0"
    (far,) = task.decode(ModelOutput(values_DR=torch.full((1, 1), 1e6)), batch_of(task, rows[:1]))
    assert np.isfinite(far.value)


def test_a_logarithmic_scale_has_metrics_of_its_own(make: Make):
    prompt = ("<MASK> {smiles:smiles}", "{y:scalar}")
    rows = [{"smiles": s, "y": str(y)} for s, y in zip("CNOF", (1, 10, 100, 1e5), strict=True)]
    said = [Prediction(i, value=value) for i, value in enumerate((10.0, 1.0, 1000.0, 1e5))]
    task = make("regression", *prompt, scale={"log": True}, metrics=["rmse", "r2_log10"])
    assert task.metric_names == ["rmse", "r2_log10", "rmse_log10"]
    found = task.metrics(said, rows)
    assert found["rmse_log10"] == pytest.approx(np.sqrt(3 / 4)), "three of four are wrong by a factor of ten"
    assert found["rmse"] == pytest.approx(np.sqrt((81 + 81 + 810000) / 4)), "the third row alone decides it"
    low, high = task.metric_intervals(said, rows, samples=50)["rmse_log10"]
    assert low <= found["rmse_log10"] <= high
    assert list(make("regression", *prompt, metrics=["rmse"]).metrics(said, rows)) == ["rmse"]


def test_units_by_target_column(make: Make):
    prompt = ("<MASK><MASK> {smiles:smiles}", "{tm:scalar} {logs:scalar}")
    task = make("regression", *prompt, unit={"tm": "K", "logs": "log mol/L"}, metrics=["rmse"])
    task.fit([{"smiles": "C", "tm": "100", "logs": "-1"}, {"smiles": "N", "tm": "300", "logs": "-3"}])
    assert task.state()["unit"] == {"tm": "K", "logs": "log mol/L"}
    assert (
        unit_text(task.config.unit) == "tm in K, logs in log mol/L" and unit_text("K") == "K" and unit_text(None) == ""
    )
    with pytest.raises(TaskError, match="did you mean tm"):
        make("regression", *prompt, unit={"tn": "K"})


def test_fit_needs_two_different_numbers(task: Task):
    with pytest.raises(TaskError, match="two different numbers"):
        task.fit([{"smiles": "C", "y": "1"}, {"smiles": "N", "y": "1.0"}])


def test_numbers_in_the_input_carry_their_value(make: Make):
    task = make("regression", "<MASK> {smiles:smiles} {dose:scalar}", "{y:scalar}", scale={"mean": 0.0, "std": 1.0})
    batch = batch_of(task, [{"smiles": "C", "dose": 2.5}])
    assert batch.values_BL[batch.has_value_BL].tolist() == [2.5]
    with pytest.raises(DataError, match="column dose"):
        task.encode({"smiles": "C", "dose": float("inf")})


def test_masks_and_targets_must_pair(make: Make):
    with pytest.raises(PromptError, match="<MASK>"):
        make("regression", "{smiles:smiles}", "{y:scalar}")


def test_a_mask_that_truncation_cut_off_sets_the_row_aside(make: Make):
    task = make(
        "regression", "{smiles:smiles} <MASK>", "{y:scalar}", scale={"mean": 0.0, "std": 1.0}, max_len={"input": 5}
    )
    with pytest.warns(UserWarning, match="cut off"), pytest.raises(DataError, match="truncation"):
        task.encode({"smiles": "CCCCCCCCCC"})


def test_a_head_of_its_own_is_named_after_the_task_and_needs_the_encoder(make: Make):
    own = make("regression", "<MASK> {smiles:smiles}", "{y:scalar}", own_head=True)
    own.fit(ROWS)
    assert list(own.head_widths.values()) == [1]
    assert batch_of(own, ROWS).vectors == tuple(own.head_widths) and batch_of(own, ROWS).wants == ("values",)
    with pytest.raises(TaskError, match="own_head is for kind regression in mode encoder, not regression in mode d"):
        make("regression", "{smiles:smiles}", "{y:scalar}", own_head=True, mode="decoder")
    with pytest.raises(TaskError, match="own_head is for kind regression"):
        make("classification", "{smiles:smiles}", "{y:label}", own_head=True, labels=["a", "b"])
