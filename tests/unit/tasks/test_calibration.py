from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from mammal.tasks.metrics.registry import Answers
from mammal.tasks.targets.calibration import ClassCalibration, ConformalInterval, best_threshold


def answers(truth: np.ndarray, probability: np.ndarray) -> Answers:
    return Answers(truth, probability.argmax(axis=1), probability)


def test_platt_scaling_mends_overconfidence():
    rng = np.random.default_rng(0)
    log_odds = rng.normal(size=2000)
    truth = (rng.uniform(size=2000) < 1 / (1 + np.exp(-log_odds))).astype(int)
    stretched = 1 / (1 + np.exp(-(4 * log_odds + 1)))
    found = ClassCalibration.fit(answers(truth, np.stack([1 - stretched, stretched], axis=1)))
    assert found.slope == pytest.approx(0.25, abs=0.05) and found.shift == pytest.approx(-0.25, abs=0.1)
    mended = np.array([found.apply(np.log([1 - p, p]))[1] for p in stretched])
    assert log_loss(truth, mended) < log_loss(truth, stretched) - 0.1


def test_temperature_mends_many_classes():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1500, 5))
    true_p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(5, p=p) for p in true_p])
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    found = ClassCalibration.fit(answers(truth, sharp))
    assert found.slope == pytest.approx(1 / 3, abs=0.06)
    assert found.apply(np.log(sharp[0])).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("truth", [np.zeros(100, int), np.array([0, 1] * 5)])
def test_too_little_to_learn_from_gives_no_calibration(truth: np.ndarray):
    assert ClassCalibration.fit(answers(truth, np.full((len(truth), 2), 0.5))) is None


def test_separable_rows_keep_calibration_finite():
    truth = np.array([0, 1] * 50)
    positive = np.where(truth == 1, 1.0, 0.0)
    found = ClassCalibration.fit(answers(truth, np.stack([1 - positive, positive], axis=1)))
    assert np.isfinite([found.slope, found.shift]).all()
    assert 0 < found.apply(np.log([1e-9, 1 - 1e-9]))[1] < 1


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=3, max_size=40))
def test_the_threshold_is_the_best_one_there_is(rows: list[tuple[int, int]]):
    truth, positive = np.array([t for t, _ in rows]), np.array([p / 20 for _, p in rows])
    best, found = max(mcc(truth, positive >= t) for t in np.unique(positive)), best_threshold(truth, positive)
    if best > 1e-9:
        assert mcc(truth, positive >= found) == pytest.approx(best)
    else:
        assert found == 0.5


def mcc(truth: np.ndarray, called: np.ndarray) -> float:
    """Matthews correlation, 0 where it is undefined."""
    return float(np.nan_to_num(np.corrcoef(truth, called)[0, 1])) if truth.std() and called.std() else 0.0


def test_conformal_intervals_cover_new_rows():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(50):
        interval = ConformalInterval.fit(np.zeros(60), rng.standard_t(3, size=60))
        new = rng.standard_t(3, size=400)
        covered.append(np.mean(np.abs(new) <= interval.half_width))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


def test_conformal_intervals_need_rows_and_come_back_from_their_state():
    assert ConformalInterval.fit(np.zeros(5), np.ones(5)) is None
    interval = ConformalInterval.fit(np.zeros(100), np.arange(100.0))
    assert interval.half_width == 90 and interval.around(5.0) == (-85.0, 95.0)
    assert ConformalInterval.from_state(interval.state()) == interval


def test_validation_rows_that_contradict_the_ranking_do_not_turn_it_round():
    truth_N = np.array([0, 1] * 20)
    positive_N = np.where(truth_N == 1, 0.3, 0.7)
    assert ClassCalibration.fit(Answers(truth_N, truth_N, np.stack([1 - positive_N, positive_N], axis=1))) is None
