"""What the probe of a target column learns, and which rows it can learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.probes.candidates import (
    FEWEST_LANDMARKS,
    GP_ROWS,
    LANDMARK_ROWS,
    SVM_CLASSES,
    SVM_ROWS,
    Rows,
)
from mammal.tasks.probes.probe import Probe

FEWEST_ROWS = 10
"""Smallest number of labelled training rows of a target column."""


@dataclass(frozen=True)
class ProbeTarget:
    """What is learned for one target column.

    Attributes:
        truth_N: scaled numbers of rows, float64, NaN if unknown; or classes, int64, -1 if unknown.
        metric: name of the metric that chooses the probe.
        classes: number of classes; 0 for regression.
        weights_C: weights of the classes in the loss, float64; None: 1 each.
        back: regression: function from a scaled number to the unit of the file.
    """

    truth_N: np.ndarray
    metric: str
    classes: int = 0
    weights_C: np.ndarray | None = None
    back: Callable[[float], float] = float

    def rows(self, z_NF: np.ndarray, picked: slice, strands: int = 1) -> Rows:
        """The labelled rows of a part.

        Args:
            z_NF: standardised vectors of the part, those of all rows on one strand before those on the other.
            picked: the part among `truth_N`.
            strands: number of strands on which each row was read.
        """
        number = len(self.truth_N[picked])
        truth_N = np.tile(self.truth_N[picked], strands)
        known = self.known(picked, strands)
        weights_N = None if self.weights_C is None else self.weights_C[truth_N[known]]
        return Rows(z_NF[known], truth_N[known], weights_N, known % number if strands > 1 else None)

    def known(self, picked: slice, strands: int = 1) -> np.ndarray:
        """Returns the positions of the vectors of labelled rows among those of a part, int64.

        Args:
            picked: as for `rows`.
            strands: as for `rows`.
        """
        truth_N = np.tile(self.truth_N[picked], strands)
        return np.flatnonzero(truth_N >= 0 if self.classes else ~np.isnan(truth_N))


def check_rows(name: str, train: Rows, classes: int, kind: str, most_stored: int | None = None) -> None:
    """Checks that a kind of probe can be fitted on the rows of a target column.

    Args:
        name: the target column.
        train: its labelled training rows.
        classes: number of classes; 0 for regression.
        kind: as for `mammal.tasks.probes.candidates.candidates`.
        most_stored: number of rows that can be stored. None: all.

    Raises:
        TaskError: there are too few rows, or too many for this kind.
    """
    rows, vectors = len(train.as_written), len(train)
    if rows < FEWEST_ROWS:
        what = f"column {name!r} has {rows} labelled training rows, and a probe needs {FEWEST_ROWS}"
        raise TaskError(what, hint="check the split")
    both = "" if vectors == rows else f" on both strands, which are {vectors:,} vectors"
    one = "" if vectors == rows else ", adapt.strands=one"
    most = {"svm": SVM_ROWS, "gp": GP_ROWS, "landmarks": LANDMARK_ROWS}.get(kind)
    if most is not None and vectors > most:
        what = f"column {name!r} has {rows:,} labelled training rows{both}, and adapt.probe={kind} takes {most:,}"
        raise TaskError(what, hint=f"adapt.probe=auto or linear{one}, or data.limit={most * rows // vectors}")
    need = {"svm": vectors, "gp": vectors, "landmarks": FEWEST_LANDMARKS}.get(kind, 0)
    if most_stored is not None and need > most_stored:
        what = f"adapt.probe={kind} may store {need:,} rows, and adapt.max_bytes has room for {most_stored:,}"
        raise TaskError(what, hint="adapt.probe=auto, or a larger adapt.max_bytes")
    if kind == "svm" and classes > SVM_CLASSES:
        what = f"{classes} classes are more than the {SVM_CLASSES} that adapt.probe=svm takes"
        raise TaskError(what, hint="adapt.probe=auto or linear")
    if kind == "gp" and classes:
        raise TaskError("adapt.probe=gp predicts numbers, not classes", hint="adapt.probe=auto, linear or svm")


def of_all_rows(probe: Probe, column: ProbeTarget, number: int, strands: int) -> Probe:
    """Returns a probe with support points as positions among all training rows, not among the labelled ones.

    Args:
        probe: fitted on the labelled rows.
        column: what it learned.
        number: number of training rows, labelled or not.
        strands: number of strands on which each row was read.
    """
    if probe.support_M is None:
        return probe
    return replace(probe, support_M=column.known(slice(None, number), strands)[probe.support_M])
