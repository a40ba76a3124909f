"""Fits one baseline to one target column, and turns its answers into predictions of the task.

Shapes: N training rows, V validation rows, A answered rows, K target columns, C classes of the task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.baselines import baseline_features as features
from mammal.tasks.baselines.baseline_features import Matrix
from mammal.tasks.baselines.boosting import Boosting
from mammal.tasks.baselines.recipe import Recipe
from mammal.tasks.baselines.search import Judge
from mammal.tasks.baselines.support_vectors import ROWS, SupportVectors
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.metrics.registry import metric_named
from mammal.tasks.tables.cells import Row
from mammal.tokenization.lazy import old_names

if TYPE_CHECKING:
    from mammal.tasks.task import Task

MANY_TARGETS = 4
"""With more target columns than this, the time of tuned models is limited: a support vector machine uses half as many
training rows, and only the number of trees of boosting is chosen."""

_TINY = 1e-12


@dataclass(frozen=True)
class Parts:
    """The rows that baselines learn from and answer, without those that the task can't read.

    Attributes:
        train: texts of the training rows, by column.
        truth_NK: labels of the training rows.
        valid_truth_VK: labels of the validation rows; bounds are missing, as metrics don't read them.
        asked: texts of the validation rows, then of the test rows.
    """

    train: list[dict[str, str]]
    truth_NK: np.ndarray
    valid_truth_VK: np.ndarray
    asked: list[dict[str, str]]

    @property
    def valid(self) -> int:
        """Number of validation rows."""
        return len(self.valid_truth_VK)


def rows_by_part(
    task: Task,
    train: Sequence[Row],
    train_texts: Sequence[dict[str, str] | str],
    valid: Sequence[Row],
    asked_texts: Sequence[dict[str, str] | str],
) -> Parts:
    """Collects what baselines need of the rows.

    Args:
        task: the task.
        train: training rows.
        train_texts: their inputs, or the reason why the task can't read a row.
        valid: validation rows.
        asked_texts: inputs or reasons of the validation rows, then of the test rows.
    """
    learned = [row for row, texts in zip(train, train_texts, strict=True) if isinstance(texts, dict)]
    chosen_on = [row for row, texts in zip(valid, asked_texts, strict=False) if isinstance(texts, dict)]
    return Parts(
        [texts for texts in train_texts if isinstance(texts, dict)],
        task.truths(learned) if learned else np.zeros((0, len(task.target_columns))),
        _measured(task, chosen_on),
        [texts for texts in asked_texts if isinstance(texts, dict)],
    )


def features_of(recipe: Recipe, parts: Parts) -> tuple[Matrix, Matrix]:
    """Returns the features of the training rows and of the answered rows, [N, F] and [A, F]."""
    train, asked = parts.train, parts.asked
    if not recipe.columns:
        return np.zeros((len(train), 1)), np.zeros((len(asked), 1))
    if not recipe.tuned:
        return features.matrices(recipe.columns, recipe.how, train, asked)
    pairs = [features.matrices(list(how), how, train, asked) for how in (recipe.counted, recipe.how) if how]
    both = zip(*pairs, strict=True)
    x_train, x_asked = (np.hstack(blocks).astype(np.float32, copy=False) for blocks in both)
    return x_train, x_asked


def fit_and_predict(
    task: Task, parts: Parts, recipe: Recipe, k: int, x: tuple[Matrix, Matrix], *, trees: int, seed: int
) -> tuple[list[Prediction], str]:
    """Fits a baseline to the k-th target column.

    Args:
        task: the task.
        parts: rows to learn from and to answer.
        recipe: the baseline.
        k: number of the target column.
        x: what `features_of` returns.
        trees: number of trees of a forest.
        seed: seed of a forest.

    Returns:
        A prediction for each answered row, and a line about a tuned model ("" for others).
    """
    x_train, x_asked = x
    if not x_asked.shape[0]:
        return [], ""
    regression = task.family == "regression"
    truth_N = parts.truth_NK[:, k]
    if _logarithmic(task):  # same scale as the model is trained on
        truth_N = np.log10(truth_N, where=truth_N > 0, out=np.full_like(truth_N, np.nan))
    known = np.flatnonzero(~np.isnan(truth_N) if regression else truth_N >= 0)
    note = ""
    if len(np.unique(truth_N[known])) < 2:  # a subset of the training rows can lack a class
        model = _constant(task).fit(np.zeros((len(known), 1)), truth_N[known])
        said = _said(task, model, np.zeros((x_asked.shape[0], 1)))
    elif recipe.tuned:
        said, note = _tuned(task, parts, recipe, k, x_train[known], truth_N[known], x_asked)
    else:
        model = _model(task, recipe, trees, seed, len(known)).fit(x_train[known], truth_N[known])
        said = _said(task, model, x_asked)
    if regression:
        return [Prediction(i, value=float(v)) for i, v in enumerate(_in_unit(task, said))], note
    return [task.answer(i, np.log(p_C)) for i, p_C in enumerate(said)], note  # type: ignore[attr-defined]


def _tuned(
    task: Task, parts: Parts, recipe: Recipe, k: int, x_NF: np.ndarray, truth_N: np.ndarray, x_asked: np.ndarray
) -> tuple[np.ndarray, str]:
    """Answers of a model whose settings are chosen on the validation rows, on one thread: the same on every machine."""
    from threadpoolctl import threadpool_limits

    truth_V = parts.valid_truth_VK[:, k]
    there = np.flatnonzero(~np.isnan(truth_V) if task.family == "regression" else truth_V >= 0)
    classes, few = task.family == "classification", len(task.target_columns) <= MANY_TARGETS
    judge = _judge(task, truth_V[there])
    model: SupportVectors | Boosting
    if recipe.model == "svm":
        counts = features.BITS * len(recipe.counted)
        model = SupportVectors(counts, classes, judge, rows=ROWS if few else ROWS // 2)
    else:
        model = Boosting(classes, judge, choose=few)
    with threadpool_limits(1):
        model.fit(x_NF, truth_N, x_asked[: parts.valid][there])
        return _said(task, model, x_asked), model.note


def _judge(task: Task, truth_V: np.ndarray) -> Judge:
    """Rates predictions of labelled validation rows by the task's first metric; higher is better."""
    default = "rmse" if task.family == "regression" else "accuracy"
    metric = metric_named(next(iter(task.config.metrics), default))

    def judge(said: np.ndarray, classes: np.ndarray) -> float:
        if task.family == "regression":
            answers = Answers(truth_V, _in_unit(task, said))
        else:
            probability_VC = _for_all_classes(task, said, classes)
            answers = Answers(truth_V, probability_VC.argmax(axis=1), probability_VC)
        figure = float(metric.of(answers))
        return figure if metric.higher_is_better else -figure

    return judge


def _said(task: Task, model: Any, x_AF: Matrix) -> np.ndarray:
    """Values in the scale that the model is trained on, float64 [A], or probabilities of all classes, [A, C]."""
    if task.family == "regression":
        return np.asarray(model.predict(x_AF), dtype=np.float64)
    return _for_all_classes(task, model.predict_proba(x_AF), model.classes_)


def _for_all_classes(task: Task, probability: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Probabilities of all classes of the task; those that no training row has get a tiny one."""
    probability_AC = np.full((len(probability), len(task.config.labels)), _TINY)
    probability_AC[:, classes] = np.maximum(probability, _TINY)
    return probability_AC


def _logarithmic(task: Task) -> bool:
    return task.family == "regression" and bool(task.config.scale.log)


def _in_unit(task: Task, said_A: np.ndarray) -> np.ndarray:
    return 10**said_A if _logarithmic(task) else said_A


def _measured(task: Task, rows: Sequence[Row]) -> np.ndarray:
    """Labels that metrics read, [V, K]; NaN or -1 if there is none."""
    from mammal.tasks.kinds.regression import RegressionTask
    from mammal.tasks.targets.censored import EXACT

    if not rows:
        return np.zeros((0, len(task.target_columns)))
    if isinstance(task, RegressionTask):
        numbers_VK, bounds_VK = task.measured.table(rows)
        return np.where(bounds_VK == EXACT, numbers_VK, np.nan)
    return task.truths(rows)


def _model(task: Task, recipe: Recipe, trees: int, seed: int, rows: int) -> Any:
    """An unfitted estimator of scikit-learn, for this number of training rows."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    classes = task.family == "classification"
    forest: dict[str, Any] = {"n_estimators": trees, "random_state": seed, "n_jobs": -1}
    if recipe.draws is not None and recipe.draws < rows:
        forest["max_samples"] = recipe.draws
    made: dict[str, Callable[[], Any]] = {
        "mean": partial(_constant, task),
        "forest": partial(RandomForestClassifier, **forest)
        if classes
        else partial(RandomForestRegressor, max_features=1 / 3, **forest),
        "linear": lambda: make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=1000) if classes else Ridge()),
    }
    return made[recipe.model]()


def _constant(task: Task) -> Any:
    """An estimator that predicts the shares of the classes, or the mean, for every row."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyClassifier(strategy="prior") if task.family == "classification" else DummyRegressor()


__getattr__ = old_names(__name__, {"predicted": "fit_and_predict"})
