"""Choice of a probe among candidates, and its final fit.

The figure is the first metric of the task. It is computed on the validation rows if at least `FEWEST_VALID` of them
have a label and the metric is defined there, else on the training rows, each predicted by a model that was fitted on
the other folds. Rows with equal vectors are in the same fold. Where the metric is undefined on these rows, too (one
class only), the loss decides. Of equally good candidates, the first one wins, which is the most cautious one.

Support vector machines for classes give distances to a border. A slope and an offset for each class, fitted by maximum
likelihood on the distances of the folds, make log-probabilities of them (Platt 1999).

Shapes: N rows, F entries of a row's vector, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mammal.tasks.metrics.answers import Answers
from mammal.tasks.metrics.registry import Metric
from mammal.tasks.probes.candidates import Candidate, Rows, fitted
from mammal.tasks.probes.choice_record import Choice
from mammal.tasks.probes.ensembles import bagged
from mammal.tasks.probes.probe import Probe
from mammal.tokenization.lazy import old_names

FEWEST_VALID = 50
"""Smallest number of labelled validation rows on which candidates are compared."""

FOLDS = 5
_TINY = 1e-12
_LARGEST_SLOPE = 50.0

Figure = Callable[[np.ndarray, np.ndarray], float]
"""(truth of N rows, outputs [N] or log-probabilities [N, C]) -> figure."""


def chosen(
    options: Sequence[Candidate],
    train: Rows,
    valid: Rows,
    metric: tuple[str, Metric],
    *,
    classes: int = 0,
    back: Callable[[float], float] = float,
    members: int = 1,
) -> tuple[Probe, Choice]:
    """Compares candidates and fits the best one on all training rows.

    Args:
        options: the candidates, the most cautious one first.
        train: training rows of the column.
        valid: validation rows of the column.
        metric: name and metric that decides.
        classes: number of classes of the task; 0 for regression.
        back: regression: function from a scaled number to the unit of the file, in which the metric is computed.
        members: number of members of an ensemble of the best candidate; 1: a single probe.

    Returns:
        The probe, whose support points are positions in `train`, and how it was chosen.
    """
    name, of = metric
    on_valid = len(valid) >= FEWEST_VALID and _is_defined(of, valid.truth_N, classes, back)
    folds = None if on_valid and not any(_is_machine(c, train) for c in options) else folds_of(train)
    outputs = {}
    for option in options:
        if on_valid:
            outputs[option.title] = probe_outputs(fitted(option, train), valid, train.z_NF, classes)
        else:
            assert folds is not None, "folds are made if validation rows do not decide"
            outputs[option.title] = _out_of_fold(option, train, folds, classes)[train.as_written]
    truth_N = valid.truth_N if on_valid else train.truth_N[train.as_written]
    scores = {title: _figure(of, truth_N, said, classes, back) for title, said in outputs.items()}
    sign = 1 if of.higher_is_better else -1
    if not all(map(np.isfinite, scores.values())):
        name, sign = "loss", -1
        scores = {title: _loss(truth_N, said, classes) for title, said in outputs.items()}
    best = max(options, key=lambda option: sign * scores[option.title])  # the first one of equals
    probe = fitted_again(best, train, classes=classes, members=members, folds=folds)
    return probe, Choice(name, "valid" if on_valid else "folds", len(truth_N), scores)


def fitted_again(
    candidate: Candidate,
    rows: Rows,
    *,
    classes: int = 0,
    members: int = 1,
    folds: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
) -> Probe:
    """Fits a candidate that was chosen, as a single probe or an ensemble, with probabilities of classes.

    Args:
        candidate: the model.
        rows: the rows to fit on.
        classes: number of classes of the task; 0 for regression.
        members: number of members of an ensemble; 1: a single probe.
        folds: result of `folds_of` for these rows, if it was computed already. None: it is computed if needed.
    """
    probe = fitted(candidate, rows)
    if members > 1:
        probe = bagged(Candidate(probe.model, probe.settings), rows, members)
    if not _is_machine(candidate, rows):
        return probe
    return _as_probabilities(probe, _out_of_fold(candidate, rows, folds or folds_of(rows), classes, raw=True), rows)


def probe_outputs(probe: Probe, rows: Rows, points_PF: np.ndarray, classes: int) -> np.ndarray:
    """Returns scaled numbers, float64 [N], or log-probabilities of all classes, float64 [N, C].

    Args:
        probe: the probe.
        rows: the rows.
        points_PF: the points among which its support points are.
        classes: number of classes of the task; 0 for regression.
    """
    scores_NC = probe.scores(rows.z_NF, points_PF)
    return log_probabilities(scores_NC, probe.classes, classes) if classes else scores_NC[:, 0]


def log_probabilities(scores_NC: np.ndarray, found: Sequence[int], classes: int) -> np.ndarray:
    """Returns the log-probability of every class, float64 [N, classes].

    Args:
        scores_NC: outputs of a probe, for the classes that occur in its training rows.
        found: these classes. The others get a very small probability.
        classes: number of classes of the task.
    """
    logp_NC = np.full((len(scores_NC), classes), np.log(_TINY))
    logp_NC[:, list(found)] = scores_NC - np.logaddexp.reduce(scores_NC, axis=1, keepdims=True)
    return np.maximum(logp_NC, np.log(_TINY))


def folds_of(rows: Rows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divides rows into folds: (positions to fit on, positions to predict) of each.

    Rows with equal vectors stay together, as do both strands of a row. They are dealt out in the order of their labels,
    so all folds have about the same labels.

    Args:
        rows: at least two rows with different vectors.
    """
    _, first, group_N = np.unique(rows.z_NF, axis=0, return_index=True, return_inverse=True)
    if rows.row_N is not None:
        _, first, group_N = np.unique(_joined(group_N.reshape(-1), rows.row_N), return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(0).permutation(len(first))
    order = shuffled[np.argsort(rows.truth_N[first][shuffled], kind="stable")]
    count = min(FOLDS, len(first))
    fold_of_group = np.empty(len(first), dtype=np.int64)
    fold_of_group[order] = np.arange(len(first)) % count
    fold_N = fold_of_group[group_N.reshape(-1)]
    return [(np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)) for fold in range(count)]


def _joined(group_N: np.ndarray, row_N: np.ndarray) -> np.ndarray:
    """Groups that also keep the vectors of a row together, int64 [N]: rows that share a vector are in one group."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    groups, rows = int(group_N.max()) + 1, int(row_N.max()) + 1
    edges = np.ones(len(group_N), dtype=np.int8), (group_N, groups + row_N)
    _, part_of = connected_components(coo_matrix(edges, shape=(groups + rows, groups + rows)), directed=False)
    return part_of[group_N].astype(np.int64)


def _is_machine(option: Candidate, rows: Rows) -> bool:
    """Whether the outputs of a candidate are distances, from which probabilities must be made."""
    return option.model == "svm" and rows.is_classes


def _out_of_fold(
    option: Candidate,
    rows: Rows,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    classes: int,
    *,
    raw: bool = False,
) -> np.ndarray:
    """Outputs for training rows by models that were not fitted on them; `raw`: scores of classes, NaN if unknown."""
    found = None
    for fit_on, predict in folds:
        part, asked = rows.take(fit_on), rows.take(predict)
        probe = fitted(option, part)
        if raw:
            said = np.full((len(predict), classes), np.nan)
            said[:, list(probe.classes)] = probe.scores(asked.z_NF, part.z_NF)
        else:
            said = probe_outputs(probe, asked, part.z_NF, classes)
        if found is None:
            found = np.empty((len(rows), *said.shape[1:]))
        found[predict] = said
    assert found is not None, "there is a fold"
    return found


def _as_probabilities(probe: Probe, distances_NC: np.ndarray, rows: Rows) -> Probe:
    """The machine with its distances turned into log-odds.

    Args:
        probe: the fitted machine.
        distances_NC: distances of the training rows to the borders of machines that were not fitted on them, for all
            classes of the task.
        rows: the training rows.
    """
    known_NC = distances_NC[:, list(probe.classes)]
    usable_N = ~np.isnan(known_NC).any(axis=1)
    if not usable_N.any():
        return probe
    place = {c: i for i, c in enumerate(probe.classes)}
    truth_N = np.array([place[int(c)] for c in rows.truth_N[usable_N]])
    weights_N = None if rows.weights_N is None else rows.weights_N[usable_N]
    slope, offset_C = log_odds_of_distances(known_NC[usable_N], truth_N, weights_N)
    intercept_C = slope * probe.intercept_C + np.tile(offset_C, probe.members)
    return replace(probe, coefficients=slope * probe.coefficients, intercept_C=intercept_C)


def log_odds_of_distances(
    distances_NC: np.ndarray, truth_N: np.ndarray, weights_N: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Fits softmax(slope * distances + offsets) by maximum likelihood; a small penalty keeps both finite.

    Args:
        distances_NC: distances to the border of each class, float [N, C].
        truth_N: classes, int [N].
        weights_N: weights of the rows, float [N]; None: 1 each.

    Returns:
        The slope, which is positive, and the offset of each class, float64 [C].
    """
    from scipy.optimize import minimize

    rows, classes = distances_NC.shape
    weight_N = np.ones(rows) if weights_N is None else weights_N
    target_NC = np.eye(classes)[truth_N]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, offset_C = np.exp(parameters[0]), parameters[1:]
        z_NC = slope * distances_NC + offset_C
        logp_NC = z_NC - np.logaddexp.reduce(z_NC, axis=1, keepdims=True)
        error_NC = weight_N[:, None] * (np.exp(logp_NC) - target_NC)
        value = -(weight_N * (logp_NC * target_NC).sum(axis=1)).sum() + 0.5 * (parameters**2).sum()
        gradient = np.concatenate([[slope * (error_NC * distances_NC).sum()], error_NC.sum(axis=0)]) + parameters
        return float(value), gradient

    limit = np.log(_LARGEST_SLOPE)
    bounds = [(-limit, limit), *[(-20.0, 20.0)] * classes]
    found = minimize(loss, np.zeros(classes + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return float(np.exp(found.x[0])), found.x[1:]


def _is_defined(metric: Metric, truth_N: np.ndarray, classes: int, back: Callable[[float], float]) -> bool:
    """Whether a metric has a value on rows with these labels, whatever is predicted for them."""
    generator = np.random.default_rng(0)
    said = generator.normal(size=(len(truth_N), classes) if classes else len(truth_N))
    if classes:
        said = said - np.logaddexp.reduce(said, axis=1, keepdims=True)
    return bool(np.isfinite(_figure(metric, truth_N, said, classes, back)))


def _figure(
    metric: Metric, truth_N: np.ndarray, said: np.ndarray, classes: int, back: Callable[[float], float]
) -> float:
    if classes:
        return float(metric.of(Answers(truth_N, said.argmax(axis=1), np.exp(said))))
    line = np.vectorize(back, otypes=[np.float64])
    return float(metric.of(Answers(line(truth_N), line(said))))


def _loss(truth_N: np.ndarray, said: np.ndarray, classes: int) -> float:
    if classes:
        return float(-said[np.arange(len(truth_N)), truth_N].mean())
    return float(((said - truth_N) ** 2).mean())


__getattr__ = old_names(__name__, {"predicted": "probe_outputs"})
