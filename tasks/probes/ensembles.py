"""Ensembles of probes on one encoder: the same model, fitted on bootstrap samples of the training rows (Breiman 1996).

The members share their support points, so that one kernel matrix serves all of them.

Shapes: N rows, M support points, C outputs, E members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mammal.tasks.probes.candidates import Candidate, Rows, fitted, landmarks_of, on_landmarks
from mammal.tasks.probes.probe import Probe


def bagged(candidate: Candidate, rows: Rows, members: int) -> Probe:
    """Fits an ensemble. It is deterministic.

    Args:
        candidate: the model of every member, with all its hyper-parameters.
        rows: training rows. Of each class, as many are sampled as there are.
        members: E, number of members.
    """
    generator = np.random.default_rng(0)
    samples = [_sample(rows, generator) for _ in range(members)]
    if candidate.model == "landmarks":
        found = landmarks_of(candidate, rows)  # the same ones for all members, so that they are stored once
        own = [(rows.take(s_N), replace(found, features_NM=found.features_NM[s_N])) for s_N in samples]
        return _joined([on_landmarks(candidate, *pair) for pair in own], found.rows_M)
    probes = [fitted(candidate, rows.take(sample_N)) for sample_N in samples]
    support_M = None
    if probes[0].support_M is not None:
        points = [sample_N[probe.support_M] for sample_N, probe in zip(samples, probes, strict=True)]
        support_M = np.unique(np.concatenate(points))
        coefficients = [
            _at(np.searchsorted(support_M, own_M), coefficients_MC, len(support_M))
            for own_M, coefficients_MC in zip(points, (probe.coefficients for probe in probes), strict=True)
        ]
        probes = [replace(probe, coefficients=own) for probe, own in zip(probes, coefficients, strict=True)]
    return _joined(probes, support_M)


def _joined(probes: Sequence[Probe], support_M: np.ndarray | None) -> Probe:
    """The ensemble of members with the same support points."""
    return replace(
        probes[0],
        coefficients=np.concatenate([probe.coefficients for probe in probes], axis=1),
        intercept_C=np.concatenate([probe.intercept_C for probe in probes]),
        support_M=support_M,
        members=len(probes),
    )


def _sample(rows: Rows, generator: np.random.Generator) -> np.ndarray:
    """Positions of the vectors of rows that are sampled with replacement, int64 [N].

    Of each class, as many rows are sampled as there are. A row is sampled with both strands.
    """
    truth_R = rows.truth_N[rows.as_written]
    if not rows.is_classes:
        sampled_R = generator.integers(len(truth_R), size=len(truth_R))
    else:
        of_class = [np.flatnonzero(truth_R == one) for one in np.unique(truth_R)]
        sampled_R = np.concatenate([generator.choice(places, size=len(places)) for places in of_class])
    return rows.vectors_of_rows[sampled_R].reshape(-1)


def _at(places_M: np.ndarray, coefficients_MC: np.ndarray, points: int) -> np.ndarray:
    """Coefficients of all points; those of a row that was sampled several times are added."""
    found = np.zeros((points, coefficients_MC.shape[1]))
    np.add.at(found, places_M, coefficients_MC)
    return found
