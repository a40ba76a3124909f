"""Rare classes: the effect of weights on the loss, and its correction by calibration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mammal.tasks.batches.batch import ModelOutput
from mammal.tasks.errors import TaskError
from mammal.tasks.metrics.registry import METRICS, Answers
from mammal.tasks.targets.calibration import ClassCalibration
from mammal.tasks.targets.imbalance import balanced_weights
from mammal.tasks.task import Task

Make = Callable[..., Task]
INPUT, TARGET = "<SENTINEL_ID_0> {smiles:smiles}", "<SENTINEL_ID_0> {y:label}"
TWO = "<SENTINEL_ID_0> {a:label} <SENTINEL_ID_1> {b:label}"
RARE = [{"smiles": "C", "y": "no"}] * 9 + [{"smiles": "N", "y": "yes"}]


def weights_of(task: Task, rows: list[dict]) -> list[float]:
    batch = task.collate([task.encode(row, i, target=True) for i, row in enumerate(rows)])
    assert batch.label_weights_DR is not None
    return batch.label_weights_DR.flatten().tolist()


def test_balanced_weights_make_every_class_weigh_alike():
    weights = balanced_weights(np.array([0] * 9 + [2]), 3)
    assert weights == pytest.approx([10 / 18, 1.0, 5.0])
    assert 9 * weights[0] == pytest.approx(weights[2])


def test_balanced_weights_come_from_the_training_rows_and_stay_in_the_state(make: Make):
    task = make("classification", INPUT, TARGET, labels=["no", "yes"], class_weights="balanced")
    task.fit(RARE)
    assert weights_of(task, RARE[-2:]) == pytest.approx([10 / 18, 5.0])
    fresh = make("classification", INPUT, TARGET, labels=["no", "yes"], class_weights="balanced")
    fresh.load_state(task.state())
    assert weights_of(fresh, RARE[-2:]) == pytest.approx([10 / 18, 5.0])


def test_the_loss_weighs_a_rare_class_more(make: Make):
    task = make("classification", INPUT, TARGET, labels=["no", "yes"], class_weights=[1, 9])
    batch = task.collate([task.encode(row, i, target=True) for i, row in enumerate(RARE[-2:])])
    missed_rare, missed_common = torch.tensor([[[3.0, 0]], [[3.0, 0]]]), torch.tensor([[[0, 3.0]], [[0, 3.0]]])
    rare, common = (float(task.loss(ModelOutput(logits_DRV=x), batch)) for x in (missed_rare, missed_common))
    assert rare > 5 * common


@pytest.mark.parametrize("mode", ["decoder", "encoder"])
def test_every_target_column_has_its_own_weights(make: Make, mode: str):
    prompt = ("<MASK><MASK> {smiles:smiles}", "{a:label} {b:label}") if mode == "encoder" else (INPUT, TWO)
    task = make("classification", *prompt, labels=["0", "1"], mode=mode, class_weights={"a": "balanced", "b": [1, 7]})
    rows = [{"smiles": "C", "a": str(int(i < 1)), "b": str(int(i < 2))} for i in range(4)]
    task.fit(rows)
    assert weights_of(task, [rows[0], rows[3]]) == pytest.approx([2.0, 7.0, 2 / 3, 1.0])


def test_without_weights_a_batch_has_none(make: Make):
    task = make("classification", INPUT, TARGET, labels=["no", "yes"])
    task.fit(RARE)
    assert task.collate([task.encode(RARE[0], target=True)]).label_weights_DR is None
    assert "class_weights" not in task.state()


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("balance", "did you mean balanced"),
        ([1.0], "1 class_weights for 2 labels"),
        ([1.0, 0.0], "positive"),
        ({"z": "balanced"}, "not a target"),
        (3, "class_weights is 3"),
    ],
)
def test_wrong_weights_are_refused(make: Make, declared: object, message: str):
    with pytest.raises(TaskError, match=message):
        make("classification", INPUT, TARGET, labels=["no", "yes"], class_weights=declared)


def two_classes(weight: float, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Truths of which 5 % are positive, and the log-odds of a perfect model that was trained with a weight."""
    rng = np.random.default_rng(0)
    log_odds = rng.normal(-3.6, 1.2, size=rows)
    return (rng.uniform(size=rows) < 1 / (1 + np.exp(-log_odds))).astype(int), log_odds + np.log(weight)


def test_calibration_takes_back_what_weights_did_to_two_classes():
    truth, log_odds = two_classes(weight=19.0)
    positive = 1 / (1 + np.exp(-log_odds))
    said = Answers(truth, (positive > 0.5).astype(int), np.stack([1 - positive, positive], axis=1))
    found = ClassCalibration.fit(said)
    mended_NC = np.stack([found.apply(np.log(p_C)) for p_C in said.probability_NC])
    mended = Answers(truth, (mended_NC[:, 1] >= found.threshold).astype(int), mended_NC)
    assert positive.mean() > 5 * truth.mean(), "weighted probabilities are far too high"
    assert mended_NC[:, 1].mean() == pytest.approx(truth.mean(), rel=0.05)
    assert METRICS["ece"].of(mended) < 0.015 < 0.2 < METRICS["ece"].of(said)
    assert METRICS["brier"].of(mended) < METRICS["brier"].of(said)
    assert METRICS["mcc"].of(mended) > 0.2, "the threshold is no longer a half, so positives are still called"


def test_calibration_takes_back_what_weights_did_to_many_classes(make: Make):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 3)) + np.array([3.0, 0.0, -0.5])
    true_p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(3, p=p) for p in true_p])
    weights = balanced_weights(truth, 3)
    weighted = true_p * weights / (true_p * weights).sum(axis=1, keepdims=True)
    said = Answers(truth, weighted.argmax(axis=1), weighted)
    found = ClassCalibration.fit(said, weights)
    mended_NC = np.stack([found.apply(np.log(p_C)) for p_C in weighted])
    assert found.slope == pytest.approx(1.0, abs=0.1)
    assert np.abs(mended_NC - true_p).max() < 0.05
    mended = Answers(truth, mended_NC.argmax(axis=1), mended_NC)
    assert METRICS["ece"].of(mended) < 0.02 and METRICS["brier"].of(mended) < METRICS["brier"].of(said) - 0.05
    assert ClassCalibration.from_state(found.state()) == found
    task = make("classification", INPUT, TARGET, labels=["a", "b", "c"])
    row = int(np.flatnonzero(weighted.argmax(axis=1) != true_p.argmax(axis=1))[0])
    answer = task.answer(0, np.log(weighted[row]), found)
    assert answer.label == "abc"[weighted[row].argmax()], "labels follow the weights, probabilities do not"
    assert answer.probability == pytest.approx(mended_NC[row, weighted[row].argmax()])
