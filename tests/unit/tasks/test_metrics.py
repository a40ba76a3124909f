from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from mammal.tasks.errors import TaskError
from mammal.tasks.metrics import METRICS, Answers, evaluate, intervals

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(2, size=300)
POSITIVE = np.clip(0.3 * TRUTH + RNG.uniform(0, 0.7, size=300), 0, 1)
CLASSES = Answers(TRUTH, (POSITIVE > 0.5).astype(int), np.stack([1 - POSITIVE, POSITIVE], axis=1))
NUMBERS = Answers(RNG.normal(size=200), np.zeros(200))
NUMBERS = Answers(NUMBERS.truth_N, NUMBERS.truth_N * 2 + RNG.normal(size=200))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auroc", reference.roc_auc_score(TRUTH, POSITIVE)),
        ("auprc", reference.average_precision_score(TRUTH, POSITIVE)),
        ("accuracy", reference.accuracy_score(TRUTH, CLASSES.answer_N)),
        ("balanced_accuracy", reference.balanced_accuracy_score(TRUTH, CLASSES.answer_N)),
        ("mcc", reference.matthews_corrcoef(TRUTH, CLASSES.answer_N)),
        ("f1", reference.f1_score(TRUTH, CLASSES.answer_N)),
        ("brier", reference.brier_score_loss(TRUTH, POSITIVE)),
    ],
)
def test_classification_metrics_agree_with_scikit_learn(name: str, expected: float):
    assert METRICS[name].of(CLASSES) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rmse", reference.root_mean_squared_error(NUMBERS.truth_N, NUMBERS.answer_N)),
        ("mae", reference.mean_absolute_error(NUMBERS.truth_N, NUMBERS.answer_N)),
        ("mse", reference.mean_squared_error(NUMBERS.truth_N, NUMBERS.answer_N)),
        ("r2", reference.r2_score(NUMBERS.truth_N, NUMBERS.answer_N)),
        ("pearson", stats.pearsonr(NUMBERS.truth_N, NUMBERS.answer_N)[0]),
        ("spearman", stats.spearmanr(NUMBERS.truth_N, NUMBERS.answer_N)[0]),
    ],
)
def test_regression_metrics_agree_with_scipy_and_scikit_learn(name: str, expected: float):
    assert METRICS[name].of(NUMBERS) == pytest.approx(expected)


def test_metrics_of_many_classes_average_over_those_present():
    probability = RNG.dirichlet(np.ones(4), size=60)
    truth = RNG.integers(3, size=60)
    answers = Answers(truth, probability.argmax(axis=1), probability)
    one_against_all = [reference.roc_auc_score(truth == c, probability[:, c]) for c in range(3)]
    assert METRICS["auroc"].of(answers) == pytest.approx(np.mean(one_against_all))
    expected = reference.f1_score(truth, answers.answer_N, average="macro", zero_division=0)
    assert METRICS["f1"].of(answers) == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_rows_give_nan_and_no_crash(name: str):
    empty = np.zeros(0)
    assert np.isnan(METRICS[name].of(Answers(empty, empty, np.zeros((0, 2)))))


@pytest.mark.parametrize("name", ["auroc", "auprc", "mcc"])
def test_a_single_class_gives_nan_where_a_metric_needs_two(name: str):
    one = Answers(np.ones(5, int), np.ones(5, int), np.tile([0.2, 0.8], (5, 1)))
    assert np.isnan(METRICS[name].of(one))


def test_metrics_of_generated_text():
    texts = Answers(np.array(["CCO", "C", "N"], dtype=object), np.array(["OCC", "C", "N("], dtype=object))
    assert evaluate(["exact_match", "molecule_match", "validity", "uniqueness"], {"s": texts}) == {
        "exact_match": pytest.approx(1 / 3),
        "molecule_match": pytest.approx(2 / 3),
        "validity": pytest.approx(2 / 3),
        "uniqueness": 1.0,
    }


def test_intervals_hold_the_figure_and_shrink_with_rows():
    few = intervals(["auroc"], {"y": CLASSES.take(np.arange(40))}, samples=60)["auroc"]
    many = intervals(["auroc"], {"y": CLASSES}, samples=60)["auroc"]
    assert many[0] < METRICS["auroc"].of(CLASSES) < many[1]
    assert many[1] - many[0] < few[1] - few[0]
    assert intervals(["auroc"], {"y": CLASSES}, samples=60)["auroc"] == many, "seeded"


def test_an_unknown_metric_suggests_one():
    with pytest.raises(TaskError, match="did you mean auroc"):
        evaluate(["aurocc"], {"y": CLASSES})


@pytest.mark.parametrize("classes", [2, 4])
def test_class_metrics_equal_scikit_learns_where_scores_tie(classes):
    rng = np.random.default_rng(3)
    truth_N = rng.integers(classes, size=300)
    probability_NC = rng.dirichlet(np.ones(classes), size=300).round(2)
    answers = Answers(truth_N, probability_NC.argmax(axis=1), probability_NC)
    every_class = [1] if classes == 2 else range(classes)

    def mean_of(of):
        return np.mean([of(truth_N == c, probability_NC[:, c]) for c in every_class])

    found = evaluate(["auroc", "auprc", "mcc"], {"y": answers})
    assert found["auroc"] == pytest.approx(mean_of(reference.roc_auc_score))
    assert found["auprc"] == pytest.approx(mean_of(reference.average_precision_score))
    assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(truth_N, answers.answer_N))


def test_uniqueness_has_no_bootstrap_interval():
    texts = Answers(np.array(["C", "C"], dtype=object), np.array(["CCO", "CO"], dtype=object))
    assert np.isnan(intervals(["uniqueness"], {"s": texts}, samples=10)["uniqueness"]).all()
