"""Baselines for labels of tokens.

    mean             the most common label of the training tokens, with the shares of all labels as probabilities
    linear_window    logistic regression on which residue (base, atom) is at each of the seven places before and after a
                     token, and at the token itself

The window is that of the first neural predictors of secondary structure (Qian and Sejnowski 1988 used 13 residues). At
most `MOST_TOKENS` training tokens are used, of whole rows that are sampled with a seed.

Shapes: U tokens of a row, R of them with a label, N tokens of all rows, C classes, S symbols.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.kinds.token_classification import TokenClassificationTask
from mammal.tasks.tables.cells import Row
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

logger = logging.getLogger(__name__)

MEAN, WINDOW = "mean", "linear_window"
REACH = 7
"""Number of places before a token that are read, and after it."""
MOST_TOKENS = 400_000
MOST_ITERATIONS = 200

Answered = list[list[Prediction]]
"""Predictions of each group of rows."""


def token_baselines(
    task: TokenClassificationTask,
    train: Sequence[Row],
    groups: Sequence[Sequence[Row]],
    *,
    names: Sequence[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, tuple[Answered, str]]:
    """Fits the baselines on training rows, and predicts the labels of the tokens of other rows.

    Args:
        task: the task.
        train: training rows; those without readable labels are left out.
        groups: rows to predict, in groups; a row that the task can't read gets a prediction with the error.
        names: names of the baselines to fit; None: all.
        progress: is called with name, number of fitted models and number of all models.

    Returns:
        Name of a baseline -> the predictions of each group, and a note on the training rows that were used. Empty if no
        training row can be read.
    """
    known = [pair for row in train if (pair := _labelled(task, row)) is not None]
    if not known:
        logger.info("%s: no baselines, as no training row has labels that can be read", task.name)
        return {}
    fits = {MEAN: _shares, WINDOW: _window}
    asked = [name for name in fits if names is None or name in names]
    found = {}
    for done, name in enumerate(asked, start=1):
        answer, note = fits[name](task, known)
        found[name] = [_answered(task, rows, answer) for rows in groups], note
        if progress is not None:
            progress(name, done, len(asked))
    return found


Answer = Callable[[list[str]], np.ndarray]
"""From the symbols of a row to the probability of each class at each of them, float [U, C]."""
Known = Sequence[tuple[list[str], np.ndarray]]
"""Symbols of each training row and their classes, int64 [U]; -1 for a symbol without a label."""


def _shares(task: TokenClassificationTask, known: Known) -> tuple[Answer, str]:
    counts_C = np.bincount(np.concatenate([c_R[c_R >= 0] for _, c_R in known]), minlength=len(task.labels))
    shares_C = counts_C / counts_C.sum()
    return lambda symbols: np.tile(shares_C, (len(symbols), 1)), ""


def _window(task: TokenClassificationTask, known: Known) -> tuple[Answer, str]:
    from sklearn.linear_model import LogisticRegression

    used = _sample(known)
    index = {symbol: place for place, symbol in enumerate(sorted({s for symbols, _ in used for s in symbols}))}
    classes_N = np.concatenate([classes_R for _, classes_R in used])
    features_NF = _one_hot([symbols for symbols, _ in used], index)[np.flatnonzero(classes_N >= 0)]
    model = LogisticRegression(max_iter=MOST_ITERATIONS).fit(features_NF, classes_N[classes_N >= 0])

    def answer(symbols: list[str]) -> np.ndarray:
        probability_RC = np.zeros((len(symbols), len(task.labels)))
        probability_RC[:, model.classes_] = model.predict_proba(_one_hot([symbols], index))
        return probability_RC

    return answer, "" if len(used) == len(known) else f"{len(used):,} of {len(known):,} training rows"


def _sample(known: Known) -> Known:
    """Rows in random order until they have `MOST_TOKENS` tokens; at least one."""
    order = np.random.default_rng(0).permutation(len(known))
    ends = np.cumsum([len(known[row][1]) for row in order])
    return [known[row] for row in order[: max(1, int((ends <= MOST_TOKENS).sum()))]]


def _one_hot(rows: Sequence[list[str]], index: dict[str, int]) -> csr_matrix:
    """One column for each place of the window and each symbol, [N, (2 * REACH + 1) * S]; zeros beyond the ends."""
    from scipy.sparse import csr_matrix, vstack

    width = 2 * REACH + 1
    blocks: list[Any] = []
    for symbols in rows:
        padded = np.full(len(symbols) + 2 * REACH, -1, dtype=np.int64)
        padded[REACH : REACH + len(symbols)] = [index.get(symbol, -1) for symbol in symbols]
        seen_RW = np.lib.stride_tricks.sliding_window_view(padded, width)
        columns_RW = seen_RW + np.arange(width) * len(index)
        known_RW = seen_RW >= 0
        starts = np.concatenate(([0], known_RW.sum(axis=1).cumsum()))
        ones = np.ones(int(starts[-1]), dtype=np.float32)
        blocks.append(csr_matrix((ones, columns_RW[known_RW], starts), shape=(len(symbols), width * len(index))))
    return vstack(blocks, format="csr")


def _labelled(task: TokenClassificationTask, row: Row) -> tuple[list[str], np.ndarray] | None:
    """Symbols and classes of a row; None if it can't be read."""
    try:
        symbols, classes_R = _symbols(task, row), task.classes(row)
    except MammalError:
        return None
    classes_U = np.full(len(symbols), -1, dtype=np.int64)
    classes_U[task.sequence.has_label(symbols)] = classes_R
    return symbols, classes_U


def _symbols(task: TokenClassificationTask, row: Row) -> list[str]:
    return task.symbols(task.inputs(row)[task.labelled])


def _answered(task: TokenClassificationTask, rows: Sequence[Row], answer: Answer) -> list[Prediction]:
    found = []
    for number, row in enumerate(rows):
        try:
            symbols = _symbols(task, row)
            found.append(task.answer(number, answer(symbols)[task.sequence.has_label(symbols)]))
        except MammalError as error:
            found.append(Prediction(number, error=str(error)))
    return found
