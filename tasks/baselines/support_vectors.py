"""Support vector machines with a Gaussian kernel on molecules: scikit-learn's `SVC` and `SVR`.

Features are of two kinds. Counts (Morgan fingerprints) are read as log(1 + count). Numbers (descriptors) become the
normal scores of their ranks among the training rows (Blom 1958), within [-2.5, 2.5], as in `{smiles:descriptors}`: a
fragment that occurs in one molecule in a thousand can't dominate a distance, and a missing value is the median, 0.

    k(a, b) = exp(-gamma * ((1 - share) * d_numbers(a, b) + share * d_counts(a, b)))

d is the squared Euclidean distance, divided by its mean over all pairs of training rows. So gamma = 1 suits any number
of features, and `share` is the weight of the counts. This kernel on the log counts was at least as good on the
validation rows as the Tanimoto kernel of counts (Ralaivola et al. 2005, doi 10.1016/j.neunet.2005.07.009) on ESOL,
FreeSolv, BACE and BBBP, and within 0.5 % on lipophilicity.

C, gamma, epsilon and share are chosen on the validation rows. At most `ROWS` training rows are used, sampled with a
fixed seed: kernels grow with the square of that number. Probabilities are Platt's (1999) sigmoid of the decision value,
fitted with five-fold cross-validation within the training rows.

Shapes: N rows, F features, M training rows that are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Self

import numpy as np

from mammal.tasks.baselines.search import Judge, Settings, sampled, search_settings, settings_in_words

ROWS = 4_000
"""Maximum number of training rows of a support vector machine."""

FIRST: Settings = {"C": 3.0, "gamma": 1.0, "epsilon": 0.1, "share": 0.5}
"""Settings that are used if nothing can be chosen. epsilon is in standard deviations of the training labels."""

KERNEL_GRID = [{"C": c, "gamma": gamma} for c, gamma in product((1.0, 3.0, 10.0, 30.0), (0.3, 1.0, 3.0))]
EPSILON_GRID = [{"epsilon": epsilon} for epsilon in (0.03, 0.3)]
SHARE_GRID = [{"share": share} for share in (0.2,)]
"""Stages of the search, in this order."""

FOLDS = 5
CHUNK = 2_048
"""Rows whose kernel with the training rows is computed at once; limits the memory."""


class SupportVectors:
    """A support vector machine with settings chosen on validation rows.

    Args:
        counts: number of columns, from the first, that are counts; the others are numbers.
        classes: classification (`predict_proba`), or regression (`predict`).
        judge: how good predictions of the validation rows are.
        rows: maximum number of training rows that are used.

    Attributes:
        classes_: classes of the training rows, int64 [C]; empty for regression.
        note: one line about the chosen settings and the rows that were used.
    """

    def __init__(self, counts: int, classes: bool, judge: Judge, rows: int = ROWS):
        self.counts, self.classes, self.judge, self.rows = counts, classes, judge, rows

    def fit(self, x_NF: np.ndarray, y_N: np.ndarray, x_valid_VF: np.ndarray) -> Self:
        """Fits the scales and the machine, and chooses its settings.

        Args:
            x_NF: features of the training rows; NaN is a missing number.
            y_N: labels: class indices, of which there are at least two, or numbers.
            x_valid_VF: features of the validation rows; there may be none.
        """
        used = sampled(len(x_NF), self.rows)
        x_MF, y_M = x_NF[used], y_N[used]
        self.classes_ = np.unique(y_M).astype(np.int64) if self.classes else np.zeros(0, dtype=np.int64)
        self.mean, self.deviation = (0.0, 1.0) if self.classes else (float(y_M.mean()), float(y_M.std()) or 1.0)
        self.scales = ColumnScales(x_MF, self.counts)
        self.distances = Distances(self.scales, x_MF)
        own, valid = self.distances(x_MF), self.distances(x_valid_VF)
        target_M = y_M if self.classes else (y_M - self.mean) / self.deviation

        def attempt(settings: Settings) -> tuple[float, Any]:
            machine = self._machine(settings).fit(kernel(own, settings), target_M)
            if not len(x_valid_VF):
                return float("nan"), machine
            return self.judge(self._raw(machine, kernel(valid, settings)), self.classes_), machine

        first = {name: FIRST[name] for name in self._names()}
        stages = [KERNEL_GRID, *([] if self.classes else [EPSILON_GRID]), *([SHARE_GRID] if "share" in first else [])]
        self.settings, self.machine = search_settings(first, stages, attempt)
        if self.classes:
            self.machine = self._with_probabilities(kernel(own, self.settings), y_M)
        self.note = settings_in_words(self.settings, len(used), len(x_NF), len(x_valid_VF) > 0)
        return self

    def predict(self, x_NF: np.ndarray) -> np.ndarray:
        """Returns predicted numbers, float64 [N], of N rows, at least one."""
        return np.concatenate([self._raw(self.machine, k_NM) for k_NM in self._kernels(x_NF)])

    def predict_proba(self, x_NF: np.ndarray) -> np.ndarray:
        """Returns the probability of each of `classes_`, float64 [N, C]."""
        return self.predict(x_NF)

    def _names(self) -> list[str]:
        both = 0 < self.counts < self.scales.columns
        return ["C", "gamma", *([] if self.classes else ["epsilon"]), *(["share"] if both else [])]

    def _kernels(self, x_NF: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(x_NF), CHUNK):
            yield kernel(self.distances(x_NF[start : start + CHUNK]), self.settings)

    def _machine(self, settings: Settings) -> Any:
        from sklearn.svm import SVC, SVR

        if self.classes:
            return SVC(kernel="precomputed", C=settings["C"])
        return SVR(kernel="precomputed", C=settings["C"], epsilon=settings["epsilon"])

    def _raw(self, machine: Any, k_NM: np.ndarray) -> np.ndarray:
        """Values in the unit of the labels, or probabilities; those of an uncalibrated machine are only ordered."""
        from scipy.special import expit, softmax

        if not self.classes:
            return machine.predict(k_NM) * self.deviation + self.mean
        if hasattr(machine, "predict_proba"):
            return machine.predict_proba(k_NM)
        decided = machine.decision_function(k_NM)
        if decided.ndim == 1:
            return np.stack([expit(-decided), expit(decided)], axis=1)
        return softmax(decided, axis=1)

    def _with_probabilities(self, own_MM: np.ndarray, y_M: np.ndarray) -> Any:
        """The chosen machine with calibrated probabilities; uncalibrated if a class has a single training row."""
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.model_selection import StratifiedKFold

        folds = min(FOLDS, int(np.unique(y_M, return_counts=True)[1].min()))
        if folds < 2:
            return self.machine
        parts = StratifiedKFold(folds, shuffle=True, random_state=0)
        return CalibratedClassifierCV(self._machine(self.settings), cv=parts, ensemble=False).fit(own_MM, y_M)


class ColumnScales:
    """Log counts, and numbers as normal scores of their ranks among the training rows.

    Args:
        x_MF: features of the training rows.
        counts: number of columns, from the first, that are counts.
    """

    def __init__(self, x_MF: np.ndarray, counts: int):
        from scipy.stats import norm

        from mammal.tasks.features.descriptors import KNOTS

        self.counts, self.columns = counts, x_MF.shape[1]
        numbers = x_MF[:, counts:].astype(np.float64)
        known = np.isfinite(numbers)
        levels_K = norm.cdf(KNOTS)
        rows = [
            np.quantile(values[there], levels_K) if there.any() else np.zeros(len(KNOTS))
            for values, there in zip(numbers.T, known.T, strict=True)
        ]
        self.quantiles_FK = np.array(rows).reshape(len(rows), len(KNOTS))

    def __call__(self, x_NF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the scaled numbers and the log counts, float64 [N, F]."""
        from mammal.tasks.features.descriptors import normal_scores

        rows = [normal_scores(values_F.astype(np.float64), self.quantiles_FK) for values_F in x_NF[:, self.counts :]]
        scores = np.array(rows, dtype=np.float64).reshape(len(x_NF), self.columns - self.counts)
        return scores, np.log1p(x_NF[:, : self.counts].astype(np.float64))


class Distances:
    """Squared distances to the training rows, of the numbers and of the counts.

    Args:
        scales: fitted scales.
        x_MF: features of the training rows.
    """

    def __init__(self, scales: ColumnScales, x_MF: np.ndarray):
        self.scales, self.train = scales, scales(x_MF)
        # The mean squared distance of two independent rows is twice the sum of the variances.
        self.means = [2 * float(part.var(axis=0).sum()) for part in self.train]

    def __call__(self, x_NF: np.ndarray) -> list[np.ndarray]:
        """Returns, for numbers and counts, the distances in units of their mean, float64 [N, M]; none if constant."""
        from sklearn.metrics.pairwise import euclidean_distances

        shape = (len(x_NF), len(self.train[0]))
        return [
            euclidean_distances(part, train, squared=True) / mean if mean > 0 and len(part) else np.zeros(shape)
            for part, train, mean in zip(self.scales(x_NF), self.train, self.means, strict=True)
        ]


def kernel(distances: list[np.ndarray], settings: Settings) -> np.ndarray:
    """Returns the kernel for distances of numbers and of counts, float64 [N, M].

    Args:
        distances: what `Distances` returns.
        settings: `gamma`, and `share` if there are both numbers and counts; otherwise they are added.
    """
    numbers, counts = distances
    share = settings.get("share")
    together = numbers + counts if share is None else (1 - share) * numbers + share * counts
    return np.exp(-settings["gamma"] * together)
