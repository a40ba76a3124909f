"""Classes that are probably wrong, by confident learning (Northcutt, Jiang & Chuang 2021, JAIR 70, 1373-1411).

A logistic regression on fingerprints gives each row a probability of each class, from folds in which the row was not
used for fitting. `cleanlab`, the library of the paper's authors, compares these probabilities with the labels: a row
counts as another class if its probability of that class is above the mean probability of this class over the rows that
have it as their label. Only rows are reported that both of the paper's rules name: pruning by class and by noise rate.

Shapes: M rows with a label, C classes, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.data_check.findings import NOTE, Finding, FlaggedRow, counted, largest_first, percent, verb
from mammal.errors import DataError
from mammal.tasks.baselines.similarity import fingerprints
from mammal.tasks.tables.spread_rows import spread_rows

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData
    from mammal.data_check.labels import Labels

FOLDS = 5
MOST_ROWS = 10_000
FEWEST_ROWS, FEWEST_OF_CLASS = 100, 20
"""With fewer rows, or fewer rows of any class, nothing is estimated."""
LEAST_SKILL = 0.75
"""Least area under the ROC curve of the probabilities. A model that can't tell the classes can't find wrong labels."""
LEAST_SHARE = 0.01
"""Least estimated share of wrong labels that is reported. A smaller one could be mistakes of the model."""
LEAST_DOUBT = 0.8
"""Least probability of another class for a row to be reported."""


def noisy_labels(data: CheckedData, labels: Labels, k: int) -> Iterator[Finding]:
    """Lists the rows whose class is probably wrong.

    Args:
        data: the rows.
        labels: their labels.
        k: position of the target column.
    """
    rows_M = _rows(data, labels, k)
    given_M = labels.index_NK[rows_M, k]
    counts = np.bincount(given_M, minlength=len(labels.classes))
    if len(rows_M) < FEWEST_ROWS or (counts > 0).sum() < 2 or counts[counts > 0].min() < FEWEST_OF_CLASS:
        return
    classes, given_M = np.unique(given_M, return_inverse=True)
    probability_MC = out_of_fold(_features(data, rows_M), given_M, _groups(data, rows_M))
    skill = _skill(given_M, probability_MC)
    if skill < LEAST_SKILL:
        return
    suspect_M = label_issues(given_M, probability_MC)
    guess_M = probability_MC.argmax(axis=1)
    sure_M = probability_MC[np.arange(len(rows_M)), guess_M] >= LEAST_DOUBT
    found = np.flatnonzero(suspect_M & sure_M)
    if not len(found) or suspect_M.mean() < LEAST_SHARE:
        return
    names = [labels.classes[c] for c in classes]
    flagged = []
    for at in found.tolist():
        row, chance = int(rows_M[at]), float(probability_MC[at, guess_M[at]])
        detail = f"{names[given_M[at]]}, a model of the other rows says {names[guess_M[at]]} ({chance:.2f})"
        flagged.append(FlaggedRow(row, detail, data.shown(row), None, chance))
    column, share = labels.columns[k], float(suspect_M.mean())
    yield Finding(
        "label_noise",
        NOTE,
        len(found),
        f"{counted(len(found), 'row')} of {column} {verb(len(found), 'have')} a class that a model of the other "
        "rows finds improbable; "
        f"estimated share of wrong labels at most {percent(share)} (confident learning, ROC area {skill:.2f})",
        "The share contains rows that the simple model does not understand, so it is an upper limit.",
        "look at the rows in the order of the list; correct labels that the source contradicts",
        column,
        largest_first(flagged),
        {"estimated share": share, "roc area": skill, "compared rows": len(rows_M)},
    )


def _rows(data: CheckedData, labels: Labels, k: int) -> np.ndarray:
    """Readable rows with a label, at most `MOST_ROWS` of them, evenly spread, int64 [M]."""
    known = [row for row in np.flatnonzero(labels.index_NK[:, k] >= 0).tolist() if data.inputs[row] is not None]
    kept = spread_rows(len(known), MOST_ROWS)
    return np.array(known, dtype=np.int64)[kept]


def _features(data: CheckedData, rows_M: np.ndarray) -> Any:
    """Fingerprints of all molecule and sequence columns as a sparse matrix [M, F]."""
    from scipy.sparse import csr_matrix, hstack

    blocks = []
    for column in data.entities:
        texts = np.array([(data.inputs[row] or {}).get(column, "") for row in rows_M.tolist()], dtype=object)
        different, places = np.unique(texts, return_inverse=True)
        bits = np.unpackbits(fingerprints(different.tolist(), data.kinds[column]), axis=1)
        blocks.append(csr_matrix(bits.astype(np.float32))[places])
    return hstack(blocks, format="csr")


def _groups(data: CheckedData, rows_M: np.ndarray) -> np.ndarray:
    """Number of the entity of each row: repeats of a row are in the same fold, or they would confirm each other."""
    keys = data.keys(connectivity=True)
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(keys[row], len(numbers)) for row in rows_M.tolist()], dtype=np.int64)


def out_of_fold(features_MF: Any, given_M: np.ndarray, group_M: np.ndarray) -> np.ndarray:
    """Returns probabilities of the classes by logistic regressions that have not seen the row, float64 [M, C].

    Args:
        features_MF: a matrix, dense or sparse.
        given_M: label of each row, 0 to C - 1.
        group_M: rows of the same group are in the same fold.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    probability_MC = np.full((len(given_M), int(given_M.max()) + 1), np.nan)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for train, test in folds.split(features_MF, given_M, group_M):
        model = LogisticRegression(C=0.1, max_iter=200, tol=1e-3)
        model.fit(features_MF[train], given_M[train])
        probability_MC[test] = 0.0
        probability_MC[np.ix_(test, model.classes_)] = model.predict_proba(features_MF[test])
    return probability_MC


def label_issues(given_M: np.ndarray, probability_MC: np.ndarray) -> np.ndarray:
    """Returns which labels are probably wrong by confident learning, bool [M].

    Args:
        given_M: label of each row, 0 to C - 1; each class occurs.
        probability_MC: probability of each class, from a model that has not seen the row.

    Raises:
        DataError: cleanlab is not installed.
    """
    if not can_estimate():
        raise DataError("estimating wrong labels needs the package cleanlab", hint="pip install 'mammal[data-check]'")
    from cleanlab.filter import find_label_issues

    return np.asarray(find_label_issues(given_M, probability_MC, filter_by="both", n_jobs=1), dtype=bool)


def can_estimate() -> bool:
    """Whether the package that estimates wrong labels is installed."""
    return find_spec("cleanlab") is not None


def _skill(given_M: np.ndarray, probability_MC: np.ndarray) -> float:
    """Area under the ROC curve, the mean over classes against the rest."""
    from sklearn.metrics import roc_auc_score

    areas = [roc_auc_score(given_M == c, probability_MC[:, c]) for c in range(probability_MC.shape[1])]
    return float(np.mean(areas))
