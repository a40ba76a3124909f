"""Errors and coverage of predictions by the similarity of their rows to the training rows.

Shapes: N held-out rows with an answer, a true value and a similarity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.metrics.answers import Answers
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

FEWEST_ROWS = 20
"""With fewer rows, differences between groups of rows would be due to chance."""
DECILES_FROM = 200
"""Number of rows from which they are divided into ten groups; fewer rows are divided into four."""
OUTSIDE, INSIDE = "outside", "inside"


@dataclass(frozen=True)
class SimilarityGroup:
    """Rows of similar distance to the training rows.

    Attributes:
        name: `1 of 4` (the farthest rows) to `4 of 4`, or of 10; `outside` and `inside` (by `Prediction.outside`).
        rows: number of rows.
        low: lowest similarity to the nearest training row.
        high: highest one.
        error: mean error: absolute error in the unit; 1 minus the probability of the true class; share of tokens with
            a wrong label.
        coverage: share of the true values inside the intervals; NaN without intervals.
    """

    name: str
    rows: int
    low: float
    high: float
    error: float
    coverage: float = nan


def bundle_similarity(predictions: Sequence[Prediction]) -> np.ndarray | None:
    """Returns the similarities that predictions have, float64 [N], NaN where unknown; None if none has one.

    Args:
        predictions: one for each row.
    """
    known = [nan if p.similarity is None else p.similarity for p in predictions]
    return None if np.isnan(known).all() else np.array(known, dtype=np.float64)


def by_distance(
    task: Task, predictions: Sequence[Prediction], rows: Sequence[Row], similarity_N: np.ndarray
) -> list[SimilarityGroup]:
    """Returns groups of rows with their errors: four or ten by similarity, and `outside` and `inside`.

    Args:
        task: a fitted task that predicts classes of rows or of tokens, or numbers of one target column. Other tasks
            have no groups.
        predictions: one for each row.
        rows: the rows.
        similarity_N: similarity of each row to the nearest training row, NaN if unknown.
    """
    if task.family not in ("regression", "classification", "token_classification"):
        return []
    if task.family == "regression" and len(task.target_columns) > 1:  # errors have different units
        return []
    found = [_errors(answers, target, predictions) for target, answers in task.answers(predictions, rows).items()]
    if not found:
        return []
    place_N, error_N, covered_N = (np.concatenate(values) for values in zip(*found, strict=True))
    known = ~np.isnan(similarity_N[place_N])
    if len(np.unique(place_N[known])) < FEWEST_ROWS:
        return []
    at = _Errors(place_N[known], similarity_N[place_N[known]], error_N[known], covered_N[known])
    return [*at.in_parts(10 if known.sum() >= DECILES_FROM else 4), *at.outside([p.outside for p in predictions])]


@dataclass(frozen=True)
class _Errors:
    place_N: np.ndarray
    similarity_N: np.ndarray
    error_N: np.ndarray
    covered_N: np.ndarray

    def in_parts(self, parts: int) -> list[SimilarityGroup]:
        order = np.argsort(self.similarity_N, kind="stable")
        return [
            self._group(f"{number} of {parts}", picked)
            for number, picked in enumerate(np.array_split(order, parts), start=1)
        ]

    def outside(self, flags: Sequence[bool | None]) -> list[SimilarityGroup]:
        is_out_N = np.array([flags[place] is True for place in self.place_N])
        is_in_N = np.array([flags[place] is False for place in self.place_N])
        groups = ((OUTSIDE, np.flatnonzero(is_out_N)), (INSIDE, np.flatnonzero(is_in_N)))
        return [self._group(name, picked) for name, picked in groups if len(picked)]

    def _group(self, name: str, picked: np.ndarray) -> SimilarityGroup:
        similarity_N, covered_N = self.similarity_N[picked], self.covered_N[picked]
        coverage = nan if np.isnan(covered_N).any() else float(covered_N.mean())
        low, high = float(similarity_N.min()), float(similarity_N.max())
        return SimilarityGroup(name, len(picked), low, high, float(self.error_N[picked].mean()), coverage)


def plain_groups(groups: Sequence[SimilarityGroup]) -> list[dict[str, Any]]:
    """Returns groups for `metrics.json`; coverage only if it is known.

    Args:
        groups: result of `by_distance`.
    """
    return [{name: value for name, value in vars(group).items() if value == value} for group in groups]


def outside_ratio(groups: Sequence[SimilarityGroup]) -> float:
    """Returns the mean error of the rows outside divided by that of the others; NaN if a group has no rows.

    Args:
        groups: result of `by_distance`.
    """
    error: Mapping[str, float] = {group.name: group.error for group in groups}
    if OUTSIDE not in error or not error.get(INSIDE):
        return nan
    return error[OUTSIDE] / error[INSIDE]


def _errors(
    answers: Answers, target: str, predictions: Sequence[Prediction]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of each row, its error, and whether its interval contains the true value (NaN without an interval)."""
    place_N = answers.numbers_N
    if answers.probability_NC is None:
        error_N = np.abs(answers.answer_N - answers.truth_N)
        intervals = [predictions[place].for_target(target).interval for place in place_N.tolist()]
        pairs = zip(intervals, answers.truth_N.tolist(), strict=True)
        covered = [nan if bounds is None else float(bounds[0] <= truth <= bounds[1]) for bounds, truth in pairs]
        return place_N, error_N, np.array(covered, dtype=np.float64)
    if answers.by_token:
        different, first_N = np.unique(place_N, return_inverse=True)
        wrong_N = (answers.answer_N != answers.truth_N).astype(np.float64)
        error_N = np.bincount(first_N, weights=wrong_N) / np.bincount(first_N)
        return different, error_N, np.full(len(different), nan)
    true_N = answers.probability_NC[np.arange(len(answers)), answers.truth_N.astype(np.int64)]
    return place_N, 1 - true_N, np.full(len(place_N), nan)
