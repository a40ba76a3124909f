"""A fitted probe and the standardisation of what it reads, as arrays.

A probe is a linear model or a kernel machine. Both compute K(z, support) @ coefficients + intercept, where z is the
standardised vector of a row: ridge and logistic regression with K(z) = z, support vector machines, Gaussian processes
and regression on landmark rows with the kernel exp(-gamma |z - support|²). So the fitted models of scikit-learn are
stored as arrays, and prediction needs NumPy only.

Shapes: N rows, F entries of a row's vector, P stored points, M support points of one probe, C outputs (1 for
regression, else one for each class that occurs in the training rows), E members of an ensemble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mammal.tokenization.lazy import old_names

CLIP = 5.0
"""Standardised entries are clipped to ±CLIP, so that an unusual row can't move a linear model without limit."""

_CONSTANT = 1e-5
"""An entry whose standard deviation is below this share of its size is constant but for rounding, and is left out."""


@dataclass(frozen=True)
class Standard:
    """Standardisation: (x - mean) / std, clipped to ±clip, times weight.

    The weights make the mean squared length of a vector about 1, whatever its number of entries. Each block (states,
    descriptors, fingerprint) has the same share of it.

    Attributes:
        mean_F: means of the training rows, float64.
        std_F: standard deviations of the training rows, float64; 1 for entries that are left out.
        weight_F: weights, float64; 0 for entries that are left out.
        clip: bound of standardised entries.
    """

    mean_F: np.ndarray
    std_F: np.ndarray
    weight_F: np.ndarray
    clip: float = CLIP

    @classmethod
    def fit(cls, rows_NF: np.ndarray, blocks: Sequence[int]) -> Standard:
        """Fits the standardisation on training rows.

        Args:
            rows_NF: vectors of the training rows, float.
            blocks: number of entries of each block; their sum is F.
        """
        exact_NF = rows_NF.astype(np.float64)
        mean_F, std_F = exact_NF.mean(axis=0), exact_NF.std(axis=0)
        varies_F = std_F > _CONSTANT * (1 + np.abs(mean_F))
        parts = np.split(varies_F, np.cumsum(blocks)[:-1])
        weights = [part / np.sqrt(max(1, int(part.sum())) * len(parts)) for part in parts]
        return cls(mean_F, np.where(varies_F, std_F, 1.0), np.concatenate(weights))

    def apply(self, rows_NF: np.ndarray) -> np.ndarray:
        """Returns the standardised vectors, float32 [N, F]; a kernel sees the same numbers as are stored."""
        z_NF = (rows_NF.astype(np.float64) - self.mean_F) / self.std_F
        return (np.clip(z_NF, -self.clip, self.clip) * self.weight_F).astype(np.float32)


@dataclass(frozen=True)
class Probe:
    """A fitted model for one target column.

    Attributes:
        model: `ridge`, `logistic`, `svm`, `gp` or `landmarks`.
        settings: hyper-parameters by name.
        coefficients: float64 [F, C] without a kernel, else [M, C]; for an ensemble [.., E * C], member after member.
        intercept_C: float64 [C]; for an ensemble [E * C].
        gamma: of the kernel exp(-gamma |z - support|²); None: K(z) = z.
        support_M: positions of the support points among the stored points, int64; None without a kernel.
        classes: classification: the class of each output. Empty for regression.
        members: E, number of probes of an ensemble (`mammal.tasks.probes.ensembles`), which share their support points;
            1 if it is none.
    """

    model: str
    settings: Mapping[str, float]
    coefficients: np.ndarray
    intercept_C: np.ndarray
    gamma: float | None = None
    support_M: np.ndarray | None = None
    classes: tuple[int, ...] = ()
    members: int = 1

    def scores(self, z_NF: np.ndarray, points_PF: np.ndarray) -> np.ndarray:
        """Computes the outputs for standardised vectors, float64 [N, C]; those of the only or first member.

        Args:
            z_NF: vectors after `Standard.apply`.
            points_PF: the stored points.
        """
        return self.member_scores(z_NF, points_PF)[:, 0]

    def member_scores(self, z_NF: np.ndarray, points_PF: np.ndarray) -> np.ndarray:
        """Computes the outputs of every member of an ensemble, float64 [N, E, C].

        Args:
            z_NF: vectors after `Standard.apply`.
            points_PF: the stored points.
        """
        exact_NF = z_NF.astype(np.float64)
        if self.gamma is not None and self.support_M is not None:
            exact_NF = rbf(exact_NF, points_PF[self.support_M].astype(np.float64), self.gamma)
        return (exact_NF @ self.coefficients + self.intercept_C).reshape(len(z_NF), self.members, -1)

    @property
    def title(self) -> str:
        """Model and hyper-parameters in words."""
        several = f"ensemble of {self.members}, " if self.members > 1 else ""
        return several + probe_title(self.model, self.settings)


NAMES = {
    "ridge": "ridge regression",
    "logistic": "logistic regression",
    "svm": "support vector machine",
    "gp": "Gaussian process",
    "landmarks": "kernel regression on landmark rows",
}


def probe_title(model: str, settings: Mapping[str, float]) -> str:
    """Model and hyper-parameters in words.

    Args:
        model: name of the model.
        settings: hyper-parameters by name.
    """
    return " ".join([NAMES[model], *(f"{name}={value:.3g}" for name, value in settings.items())])


def rbf(a_NF: np.ndarray, b_MF: np.ndarray, gamma: float) -> np.ndarray:
    """Returns the kernel exp(-gamma |a - b|²), float64 [N, M].

    Args:
        a_NF: vectors, float64.
        b_MF: vectors, float64.
        gamma: of the kernel.
    """
    return np.exp(-gamma * squared_distances(a_NF, b_MF))


def squared_distances(a_NF: np.ndarray, b_MF: np.ndarray) -> np.ndarray:
    """Returns |a - b|², float64 [N, M].

    Args:
        a_NF: vectors, float64.
        b_MF: vectors, float64.
    """
    squares_NM = (a_NF**2).sum(axis=1)[:, None] + (b_MF**2).sum(axis=1)[None, :] - 2 * (a_NF @ b_MF.T)
    return np.maximum(squares_NM, 0.0)


__getattr__ = old_names(__name__, {"title": "probe_title"})
