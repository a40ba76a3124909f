from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from mammal.tasks.metrics.registry import Answers
from mammal.tasks.targets.calibration import ClassCalibration, best_threshold
from mammal.tasks.targets.conformal import COVERAGE, LEVELS, ConformalInterval, LabelSets
from mammal.tasks.targets.probability_curves import ProbabilityCurve, choose_curve, fit_isotonic, fit_venn_abers


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


def test_probabilities_that_are_right_already_mostly_stay_as_they_are():
    kept = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        positive = rng.uniform(0.02, 0.98, size=150)
        truth = (rng.uniform(size=150) < positive).astype(int)
        found = ClassCalibration.fit(answers(truth, np.stack([1 - positive, positive], axis=1)))
        if (found.slope, found.shift) == (1.0, 0.0):
            assert found.apply(np.log([0.7, 0.3])) == pytest.approx([0.7, 0.3])
            kept += 1
    assert kept >= 14  # a gain above its standard error has a chance of about one in six


def test_platt_scaling_needs_no_folds_for_a_rare_class():
    truth = np.array([1] * 4 + [0] * 60)
    positive = np.where(truth == 1, 0.45, np.linspace(0.3, 0.5, 64))
    found = ClassCalibration.fit(answers(truth, np.stack([1 - positive, positive], axis=1)))
    assert found.shift != 0.0


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


def test_intervals_are_wider_where_errors_are_larger():
    rng = np.random.default_rng(0)
    similarity = rng.uniform(0.2, 1.0, size=4000)
    error = rng.normal(size=4000) * (0.2 + 2 * (1 - similarity))
    interval = ConformalInterval.fit(np.zeros(2000), error[:2000], similarity_N=similarity[:2000])
    assert interval.difficulty is not None
    half = np.array([interval.around(0.0, s)[1] for s in similarity[2000:]])
    inside = np.abs(error[2000:]) <= half
    near, far = similarity[2000:] > 0.8, similarity[2000:] < 0.4
    assert half[far].mean() > 2 * half[near].mean()
    assert inside.mean() == pytest.approx(COVERAGE, abs=0.025)
    assert inside[near].mean() == pytest.approx(COVERAGE, abs=0.05) and inside[far].mean() == pytest.approx(
        0.9, abs=0.05
    )
    plain = ConformalInterval.fit(np.zeros(2000), error[:2000])
    assert interval.around(1.0) == plain.around(1.0), "without a similarity, the width is that of all rows"
    levels = np.array([interval.half_widths_of(s) for s in similarity[2000:]])
    shares = (np.abs(error[2000:])[:, None] <= levels).mean(axis=0)
    assert np.abs(shares - LEVELS).max() < 0.04
    assert interval.half_widths_of() == () and len(plain.half_widths_of()) == len(LEVELS)
    again = ConformalInterval.from_state(interval.state())
    assert again == interval and again.around(0.0, 0.5) == interval.around(0.0, 0.5)


def test_a_similarity_that_tells_nothing_leaves_the_width_constant():
    error = np.linspace(0.1, 2.0, 200)
    interval = ConformalInterval.fit(np.zeros(200), error, similarity_N=np.linspace(0.1, 0.9, 200))
    assert interval.difficulty is None and interval.around(0.0, 0.1) == interval.around(0.0, 0.9)


def test_earlier_states_and_earlier_readers():
    interval = ConformalInterval.from_state({"half_width": 1.5, "coverage": 0.9})
    assert interval.around(1.0, 0.2, 3.0) == (-0.5, 2.5) and interval.half_widths_of() == ()
    assert interval.state() == {"half_width": 1.5, "coverage": 0.9}
    fitted = ConformalInterval.fit(np.zeros(20), np.arange(20.0))
    assert len(fitted.half_widths) == len(LEVELS) and ConformalInterval.from_state(fitted.state()) == fitted


def test_label_sets_cover_each_class():
    rng = np.random.default_rng(1)
    truth = (rng.uniform(size=6000) < 0.1).astype(int)
    positive = 1 / (1 + np.exp(-(1.5 * truth - 2.5 + rng.normal(size=6000))))
    both = np.stack([1 - positive, positive], axis=1)
    sets = LabelSets.fit(truth[:3000], both[:3000])
    found = [sets.of(row) for row in both[3000:].tolist()]
    for label in (0, 1):
        inside = np.mean([label in one for one, true in zip(found, truth[3000:], strict=True) if true == label])
        assert inside == pytest.approx(COVERAGE, abs=0.04), f"class {label}"
    assert {len(one) for one in found} >= {1, 2}
    assert LabelSets.from_state(sets.state()) == sets


def test_a_label_with_few_rows_is_in_every_set():
    truth = np.array([0] * 40 + [1] * 3)
    both = np.stack([np.where(truth == 0, 0.9, 0.2), np.where(truth == 0, 0.1, 0.8)], axis=1)
    sets = LabelSets.fit(truth, both)
    assert (
        sets.thresholds == pytest.approx((0.9, 0.0)) and sets.of((0.95, 0.05)) == (0, 1) and sets.of((0.5, 0.5)) == (1,)
    )
    assert LabelSets.fit(truth[38:], both[38:]) is None


@pytest.mark.parametrize("fit", [fit_isotonic, fit_venn_abers])
def test_a_curve_mends_what_slope_and_shift_can_not(fit):
    rng = np.random.default_rng(0)
    said, truth = bent(rng, 3000)
    curve = fit(said[:1500], truth[:1500])
    assert log_loss(truth[1500:], curve(said[1500:])) < log_loss(truth[1500:], said[1500:]) - 0.02
    order = np.argsort(said[1500:], kind="stable")
    assert (np.diff(curve(said[1500:])[order]) >= -1e-12).all(), "a curve keeps the order of rows"
    assert len(np.unique(curve(said[1500:]))) == len(np.unique(said[1500:])), "and makes no ties"
    assert ProbabilityCurve.from_state(curve.state()) == curve and isinstance(curve(0.3), float)
    assert curve(np.array([0.0, 1.0])).min() > 0 and curve(np.array([0.0, 1.0])).max() < 1


def test_a_curve_is_chosen_only_where_it_is_better():
    rng = np.random.default_rng(0)
    said, truth = bent(rng, 1500)
    assert choose_curve(said, truth) is not None
    assert choose_curve(said[:150], truth[:150]) is None
    right = rng.uniform(size=1500)
    assert choose_curve(right, (rng.uniform(size=1500) < right).astype(int)) is None
    found = ClassCalibration.fit(answers(truth, np.stack([1 - said, said], axis=1)))
    assert found.curve is not None and ClassCalibration.from_state(found.state()) == found
    applied = np.array([found.apply(np.log([1 - p, p]))[1] for p in said])
    assert mcc(truth, applied >= found.threshold) == pytest.approx(max(mcc(truth, applied >= t) for t in applied))


def bent(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right below one half and much too high above, and labels."""
    true = rng.uniform(0.02, 0.98, size=rows)
    said = np.where(true < 0.5, true, 1 - (1 - true) ** 4 * 8)
    return np.where(true < 0.7, said, 0.9 + 0.09 * true), (
        rng.uniform(size=rows) < np.where(true < 0.7, true, 0.55)
    ).astype(int)
