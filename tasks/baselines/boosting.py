"""Gradient boosting on molecules: scikit-learn's `HistGradientBoosting` (after LightGBM, Ke et al. 2017).

Features are read as they are: trees need no scales, and a missing number goes to the better side of each split. The
number of leaves, the learning rate and the number of trees are chosen on the validation rows. Trees are added in steps
of `STEP`, until `PATIENCE` steps bring no better figure.

A leaf has at least 20 training rows, scikit-learn's default (a twentieth of the rows, if there are fewer than 400). A
column in which fewer rows than that differ from the commonest value can't be split. It is left out first, which changes
no tree and saves most of the time on fingerprints. Values are cut into 63 bins instead of 255, which LightGBM's
documentation recommends for speed.

Shapes: N rows, F features, V validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Self

import numpy as np

from mammal.tasks.baselines.search import Judge, Settings, sampled, search_settings, settings_in_words

ROWS = 50_000
"""Maximum number of training rows."""

MOST_TREES, STEP, PATIENCE = 300, 25, 2
DEFAULT_TREES = 100
"""Number of trees if there are no validation rows to choose it on."""

LEAST, BINS = 20, 63
FIRST: Settings = {"leaves": 7, "rate": 0.1}
STAGES: Sequence[Sequence[Settings]] = [[{"leaves": 31}], [{"rate": 0.05}]]
"""Number of leaves of a tree, then learning rate; other numbers of `FIRST` are tried first."""


class Boosting:
    """Gradient boosted trees with settings chosen on validation rows.

    Args:
        classes: classification (`predict_proba`), or regression (`predict`).
        judge: how good predictions of the validation rows are.
        choose: whether leaves and learning rate are chosen; otherwise only the number of trees is.
        rows: maximum number of training rows that are used.

    Attributes:
        classes_: classes of the training rows, int64 [C]; empty for regression.
        note: one line about the chosen settings and the rows that were used.
    """

    def __init__(self, classes: bool, judge: Judge, *, choose: bool = True, rows: int = ROWS):
        self.classes, self.judge, self.choose, self.rows = classes, judge, choose, rows

    def fit(self, x_NF: np.ndarray, y_N: np.ndarray, x_valid_VF: np.ndarray) -> Self:
        """Fits the trees and chooses their settings.

        Args:
            x_NF: features of the training rows; NaN is a missing number.
            y_N: labels: class indices, of which there are at least two, or numbers.
            x_valid_VF: features of the validation rows; there may be none.
        """
        used = sampled(len(x_NF), self.rows)
        x_MF, y_M = x_NF[used], y_N[used]
        self.least = max(1, min(LEAST, len(used) // LEAST))
        self.kept_F = splittable(x_MF, self.least)
        self.classes_ = np.unique(y_M).astype(np.int64) if self.classes else np.zeros(0, dtype=np.int64)
        kept_MF, kept_valid_VF = x_MF[:, self.kept_F], x_valid_VF[:, self.kept_F]

        def attempt(settings: Settings) -> tuple[float, Any]:
            return self._grown(self._trees(settings), kept_MF, y_M, kept_valid_VF)

        settings, self.trees = search_settings(FIRST, STAGES if self.choose else (), attempt)
        settings = {**settings, "trees": self.trees.n_iter_}
        self.note = settings_in_words(settings, len(used), len(x_NF), len(x_valid_VF) > 0)
        return self

    def predict(self, x_NF: np.ndarray) -> np.ndarray:
        """Returns predicted numbers, float64 [N]."""
        return self.trees.predict(x_NF[:, self.kept_F])

    def predict_proba(self, x_NF: np.ndarray) -> np.ndarray:
        """Returns the probability of each of `classes_`, float64 [N, C]."""
        return self.trees.predict_proba(x_NF[:, self.kept_F])

    def _trees(self, settings: Settings) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingClassifier if self.classes else HistGradientBoostingRegressor
        return kind(
            learning_rate=settings["rate"],
            max_leaf_nodes=int(settings["leaves"]),
            max_iter=STEP,
            min_samples_leaf=self.least,
            max_bins=BINS,
            early_stopping=False,
            warm_start=True,
            random_state=0,
        )

    def _grown(self, trees: Any, x_MF: np.ndarray, y_M: np.ndarray, x_valid_VF: np.ndarray) -> tuple[float, Any]:
        """The best figure on the validation rows, and the trees that have it."""
        if not len(x_valid_VF):
            return float("nan"), trees.set_params(max_iter=DEFAULT_TREES).fit(x_MF, y_M)
        best, figure, waited = None, float("nan"), 0
        for number in range(STEP, MOST_TREES + 1, STEP):
            trees.set_params(max_iter=number).fit(x_MF, y_M)
            said = trees.predict_proba(x_valid_VF) if self.classes else trees.predict(x_valid_VF)
            found = self.judge(said, self.classes_)
            if best is None or found > figure:
                best, figure, waited = deepcopy(trees), found, 0
            elif (waited := waited + 1) == PATIENCE:
                break
        return figure, best


def splittable(x_NF: np.ndarray, least: int) -> np.ndarray:
    """Returns the numbers of the columns in which at least `least` rows differ from the commonest value, int64.

    Args:
        x_NF: features; all missing numbers count as one value.
        least: number of rows.

    Returns:
        At least one column, because scikit-learn needs one.
    """
    kept = [
        column
        for column, values in enumerate(x_NF.T)
        if len(values) - np.unique(values, return_counts=True)[1].max(initial=0) >= least
    ]
    return np.array(kept or [0], dtype=np.int64)
