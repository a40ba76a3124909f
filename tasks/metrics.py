"""Metrics by name, with bootstrap intervals.

Shapes: N rows that have both truth and answer, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tokenization.errors import did_you_mean


@dataclass(frozen=True)
class Answers:
    """Truth beside answer.

    Attributes:
        truth_N, answer_N: numbers (regression), class indices (classification) or texts (generation).
        probability_NC: classification: probability of every class.
    """

    truth_N: np.ndarray
    answer_N: np.ndarray
    probability_NC: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.truth_N)

    def take(self, rows: np.ndarray) -> Answers:
        probability = None if self.probability_NC is None else self.probability_NC[rows]
        return Answers(self.truth_N[rows], self.answer_N[rows], probability)


@dataclass(frozen=True)
class Metric:
    """A figure of merit; NaN where it is undefined (one class only, no rows)."""

    of: Callable[[Answers], float]
    higher_is_better: bool = True
    resamples: bool = True  # False: rows drawn twice would count against it, so it has no bootstrap interval


def evaluate(names: Sequence[str], answers: Mapping[str, Answers]) -> dict[str, float]:
    """Each metric over each target column; with several columns, their mean and each one as `name/column`."""
    return _spread(names, answers, lambda metric, a: metric.of(a))


def intervals(
    names: Sequence[str], answers: Mapping[str, Answers], *, samples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap intervals over rows, under the keys of `evaluate`.

    The interval of a mean over target columns resamples each column by itself.
    """
    found = {}
    for name in names:
        draws = {column: _resampled(metric_named(name), a, samples, seed) for column, a in answers.items()}
        if len(draws) > 1:
            found.update({f"{name}/{column}": _central(values) for column, values in draws.items()})
        stacked = np.stack(list(draws.values())) if draws else np.full((1, 1), np.nan)
        known = ~np.isnan(stacked).any(axis=0)
        found[name] = _central(stacked[:, known].mean(axis=0))
    return found


def _resampled(metric: Metric, answers: Answers, samples: int, seed: int) -> np.ndarray:
    """The metric over rows drawn with replacement, `samples` times; NaN where it is undefined."""
    if not metric.resamples:
        return np.full(samples, np.nan)
    rng, rows = np.random.default_rng(seed), len(answers)
    return np.array(
        [metric.of(answers.take(rng.integers(rows, size=rows))) if rows else np.nan for _ in range(samples)]
    )


def _central(values: np.ndarray) -> tuple[float, float]:
    """The central 95 % of the values that are defined."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def metric_named(name: str) -> Metric:
    """A metric by its name in the YAML.

    Raises:
        TaskError: no such metric.
    """
    if name not in METRICS:
        raise TaskError(f"unknown metric {name!r}", hint=did_you_mean(name, METRICS, noun="metric"))
    return METRICS[name]


def _spread(
    names: Sequence[str], answers: Mapping[str, Answers], of: Callable[[Metric, Answers], float]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in names:
        values = {column: of(metric_named(name), a) for column, a in answers.items()}
        known = [value for value in values.values() if not np.isnan(value)]
        found[name] = float(np.mean(known)) if known else float("nan")
        if len(values) > 1:
            found.update({f"{name}/{column}": value for column, value in values.items()})
    return found


def _auroc(a: Answers) -> float:
    return _over_classes(a, _rank_auroc)


def _auprc(a: Answers) -> float:
    return _over_classes(a, _average_precision)


def _over_classes(a: Answers, of: Callable[[np.ndarray, np.ndarray], float]) -> float:
    """Of the positive class; with more than two classes the mean over those that occur, each against the others."""
    present = np.unique(a.truth_N)
    if a.probability_NC is None or len(present) < 2:
        return float("nan")
    classes = [1] if a.probability_NC.shape[1] == 2 else present
    return float(np.mean([of(a.truth_N == c, a.probability_NC[:, c]) for c in classes]))


def _rank_auroc(positive_N: np.ndarray, score_N: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counted half (Mann and Whitney 1947).

    As scikit-learn's `roc_auc_score`, whose checks of its input cost more than the sum in a bootstrap.
    """
    from scipy.stats import rankdata

    positives = int(positive_N.sum())
    negatives = len(positive_N) - positives
    above = rankdata(score_N)[positive_N].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def _average_precision(positive_N: np.ndarray, score_N: np.ndarray) -> float:
    """Precision at each distinct score, weighed by the recall gained there; as scikit-learn's, see `_rank_auroc`."""
    order = np.argsort(-score_N, kind="stable")
    hits_N, ends = positive_N[order].cumsum(), np.flatnonzero(np.diff(score_N[order], append=np.nan))
    found = hits_N[ends]
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / found[-1])


def _accuracy(a: Answers) -> float:
    return float(np.mean(a.truth_N == a.answer_N)) if len(a) else float("nan")


def _balanced_accuracy(a: Answers) -> float:
    recalls = [np.mean(a.answer_N[a.truth_N == c] == c) for c in np.unique(a.truth_N)]
    return float(np.mean(recalls)) if recalls else float("nan")


def _mcc(a: Answers) -> float:
    """Matthews' correlation for any number of classes (Gorodkin 2004); 0 where all answers are one class."""
    if len(np.unique(a.truth_N)) < 2:
        return float("nan")
    classes = int(max(a.truth_N.max(), a.answer_N.max())) + 1
    truth_C, answer_C = (np.bincount(x, minlength=classes).astype(float) for x in (a.truth_N, a.answer_N))
    rows, right = len(a), float((a.truth_N == a.answer_N).sum())
    spread = (rows**2 - (truth_C**2).sum()) * (rows**2 - (answer_C**2).sum())
    return float((right * rows - truth_C @ answer_C) / np.sqrt(spread)) if spread > 0 else 0.0


def _f1(a: Answers) -> float:
    """Of the positive class; macro average with more than two classes."""
    from sklearn.metrics import f1_score

    if not len(a) or a.probability_NC is None:
        return float("nan")
    average = "binary" if a.probability_NC.shape[1] == 2 else "macro"
    return float(f1_score(a.truth_N, a.answer_N, average=average, zero_division=0))


def _brier(a: Answers) -> float:
    """Mean squared error of the probabilities, summed over classes (Brier 1950); two classes: of the positive one."""
    if not len(a) or a.probability_NC is None:
        return float("nan")
    if a.probability_NC.shape[1] == 2:
        return float(np.mean((a.probability_NC[:, 1] - (a.truth_N == 1)) ** 2))
    return float(np.mean(((a.probability_NC - np.eye(a.probability_NC.shape[1])[a.truth_N]) ** 2).sum(axis=1)))


def _mae(a: Answers) -> float:
    return float(np.mean(np.abs(a.truth_N - a.answer_N))) if len(a) else float("nan")


def _mse(a: Answers) -> float:
    return float(np.mean((a.truth_N - a.answer_N) ** 2)) if len(a) else float("nan")


def _rmse(a: Answers) -> float:
    return float(np.sqrt(_mse(a)))


def _nrmse(a: Answers) -> float:
    """RMSE over the standard deviation of the truth."""
    return _rmse(a) / float(a.truth_N.std()) if _varies(a) else float("nan")


def _r2(a: Answers) -> float:
    return 1 - _mse(a) / float(a.truth_N.var()) if _varies(a) else float("nan")


def _pearson(a: Answers) -> float:
    return float(np.corrcoef(a.truth_N, a.answer_N)[0, 1]) if _varies(a) and a.answer_N.std() > 0 else float("nan")


def _spearman(a: Answers) -> float:
    from scipy.stats import rankdata

    if not _varies(a) or a.answer_N.std() == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(a.truth_N), rankdata(a.answer_N))[0, 1])


def _varies(a: Answers) -> bool:
    return len(a) > 1 and float(a.truth_N.std()) > 0


def _exact_match(a: Answers) -> float:
    return float(np.mean([t == g for t, g in zip(a.truth_N, a.answer_N, strict=True)])) if len(a) else float("nan")


def _molecule_match(a: Answers) -> float:
    """Share of answers that are the same molecule as the truth (equal canonical SMILES)."""
    from mammal.tasks.chemistry import canonical_or_none

    said = [canonical_or_none(text) for text in a.answer_N]
    same = [s is not None and s == canonical_or_none(t) for s, t in zip(said, a.truth_N, strict=True)]
    return float(np.mean(same)) if same else float("nan")


def _validity(a: Answers) -> float:
    """Share of generated SMILES that RDKit parses."""
    from mammal.tasks.chemistry import canonical_or_none

    return float(np.mean([canonical_or_none(text) is not None for text in a.answer_N])) if len(a) else float("nan")


def _uniqueness(a: Answers) -> float:
    """Distinct molecules over valid ones."""
    from mammal.tasks.chemistry import canonical_or_none

    valid = [c for text in a.answer_N if (c := canonical_or_none(text)) is not None]
    return len(set(valid)) / len(valid) if valid else float("nan")


METRICS: dict[str, Metric] = {
    "auroc": Metric(_auroc),
    "auprc": Metric(_auprc),
    "accuracy": Metric(_accuracy),
    "balanced_accuracy": Metric(_balanced_accuracy),
    "mcc": Metric(_mcc),
    "f1": Metric(_f1),
    "brier": Metric(_brier, higher_is_better=False),
    "mae": Metric(_mae, higher_is_better=False),
    "mse": Metric(_mse, higher_is_better=False),
    "rmse": Metric(_rmse, higher_is_better=False),
    "nrmse": Metric(_nrmse, higher_is_better=False),
    "r2": Metric(_r2),
    "pearson": Metric(_pearson),
    "spearman": Metric(_spearman),
    "exact_match": Metric(_exact_match),
    "molecule_match": Metric(_molecule_match),
    "validity": Metric(_validity),
    "uniqueness": Metric(_uniqueness, resamples=False),
}
