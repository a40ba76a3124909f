"""The table of metrics, their evaluation over the target columns of a task, and bootstrap intervals.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.metrics import (
    caption_metrics,
    class_metrics,
    condition_metrics,
    consistency_metrics,
    name_metrics,
    sequence_metrics,
    set_metrics,
    text_metrics,
    token_metrics,
    value_metrics,
    vector_metrics,
)
from mammal.tasks.metrics.answers import Answers, Holds
from mammal.tokenization.errors import did_you_mean

__all__ = ["METRICS", "Answers", "Metric", "check_metrics", "compute_metrics", "intervals", "metric_named"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        of: function that computes its value; NaN if undefined (one class only, no rows).
        reads: kind of answers that it needs.
        higher_is_better: whether a higher value is better.
        resamples: False: rows that are sampled twice would distort the metric, so it has no bootstrap interval.
        ranks: number of answers of a row that it uses.
        by_row: for a mean over rows: function that returns the value of each row, float64 [N], NaN if a row can't be
            evaluated. The bootstrap then samples these values and does not evaluate answers again.
        sums: for a function of sums over rows: function that returns the summands of each row, float64 [N, S].
        of_sums: the function of these sums, [S].
        weighted: for pairs that are tokens: function that returns the metric as a function of the number of times that
            each pair counts. The bootstrap then does not copy pairs.
        parts: for a mean over rows: function that returns its components by name, which are reported as `name/part`.
    """

    of: Callable[[Answers], float]
    reads: Holds
    higher_is_better: bool = True
    resamples: bool = True
    ranks: int = 1
    by_row: Callable[[Answers], np.ndarray] | None = None
    sums: Callable[[Answers], np.ndarray] | None = None
    of_sums: Callable[[np.ndarray], float] | None = None
    parts: Callable[[Answers], Mapping[str, np.ndarray]] | None = None
    weighted: Callable[[Answers], token_metrics.Weighted] | None = None


def compute_metrics(names: Sequence[str], answers: Mapping[str, Answers]) -> dict[str, float]:
    """Computes each metric over all target columns to which it applies.

    Columns for which a metric is undefined are left out of its mean and named in the log (the rule of MoleculeNet for
    labels with one class in the test set, Wu et al. 2018).

    Args:
        names: names of the metrics.
        answers: target column -> truth and answers.

    Returns:
        Metric -> value, the mean over columns; with several columns also `name/column` -> value. NaN if a metric is
        undefined for all columns.
    """
    found: dict[str, float] = {}
    for name, metric in _with_parts(names, answers):
        values, skipped = _by_column(metric, answers)
        found[name] = float(np.mean(list(values.values()))) if values else float("nan")
        if len(answers) > 1:
            found.update({f"{name}/{column}": value for column, value in values.items()})
            _tell_skipped(name, tuple(skipped), len(answers))
    return found


def intervals(
    names: Sequence[str], answers: Mapping[str, Answers], *, samples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Computes 95 % percentile bootstrap intervals over rows.

    A row is sampled with all its target columns at once. The mean of each bootstrap sample is over the columns for
    which the metric is defined in it.

    Args:
        names: names of the metrics.
        answers: target column -> truth and answers.
        samples: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        Keys of `compute_metrics` -> (low, high); NaN for a metric without interval.
    """
    found = {}
    for name, metric in _with_parts(names, answers):
        judged = {column: answers[column] for column in _by_column(metric, answers)[0]}
        draws = _resampled(metric, judged, samples, seed) if judged and metric.resamples else {}
        if len(answers) > 1:
            found.update({f"{name}/{column}": _central(draws.get(column, _UNKNOWN)) for column in judged})
        found[name] = _central(_mean_of_known(list(draws.values())))
    return found


def check_metrics(names: Sequence[str], kind: str, *, has_numbers: bool = False) -> None:
    """Checks that metrics exist and apply to a kind of task.

    Args:
        names: names of the metrics.
        kind: kind of the task.
        has_numbers: whether the task generates numbers among its text.

    Raises:
        TaskError: a metric is unknown (a hint gives the nearest name) or does not apply (a hint lists those that do).
    """
    readable: set[str] = {
        "classification": {"classes"},
        "token_classification": {"classes"},
        "regression": {"numbers"},
        "features": {"scores", "bits"},
    }.get(kind, {"texts"})
    if has_numbers:
        readable = readable | {"numbers"}
    for name in names:
        if metric_named(name).reads not in readable:
            hint = "one of " + ", ".join(n for n, metric in METRICS.items() if metric.reads in readable)
            raise TaskError(f"metric {name!r} does not apply to a {kind} task", hint=hint)


def metric_named(name: str) -> Metric:
    """Returns a metric by its name in declarations.

    Raises:
        TaskError: there is no such metric.
    """
    if name not in METRICS:
        raise TaskError(f"unknown metric {name!r}", hint=did_you_mean(name, METRICS, noun="metric"))
    return METRICS[name]


def _with_parts(names: Sequence[str], answers: Mapping[str, Answers]) -> list[tuple[str, Metric]]:
    """The metrics with their keys, each followed by its parts."""
    found = []
    for name in names:
        metric = metric_named(name)
        found.append((name, metric))
        if metric.parts is not None:
            readable = [a for a in answers.values() if a.holds == metric.reads]
            every = dict.fromkeys(part for a in readable for part in metric.parts(a))
            found += [(f"{name}/{part}", _part(metric, part)) for part in every]
    return found


def _part(metric: Metric, part: str) -> Metric:
    """One part of a metric, as a metric."""
    assert metric.parts is not None, "only metrics with parts are taken apart"
    of_answers = metric.parts
    return _mean(lambda a: of_answers(a).get(part, np.full(len(a), np.nan)), higher_is_better=metric.higher_is_better)


def _by_column(metric: Metric, answers: Mapping[str, Answers]) -> tuple[dict[str, float], list[str]]:
    """The metric of each column to which it applies, and the columns for which it is undefined."""
    values = {column: metric.of(a) for column, a in answers.items() if a.holds == metric.reads}
    skipped = [column for column, value in values.items() if np.isnan(value)]
    return {column: value for column, value in values.items() if column not in skipped}, skipped


@lru_cache(maxsize=1024)
def _tell_skipped(name: str, columns: tuple[str, ...], of: int) -> None:
    """Logs undefined columns once for each case; otherwise every validation would repeat it."""
    if columns:
        logger.info("%s is undefined for %d of %d target columns: %s", name, len(columns), of, ", ".join(columns))


def _resampled(metric: Metric, answers: Mapping[str, Answers], samples: int, seed: int) -> dict[str, np.ndarray]:
    """The metric of each column in `samples` bootstrap samples of rows; NaN if it is undefined."""
    places = np.unique(np.concatenate([a.numbers_N for a in answers.values()]), return_inverse=True)[1]
    cuts = np.cumsum([len(a) for a in answers.values()])[:-1]
    rows_N = dict(zip(answers, np.split(places, cuts), strict=True))
    rng, rows = np.random.default_rng(seed), int(places.max()) + 1
    judges = {column: _judge(metric, a) for column, a in answers.items()}
    draws: dict[str, list[float]] = {column: [] for column in answers}
    for _ in range(samples):
        times = np.bincount(rng.integers(rows, size=rows), minlength=rows)
        for column, judge in judges.items():
            draws[column].append(judge(times[rows_N[column]]))
    return {column: np.array(values) for column, values in draws.items()}


def _judge(metric: Metric, a: Answers) -> Callable[[np.ndarray], float]:
    """Returns a function from the number of times that each row is sampled, int64 [N], to the metric."""
    if a.by_token and metric.weighted is not None:
        return metric.weighted(a)
    if metric.sums is not None and metric.of_sums is not None:
        sums_NS, of_sums = metric.sums(a), metric.of_sums
        return lambda times_N: of_sums(times_N @ sums_NS)
    if metric.by_row is None:
        return lambda times_N: metric.of(a.take(np.repeat(np.arange(len(a)), times_N)))
    found_N = metric.by_row(a)
    known_N = ~np.isnan(found_N)
    values_N = np.where(known_N, found_N, 0.0)

    def judge(times_N: np.ndarray) -> float:
        counted = int(times_N[known_N].sum())
        return float(values_N @ times_N) / counted if counted else float("nan")

    return judge


def _mean(
    by_row: Callable[[Answers], np.ndarray],
    ranks: int = 1,
    *,
    higher_is_better: bool = True,
    parts: Callable[[Answers], Mapping[str, np.ndarray]] | None = None,
) -> Metric:
    """A metric of texts that is the mean over the rows for which it is defined."""

    def of(a: Answers) -> float:
        found_N = by_row(a)
        known_N = found_N[~np.isnan(found_N)]
        return float(known_N.mean()) if len(known_N) else float("nan")

    return Metric(of, "texts", higher_is_better, ranks=ranks, by_row=by_row, parts=parts)


def _of_counts(of: Callable[[Answers], float], of_confusion: Callable[[np.ndarray], float]) -> Metric:
    """A metric of classes that is a function of the confusion matrix."""
    return Metric(of, "classes", weighted=token_metrics.of_confusion(of_confusion))


def _of_sums(sums: Callable[[Answers], np.ndarray], of_sums: Callable[[np.ndarray], float]) -> Metric:
    """A metric of texts that is a function of sums over rows."""
    return Metric(lambda a: of_sums(sums(a).sum(axis=0)), "texts", sums=sums, of_sums=of_sums)


_UNKNOWN = np.full(1, np.nan)


def _mean_of_known(draws: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over columns of each bootstrap sample, without NaN."""
    if not draws:
        return _UNKNOWN
    stacked = np.stack(draws)
    known = ~np.isnan(stacked)
    defined = known.any(axis=0)
    return np.where(known, stacked, 0).sum(axis=0)[defined] / known.sum(axis=0)[defined]


def _central(values: np.ndarray) -> tuple[float, float]:
    """The central 95 % interval of the defined values."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


LOG_METRICS = ("rmse_log10", "r2_log10")
"""Metrics that a task whose numbers are learned as logarithms always has."""

METRICS: dict[str, Metric] = {
    "auroc": Metric(class_metrics.auroc, "classes", weighted=token_metrics.auroc),
    "auprc": Metric(class_metrics.auprc, "classes", weighted=token_metrics.auprc),
    "accuracy": _of_counts(class_metrics.accuracy, token_metrics.accuracy),
    "row_accuracy": Metric(
        class_metrics.row_accuracy, "classes", by_row=class_metrics.right, weighted=token_metrics.row_accuracy
    ),
    "balanced_accuracy": _of_counts(class_metrics.balanced_accuracy, token_metrics.balanced_accuracy),
    "top3_accuracy": Metric(class_metrics.top3_accuracy, "classes"),
    "mcc": _of_counts(class_metrics.mcc, token_metrics.mcc),
    "f1": _of_counts(class_metrics.f1, token_metrics.f1),
    "brier": Metric(class_metrics.brier, "classes", higher_is_better=False),
    # Repeated rows leave fewer distinct rows per bin. Their noise adds to this error, so samples are biased upwards.
    "ece": Metric(class_metrics.ece, "classes", higher_is_better=False, resamples=False),
    "mae": Metric(value_metrics.mae, "numbers", higher_is_better=False),
    "mse": Metric(value_metrics.mse, "numbers", higher_is_better=False),
    "rmse": Metric(value_metrics.rmse, "numbers", higher_is_better=False),
    "nrmse": Metric(value_metrics.nrmse, "numbers", higher_is_better=False),
    "r2": Metric(value_metrics.r2, "numbers"),
    "pearson": Metric(value_metrics.pearson, "numbers"),
    "spearman": Metric(value_metrics.spearman, "numbers"),
    "ci": Metric(value_metrics.ci, "numbers"),
    "rmse_log10": Metric(value_metrics.rmse_log10, "numbers", higher_is_better=False),
    "r2_log10": Metric(value_metrics.r2_log10, "numbers"),
    "consistency_mae": Metric(consistency_metrics.consistency_mae, "numbers", higher_is_better=False),
    "consistency_pearson": Metric(consistency_metrics.consistency_pearson, "numbers"),
    "exact_match": _mean(text_metrics.exact_match),
    "molecule_match": _mean(text_metrics.molecule_match),
    "main_molecule_match": _mean(text_metrics.main_molecule_match),
    "top5_exact_match": _mean(text_metrics.top5_exact_match, text_metrics.RANKS),
    "top5_molecule_match": _mean(text_metrics.top5_molecule_match, text_metrics.RANKS),
    "validity": _mean(text_metrics.validity),
    "morgan_similarity": _mean(text_metrics.morgan_similarity),
    "maccs_similarity": _mean(text_metrics.maccs_similarity),
    "opsin_match": _mean(name_metrics.opsin_match),
    "opsin_validity": _mean(name_metrics.opsin_validity),
    "recovery": _mean(sequence_metrics.recovery),
    "length_match": _mean(sequence_metrics.length_match),
    "pseudo_perplexity": _mean(sequence_metrics.esm2_pseudo_perplexity, higher_is_better=False),
    "antibody_pseudo_perplexity": _mean(sequence_metrics.antibody_pseudo_perplexity, higher_is_better=False),
    "bleu_2": _of_sums(caption_metrics.word_counts, partial(caption_metrics.bleu, order=2)),
    "bleu_4": _of_sums(caption_metrics.word_counts, partial(caption_metrics.bleu, order=4)),
    "char_bleu": _of_sums(caption_metrics.character_counts, partial(caption_metrics.bleu, order=4)),
    "rouge_1": _mean(caption_metrics.rouge_1),
    "rouge_2": _mean(caption_metrics.rouge_2),
    "rouge_l": _mean(caption_metrics.rouge_l),
    "levenshtein": _mean(caption_metrics.levenshtein, higher_is_better=False),
    "edit_distance": _mean(caption_metrics.edit_distance, higher_is_better=False),
    "condition_mae": _mean(condition_metrics.mean_error, higher_is_better=False, parts=condition_metrics.errors),
    "condition_mae_shuffled": _mean(
        condition_metrics.mean_error_shuffled, higher_is_better=False, parts=condition_metrics.errors_shuffled
    ),
    # A metric of the whole set: repeated rows would look like a set with less variety.
    "fcd": Metric(set_metrics.fcd, "texts", higher_is_better=False, resamples=False),
    "snn": Metric(set_metrics.snn, "texts", resamples=False),
    "frag": Metric(set_metrics.frag, "texts", resamples=False),
    "scaf": Metric(set_metrics.scaf, "texts", resamples=False),
    "intdiv": Metric(set_metrics.intdiv, "texts", resamples=False),
    "uniqueness": Metric(text_metrics.uniqueness, "texts", resamples=False),
    "explained_variance": Metric(
        vector_metrics.explained_variance,
        "scores",
        sums=vector_metrics.squares,
        of_sums=vector_metrics.explained_of_sums,
    ),
    # Thousands of bits, each ranked again in every sample, would take an hour.
    "bit_average_precision": Metric(vector_metrics.bit_average_precision, "bits", resamples=False),
}
