"""Cheap baselines on the same split: what a number has to beat before it means anything.

    mean               shares of the classes, or the mean, of the training labels
    forest_morgan      random forest on Morgan count fingerprints (ECFP4) of the molecules
    forest_kmers       random forest on counts of 1- to 3-mers of the sequences
    linear_kmers       logistic regression on the same (ridge regression for numbers)
    forest_both        random forest on fingerprints and k-mers, for pairs

Settings are fixed here, before any result was seen, and are never tuned on a task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.cells import Row
from mammal.tasks.chemistry import morgan_counts
from mammal.tasks.prediction import Prediction
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.task import Task

TREES = 500
LONGEST_KMER = 3
KMER_FEATURES = 4096
_TINY = 1e-12

Features = dict[str, Any]
"""Matrix [rows, features] by name: `none`, `morgan`, `kmers`, `both`."""


def baselines(
    task: Task, train: Sequence[Row], test: Sequence[Row], *, trees: int = TREES, seed: int = 0
) -> dict[str, list[Prediction]]:
    """What every baseline that fits the task's columns says of the test rows, for `task.metrics`.

    Rows are standardised as the task does it. Test rows that the task would set aside carry the error; training rows
    like that are left out. Generation and denoising have no baselines.
    """
    if task.kind not in ("classification", "regression"):
        return {}
    learned, test_texts = _texts(task, train), _texts(task, test)
    kept = [row for row, texts in zip(train, learned, strict=True) if isinstance(texts, dict)]
    truth_NK = task.truths(kept)
    train_features = _features(task, [texts for texts in learned if isinstance(texts, dict)])
    asked = [i for i, texts in enumerate(test_texts) if isinstance(texts, dict)]
    test_features = _features(task, [test_texts[i] for i in asked])  # type: ignore[misc]
    found: dict[str, list[Prediction]] = {}
    for name, (features, make) in _estimators(task, trees, seed).items():
        if features in train_features:
            by_column = {
                column: _answers(task, k, make(), truth_NK, train_features[features], test_features[features])
                for k, column in enumerate(task.target_columns)
            }
            found[name] = _joined(test_texts, asked, by_column)
    return found


def _estimators(task: Task, trees: int, seed: int) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Features and model of each baseline."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    shared = {"n_estimators": trees, "random_state": seed, "n_jobs": -1}
    if task.kind == "classification":
        logistic = partial(LogisticRegression, max_iter=1000)
        forest, linear = partial(RandomForestClassifier, **shared), lambda: make_pipeline(MaxAbsScaler(), logistic())
        return _named(partial(DummyClassifier, strategy="prior"), forest, linear)
    # A third of the features at each cut is Breiman's setting for regression; scikit-learn's default takes all of them.
    forest = partial(RandomForestRegressor, max_features=1 / 3, **shared)
    return _named(DummyRegressor, forest, lambda: make_pipeline(MaxAbsScaler(), Ridge()))


def _named(mean: Callable[[], Any], forest: Callable[[], Any], linear: Callable[[], Any]) -> dict[str, Any]:
    return {
        "mean": ("none", mean),
        "forest_morgan": ("morgan", forest),
        "forest_kmers": ("kmers", forest),
        "linear_kmers": ("kmers", linear),
        "forest_both": ("both", forest),
    }


def _texts(task: Task, rows: Sequence[Row]) -> list[dict[str, str] | str]:
    """Each row's standardised inputs, or why it has none."""
    found: list[dict[str, str] | str] = []
    for row in rows:
        try:
            found.append(task.prepare(row))
        except MammalError as error:
            found.append(str(error))
    return found


def _features(task: Task, texts: Sequence[dict[str, str]]) -> Features:
    from scipy.sparse import hstack

    molecules = [column for column in task.columns if column in task.molecules]
    sequences = [column for column in task.columns if column in task.sequences]
    features: Features = {"none": np.zeros((len(texts), 1))}
    if molecules:
        features["morgan"] = np.hstack([morgan_counts([row[column] for row in texts]) for column in molecules])
    if sequences:
        features["kmers"] = hstack([_kmer_counts([row[column] for row in texts]) for column in sequences]).tocsr()
    if molecules and sequences:
        features["both"] = hstack([features["morgan"], features["kmers"]]).tocsr()
    return features


def _kmer_counts(sequences: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    counter = HashingVectorizer(
        analyzer="char",
        ngram_range=(1, LONGEST_KMER),
        n_features=KMER_FEATURES,
        lowercase=False,
        norm=None,
        alternate_sign=False,
    )
    return counter.transform(sequences)


def _answers(task: Task, k: int, model: Any, truth_NK: np.ndarray, x_train: Any, x_test: Any) -> list[Prediction]:
    """Predictions of the k-th target column for the rows of `x_test`."""
    regression = task.kind == "regression"
    known = np.flatnonzero(~np.isnan(truth_NK[:, k]) if regression else truth_NK[:, k] >= 0)
    model.fit(x_train[known], truth_NK[known, k])
    if regression:
        return [Prediction(i, value=float(value)) for i, value in enumerate(model.predict(x_test))]
    probability_NC = np.full((x_test.shape[0], len(task.config.labels)), _TINY)
    probability_NC[:, model.classes_] = np.maximum(model.predict_proba(x_test), _TINY)
    return [task.answer(i, np.log(p_C)) for i, p_C in enumerate(probability_NC)]  # type: ignore[attr-defined]


def _joined(
    texts: Sequence[dict[str, str] | str], asked: Sequence[int], by_column: dict[str, list[Prediction]]
) -> list[Prediction]:
    """One prediction for each test row, the set-aside ones with their error."""
    said = {row: {column: answers[i] for column, answers in by_column.items()} for i, row in enumerate(asked)}
    found = []
    for row, text in enumerate(texts):
        if row not in said:
            found.append(Prediction(row, error=str(text)))
        elif len(by_column) == 1:
            found.append(replace(next(iter(said[row].values())), row_id=row))
        else:
            found.append(Prediction(row, by_target=said[row]))
    return found
