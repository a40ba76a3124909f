"""The models among which a probe is chosen, and their fits by scikit-learn.

    ridge      ridge regression, penalty 30, 3, 0.3, 0.03 or 0.003 (Hoerl & Kennard 1970)
    logistic   multinomial logistic regression with the same penalties
    svm        support vector machine with the kernel exp(-gamma |z - z'|²), gamma 0.25 or 1, cost 0.3, 1, 3 or 10
               (Cortes & Vapnik 1995); regression: with a tube of 0.1 standard deviations (Drucker et al. 1997); more
               than two classes: one against the others
    gp         Gaussian process with the same kernel and noise, whose three parameters maximise the marginal likelihood
               of at most 500 training rows (Rasmussen & Williams 2006, chapter 5)
    landmarks  ridge or logistic regression, penalty 1 to 0.01, on the same kernel with at most 512 training rows,
               which are picked at random with a fixed seed (Nyström method, Williams & Seeger 2001). Time and stored
               size grow with the landmarks, not with the rows

Vectors have a mean squared length of 1 (`Standard`), so one grid serves encoders of every width. All of it is
deterministic.

Shapes: N rows, F entries of a row's vector, M support points, C outputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mammal.tasks.probes.probe import Probe, probe_title, rbf, squared_distances
from mammal.tasks.tables.spread_rows import spread_rows

PENALTIES = (30.0, 3.0, 0.3, 0.03, 0.003)
GAMMAS = (0.25, 1.0)
COSTS = (0.3, 1.0, 3.0, 10.0)
TUBE = 0.1

SVM_ROWS = 5_000
"""Largest number of training rows of a support vector machine: its kernel is a matrix of N × N numbers."""

SVM_CLASSES = 20
"""Largest number of classes of a support vector machine, which is one machine for each class."""

GP_ROWS = 2_000
"""Largest number of training rows of a Gaussian process, whose time grows with N³."""

LANDMARKS = 512
"""Largest number of landmarks."""

FEWEST_LANDMARKS = 50
"""With fewer landmarks than this, a model on them is no candidate."""

LANDMARK_ROWS = 50_000
"""Largest number of training rows of a model on landmarks, whose features are a matrix of rows × landmarks."""

LANDMARK_PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01)

GP_TUNING_ROWS = 500
"""Rows on which the parameters of a Gaussian process are estimated."""


@dataclass(frozen=True)
class Candidate:
    """A model with its hyper-parameters; those of a Gaussian process are estimated if it has none."""

    model: str
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return probe_title(self.model, self.settings)


@dataclass(frozen=True)
class Rows:
    """Training rows of one target column.

    Attributes:
        z_NF: standardised vectors, float32.
        truth_N: scaled numbers, float64; or classes, int64.
        weights_N: weights of the rows in the loss, float64; None: 1 each.
        row_N: which row each vector belongs to, int64, if rows have several (both strands of DNA), all equally many and
            the strand as written first; None: each vector is a row.
    """

    z_NF: np.ndarray
    truth_N: np.ndarray
    weights_N: np.ndarray | None = None
    row_N: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.truth_N)

    @property
    def vectors_of_rows(self) -> np.ndarray:
        """Positions of the vectors of each row, the strand as written first, int64 [rows, vectors of a row]."""
        if self.row_N is None:
            return np.arange(len(self))[:, None]
        return np.argsort(self.row_N, kind="stable").reshape(len(np.unique(self.row_N)), -1)

    @property
    def as_written(self) -> np.ndarray:
        """Position of the vector of each row on the strand as written, int64 [rows]."""
        return self.vectors_of_rows[:, 0]

    @property
    def is_classes(self) -> bool:
        return self.truth_N.dtype.kind == "i"

    def take(self, picked: np.ndarray) -> Rows:
        """The rows at some positions."""
        weights_N = None if self.weights_N is None else self.weights_N[picked]
        row_N = None if self.row_N is None else self.row_N[picked]
        return Rows(self.z_NF[picked], self.truth_N[picked], weights_N, row_N)

    @cached_property
    def exact_NF(self) -> np.ndarray:
        return self.z_NF.astype(np.float64)

    @cached_property
    def distances_NN(self) -> np.ndarray:
        return squared_distances(self.exact_NF, self.exact_NF)

    def landmarks(self, gamma: float, count: int) -> Landmarks:
        """The landmarks of a kernel. They are computed once for all penalties.

        Args:
            gamma: of the kernel.
            count: largest number of landmarks.
        """
        if (gamma, count) not in self._landmarks:
            self._landmarks[gamma, count] = Landmarks.fit(self.exact_NF, gamma, count)
        return self._landmarks[gamma, count]

    @cached_property
    def _landmarks(self) -> dict[tuple[float, int], Landmarks]:
        return {}


@dataclass(frozen=True)
class Landmarks:
    """Kernel features on landmark rows (Nyström method).

    Attributes:
        rows_M: positions of the landmarks among the rows, ascending, int64.
        scale_MM: makes features of kernel values: kernel(z, landmarks) @ scale, float64.
        features_NM: features of the rows, float64.
    """

    rows_M: np.ndarray
    scale_MM: np.ndarray
    features_NM: np.ndarray

    @classmethod
    def fit(cls, exact_NF: np.ndarray, gamma: float, count: int) -> Landmarks:
        """Picks landmarks among different rows, at random with a fixed seed, and computes the features of all rows.

        Args:
            exact_NF: standardised vectors, float64.
            gamma: of the kernel.
            count: largest number of landmarks.
        """
        from sklearn.kernel_approximation import Nystroem

        asked = np.random.default_rng(0).permutation(len(exact_NF))[: 4 * count]  # some of them can be equal
        _, first = np.unique(exact_NF[asked], axis=0, return_index=True)
        rows_M = np.sort(asked[np.sort(first)[:count]]).astype(np.int64)
        model = Nystroem(kernel="rbf", gamma=gamma, n_components=len(rows_M), random_state=0).fit(exact_NF[rows_M])
        scale_MM = model.normalization_.T[np.argsort(model.component_indices_)]
        return cls(rows_M, scale_MM, rbf(exact_NF, exact_NF[rows_M], gamma) @ scale_MM)


def candidates(kind: str, rows: int, classes: int, most_points: int | None = None) -> list[Candidate]:
    """Returns the candidates of a kind, the most cautious ones first.

    Args:
        kind: `auto` (all that are feasible for so many rows and classes), `linear`, `svm`, `gp` or `landmarks`.
        rows: number of training rows.
        classes: number of classes; 0 for regression.
        most_points: largest number of rows whose vectors can be stored; models that may need more are left out. None:
            no limit.
    """
    linear = "logistic" if classes else "ridge"
    found = [Candidate(linear, {"penalty": penalty}) for penalty in PENALTIES]
    if kind == "linear":
        return found
    machines = [Candidate("svm", {"cost": cost, "gamma": gamma}) for gamma in GAMMAS for cost in COSTS]
    process = [Candidate("gp")]
    count = LANDMARKS if most_points is None else min(LANDMARKS, most_points)
    compact = [
        Candidate("landmarks", {"penalty": penalty, "gamma": gamma, "landmarks": count})
        for gamma in GAMMAS
        for penalty in LANDMARK_PENALTIES
    ]
    if kind != "auto":
        return {"svm": machines, "gp": process, "landmarks": compact}[kind]
    stored = most_points is None or rows <= most_points
    if stored and rows <= SVM_ROWS and classes <= SVM_CLASSES:
        found += machines
    elif rows <= LANDMARK_ROWS and count >= FEWEST_LANDMARKS:
        found += compact
    if stored and rows <= GP_ROWS and not classes:
        found += process
    return found


def fitted(candidate: Candidate, rows: Rows) -> Probe:
    """Fits a candidate; its support points are positions in `rows`.

    Args:
        candidate: the model.
        rows: training rows, at least one.
    """
    if rows.is_classes and len(np.unique(rows.truth_N)) == 1:  # of a fold without the other classes
        zeros = np.zeros((rows.z_NF.shape[1], 1)), np.zeros(1)
        return Probe(candidate.model, candidate.settings, *zeros, classes=(int(rows.truth_N[0]),))
    fits = {"ridge": _ridge, "logistic": _logistic, "svm": _machine, "gp": _process, "landmarks": _on_landmarks}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an optimiser that stops at a bound or at its last iteration
        return fits[candidate.model](candidate, rows)


def _ridge(candidate: Candidate, rows: Rows) -> Probe:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=candidate.settings["penalty"]).fit(rows.exact_NF, rows.truth_N, rows.weights_N)
    return from_linear(model, candidate)


def _logistic(candidate: Candidate, rows: Rows) -> Probe:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / candidate.settings["penalty"], max_iter=1000)
    return from_linear(model.fit(rows.exact_NF, rows.truth_N, rows.weights_N), candidate)


def _on_landmarks(candidate: Candidate, rows: Rows) -> Probe:
    return on_landmarks(candidate, rows, landmarks_of(candidate, rows))


def landmarks_of(candidate: Candidate, rows: Rows) -> Landmarks:
    """The landmarks that a candidate uses, and the features of rows.

    Args:
        candidate: a model on landmarks.
        rows: training rows.
    """
    return rows.landmarks(candidate.settings["gamma"], int(candidate.settings["landmarks"]))


def on_landmarks(candidate: Candidate, rows: Rows, found: Landmarks) -> Probe:
    """Fits ridge or logistic regression on kernel features: K(z, landmarks) @ coefficients + intercept.

    Args:
        candidate: the model.
        rows: training rows.
        found: landmarks, and the features of these rows.
    """
    of_features = Rows(found.features_NM, rows.truth_N, rows.weights_N)
    linear = (_logistic if rows.is_classes else _ridge)(candidate, of_features)
    coefficients = found.scale_MM @ linear.coefficients
    gamma = float(candidate.settings["gamma"])
    return replace(linear, coefficients=coefficients, gamma=gamma, support_M=found.rows_M.copy())


def from_linear(model: object, candidate: Candidate) -> Probe:
    """The probe of a fitted `Ridge` or `LogisticRegression` of scikit-learn.

    Args:
        model: the fitted model.
        candidate: what was fitted.
    """
    coefficients = np.atleast_2d(model.coef_).T  # type: ignore[attr-defined]
    intercept_C = np.atleast_1d(model.intercept_)  # type: ignore[attr-defined]
    classes = tuple(int(c) for c in getattr(model, "classes_", ()))
    if len(classes) == 2:
        coefficients, intercept_C = _beside_zero(coefficients), _beside_zero(intercept_C)
    return Probe(candidate.model, candidate.settings, coefficients, intercept_C, classes=classes)


def _machine(candidate: Candidate, rows: Rows) -> Probe:
    from sklearn.svm import SVC, SVR

    gamma, cost = candidate.settings["gamma"], candidate.settings["cost"]
    kernel_NN = np.exp(-gamma * rows.distances_NN)
    if not rows.is_classes:
        return from_machines(
            [SVR(kernel="precomputed", C=cost, epsilon=TUBE).fit(kernel_NN, rows.truth_N, rows.weights_N)], candidate
        )
    classes = np.unique(rows.truth_N)
    wanted = classes[1:] if len(classes) == 2 else classes
    machines = [
        SVC(kernel="precomputed", C=cost).fit(kernel_NN, (rows.truth_N == c).astype(np.int64), rows.weights_N)
        for c in wanted
    ]
    return from_machines(machines, candidate, classes.tolist())


def from_machines(machines: Sequence[object], candidate: Candidate, classes: Sequence[int] = ()) -> Probe:
    """The probe of fitted machines of scikit-learn: one `SVR`, one `SVC` for two classes, or one `SVC` for each class.

    Args:
        machines: the fitted machines. Class 1 of a `SVC` is the class that it separates from the others.
        candidate: what was fitted; its setting `gamma` is that of the kernel.
        classes: the classes. Default: regression.
    """
    support_M = np.unique(np.concatenate([m.support_ for m in machines]))  # type: ignore[attr-defined]
    coefficients = np.zeros((len(support_M), len(machines)))
    for c, m in enumerate(machines):
        coefficients[np.searchsorted(support_M, m.support_), c] = m.dual_coef_[0]  # type: ignore[attr-defined]
    intercept_C = np.array([float(m.intercept_[0]) for m in machines])  # type: ignore[attr-defined]
    if len(classes) == 2:
        coefficients, intercept_C = _beside_zero(coefficients), _beside_zero(intercept_C)
    found = tuple(int(c) for c in classes)
    gamma = candidate.settings["gamma"]
    support_M = support_M.astype(np.int64)
    return Probe(candidate.model, candidate.settings, coefficients, intercept_C, gamma, support_M, found)


def _process(candidate: Candidate, rows: Rows) -> Probe:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    centre = float(rows.truth_N.mean())
    if known := candidate.settings:
        kernel = ConstantKernel(known["variance"]) * RBF(known["length"]) + WhiteKernel(known["noise"])
    else:
        picked = spread_rows(len(rows), GP_TUNING_ROWS)
        start = ConstantKernel(1.0, (1e-2, 1e2)) * RBF(1.0, (0.1, 100.0)) + WhiteKernel(0.3, (1e-3, 3.0))
        kernel = GaussianProcessRegressor(start).fit(rows.exact_NF[picked], rows.truth_N[picked] - centre).kernel_
    model = GaussianProcessRegressor(kernel, optimizer=None).fit(rows.exact_NF, rows.truth_N - centre)
    return from_process(model, candidate, centre)


def from_process(model: object, candidate: Candidate, centre: float = 0.0) -> Probe:
    """The probe of a fitted `GaussianProcessRegressor` of scikit-learn, whose kernel is constant * RBF + white.

    Args:
        model: the fitted model.
        candidate: what was fitted; the settings of the result are the parameters of the kernel.
        centre: what was subtracted from the labels.
    """
    kernel = model.kernel_  # type: ignore[attr-defined]
    scale, length, noise = kernel.k1.k1.constant_value, kernel.k1.k2.length_scale, kernel.k2.noise_level
    settings = {"variance": float(scale), "length": float(length), "noise": float(noise)}
    coefficients = float(scale) * np.reshape(model.alpha_, (-1, 1))  # type: ignore[attr-defined]
    support_M = np.arange(len(coefficients), dtype=np.int64)
    gamma = 0.5 / float(length) ** 2
    return Probe(candidate.model, settings, coefficients, np.array([centre]), gamma, support_M)


def _beside_zero(values: np.ndarray) -> np.ndarray:
    """Two outputs from the log-odds of the second class: zero for the first one."""
    return np.concatenate([np.zeros_like(values), values], axis=-1)
