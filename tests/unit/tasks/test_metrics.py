from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from mammal.tasks.errors import TaskError
from mammal.tasks.metrics.registry import METRICS, Answers, check_metrics, compute_metrics, intervals

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
        ("nrmse", np.sqrt(1 - reference.r2_score(NUMBERS.truth_N, NUMBERS.answer_N))),
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
    top3 = reference.top_k_accuracy_score(truth, probability, k=3, labels=range(4))
    assert METRICS["top3_accuracy"].of(answers) == pytest.approx(top3)
    onehot = np.eye(4)[truth]
    assert METRICS["brier"].of(answers) == pytest.approx(((probability - onehot) ** 2).sum(axis=1).mean())


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_rows_give_nan_and_no_crash(name: str):
    empty = np.zeros(0)
    assert np.isnan(METRICS[name].of(Answers(empty, empty, np.zeros((0, 2)))))


@pytest.mark.parametrize("name", ["r2", "nrmse", "pearson", "spearman", "ci"])
def test_equal_numbers_do_not_vary_however_their_mean_is_rounded(name: str):
    different, equal = np.arange(113.0), np.full(113, -1.060057226030689)
    assert equal.std() > 0, "rounding makes it so"
    assert np.isnan(METRICS[name].of(Answers(equal, different)))
    if name in ("pearson", "spearman"):
        assert np.isnan(METRICS[name].of(Answers(different, equal)))
    if name == "ci":
        assert METRICS[name].of(Answers(different, equal)) == 0.5


@pytest.mark.parametrize("name", ["auroc", "auprc", "mcc"])
def test_a_single_class_gives_nan_where_a_metric_needs_two(name: str):
    one = Answers(np.ones(5, int), np.ones(5, int), np.tile([0.2, 0.8], (5, 1)))
    assert np.isnan(METRICS[name].of(one))


def test_metrics_of_generated_text():
    texts = Answers(np.array(["CCO", "C", "N"], dtype=object), np.array(["OCC", "C", "N("], dtype=object))
    assert compute_metrics(["exact_match", "molecule_match", "validity", "uniqueness"], {"s": texts}) == {
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
        compute_metrics(["aurocc"], {"y": CLASSES})


@pytest.mark.parametrize("classes", [2, 4])
def test_class_metrics_equal_scikit_learns_where_scores_tie(classes):
    rng = np.random.default_rng(3)
    truth_N = rng.integers(classes, size=300)
    probability_NC = rng.dirichlet(np.ones(classes), size=300).round(2)
    answers = Answers(truth_N, probability_NC.argmax(axis=1), probability_NC)
    every_class = [1] if classes == 2 else range(classes)

    def mean_of(of):
        return np.mean([of(truth_N == c, probability_NC[:, c]) for c in every_class])

    found = compute_metrics(["auroc", "auprc", "mcc"], {"y": answers})
    assert found["auroc"] == pytest.approx(mean_of(reference.roc_auc_score))
    assert found["auprc"] == pytest.approx(mean_of(reference.average_precision_score))
    assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(truth_N, answers.answer_N))


def test_uniqueness_has_no_bootstrap_interval():
    texts = Answers(np.array(["C", "C"], dtype=object), np.array(["CCO", "CO"], dtype=object))
    assert np.isnan(intervals(["uniqueness"], {"s": texts}, samples=10)["uniqueness"]).all()


def concordance(truth: np.ndarray, said: np.ndarray) -> float:
    """The definition, pair by pair."""
    higher = truth[:, None] > truth[None, :]
    right = (said[:, None] > said[None, :]) + 0.5 * (said[:, None] == said[None, :])
    return float(right[higher].sum() / higher.sum())


@pytest.mark.parametrize("ties", [0.0, 0.7])
def test_the_concordance_index_is_the_share_of_pairs_in_the_right_order(ties: float):
    """With 70 % of the truths tied, as at pKd 5 in Davis, and answers that tie too."""
    rng = np.random.default_rng(0)
    truth = np.where(rng.uniform(size=400) < ties, 5.0, rng.uniform(5, 10, size=400))
    for decimals in (1, 8):
        said = (truth + rng.normal(size=400)).round(decimals)
        assert METRICS["ci"].of(Answers(truth, said)) == pytest.approx(concordance(truth, said), abs=1e-12)
    assert METRICS["ci"].of(Answers(truth, np.zeros(400))) == 0.5
    assert METRICS["ci"].of(Answers(truth, truth)) == 1.0 and METRICS["ci"].of(Answers(truth, -truth)) == 0.0
    assert np.isnan(METRICS["ci"].of(Answers(np.ones(5), np.arange(5.0))))


def test_the_concordance_index_of_many_rows_is_quick():
    rng = np.random.default_rng(0)
    many = Answers(rng.normal(size=100_000), rng.normal(size=100_000))
    assert METRICS["ci"].of(many) == pytest.approx(0.5, abs=0.01), "ten billion pairs, were they counted"


def test_calibration_error_is_the_distance_of_what_is_said_from_what_is_so():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    truth = (rng.uniform(size=20_000) < p).astype(int)
    honest = Answers(truth, (p > 0.5).astype(int), np.stack([1 - p, p], axis=1))
    q = np.clip(p + 0.2, 0, 1)
    boasting = Answers(truth, (q > 0.5).astype(int), np.stack([1 - q, q], axis=1))
    assert METRICS["ece"].of(honest) < 0.015
    assert METRICS["ece"].of(boasting) == pytest.approx((q - p).mean(), abs=0.015)
    sure = Answers(np.array([0, 1, 2, 0]), np.zeros(4, int), np.tile([0.8, 0.1, 0.1], (4, 1)))
    assert METRICS["ece"].of(sure) == pytest.approx(0.3), "four of four at 0.8, two of them right"


def multi_label() -> dict[str, Answers]:
    """Two labels with both classes, one without a positive."""
    rng = np.random.default_rng(0)
    found = {}
    for column, share in (("a", 0.5), ("b", 0.3), ("never", 0.0)):
        truth = (rng.uniform(size=80) < share).astype(int)
        p = np.clip(0.3 * truth + rng.uniform(0, 0.7, size=80), 0, 1)
        found[column] = Answers(truth, (p > 0.5).astype(int), np.stack([1 - p, p], axis=1))
    return found


def test_labels_of_one_class_are_left_out_of_the_mean_and_named(caplog: pytest.LogCaptureFixture):
    answers = multi_label()
    with caplog.at_level("INFO"):
        scores = compute_metrics(["auroc", "brier"], answers)
        compute_metrics(["auroc"], answers)
    assert "auroc/never" not in scores and scores["auroc"] == np.mean([scores["auroc/a"], scores["auroc/b"]])
    assert "brier/never" in scores, "it is defined with one class"
    assert [r.getMessage() for r in caplog.records] == ["auroc is undefined for 1 of 3 target columns: never"]
    bounds = intervals(["auroc"], answers, samples=50)
    assert set(bounds) == {"auroc", "auroc/a", "auroc/b"} and bounds["auroc"][0] < scores["auroc"] < bounds["auroc"][1]


def test_a_row_is_drawn_with_all_its_labels():
    """Two columns that say the same have a mean that varies as much as either."""
    twice = intervals(["auroc"], {"a": CLASSES, "b": CLASSES}, samples=60)
    assert twice["auroc"] == twice["auroc/a"] == twice["auroc/b"]
    # Of the second column, every other row has a label: what is drawn of it are the same rows.
    odd = np.arange(1, len(CLASSES), 2)
    half = intervals(["mcc"], {"a": CLASSES, "b": CLASSES.take(odd)}, samples=60)
    assert half["mcc/b"][1] - half["mcc/b"][0] > half["mcc/a"][1] - half["mcc/a"][0]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("rmse", "classification", "does not apply to a classification task"),
        ("auroc", "regression", "rmse"),
        ("mae", "generation", "exact_match"),
        ("auroq", "classification", "did you mean auroc"),
    ],
)
def test_a_metric_that_does_not_fit_the_kind_is_refused(name: str, kind: str, message: str):
    with pytest.raises(TaskError, match=message):
        check_metrics([name], kind)


def test_numbers_among_generated_text_may_be_judged():
    check_metrics(["mae", "exact_match"], "generation", has_numbers=True)
