"""Cheap baselines on the same split, which a model has to beat before its results mean anything.

    mean                  shares of the classes, or the mean, of the training labels
    forest_morgan         random forest on Morgan count fingerprints of the molecules
    forest_descriptors    random forest on all RDKit 2D descriptors of the molecules
    forest_kmers          random forest on k-mer counts of the sequences
    forest_words          random forest on the names in a list (genes, attributes of a cell)
    linear_kmers          logistic regression on k-mer counts (ridge regression for numbers). For DNA with variants in
                          place, both k-mer baselines use the reference sequence: the place without the change
    forest_variant        random forest on the change of a variant, for DNA with variants in place
    linear_variant        logistic or ridge regression on the same
    nearest               text: the answer of the most similar training row (`mammal.tasks.baselines.baseline_copy`)
    profile               one hidden stretch of a known length: the commonest residue at each of its places
                          (`mammal.tasks.baselines.baseline_profile`)
    linear_esm2           logistic or ridge regression on frozen ESM-2 states of proteins (and on the other columns
                          that the prompt reads). Without ESM-2 weights on disk it is left out, and the log says so
    forest_all            several columns: random forest on everything the prompt reads
    forest_only_COLUMN    several columns: random forest on one column. A model of pairs that is not better has learned
                          only one side.

Features are described in `mammal.tasks.baselines.baseline_features`. Forests have 500 fully grown trees and
scikit-learn's default settings, except that each split in regression considers a third of the features (Breiman 2001).
Linear models get features divided by their largest absolute value, with scikit-learn's default penalties (C = 1,
alpha = 1). Each tree over DNA samples at most 10,000 rows. If a task trains on logarithms, its baselines do, too. All
of this was fixed before any result was seen and is not tuned on a task.

Shapes: N rows, K target columns, C classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.baselines import baseline_dna as dna
from mammal.tasks.baselines import baseline_features as features
from mammal.tasks.baselines.baseline_copy import NEAREST, copied
from mammal.tasks.baselines.baseline_features import Featuriser, Matrix
from mammal.tasks.baselines.baseline_molecules import COMMONEST, UNCHANGED, commonest, unchanged
from mammal.tasks.baselines.baseline_profile import PROFILE, profiled
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.tables.cells import Row
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

TREES = 500
DRAWS_OF_DNA = 10_000
"""Maximum number of rows that a tree over DNA samples: saturation mutagenesis has tens of thousands of similar rows."""

ONLY = "forest_only_"
VARIANT = "["
"""Character that occurs only in variants in in-place notation."""

_WRITTEN = {NEAREST: copied, PROFILE: profiled, UNCHANGED: unchanged, COMMONEST: commonest}
"""Baselines that write text."""

_TINY = 1e-12

Said = dict[str, list[list[Prediction]]]
"""Name of a baseline -> one list of predictions for each seed."""


@dataclass(frozen=True)
class Recipe:
    """One baseline.

    Attributes:
        columns: input columns that it uses.
        how: column -> its featuriser.
        model: `mean`, `forest` or `linear`.
        draws: maximum number of rows that each tree of a forest samples; None: as many as there are.
    """

    columns: tuple[str, ...]
    how: dict[str, Featuriser]
    model: str
    draws: int | None = None


def baselines(
    task: Task, train: Sequence[Row], test: Sequence[Row], *, trees: int = TREES, seed: int = 0
) -> dict[str, list[Prediction]]:
    """Fits every baseline that applies to a task, and predicts the test rows.

    Args:
        task: the task.
        train: training rows.
        test: test rows.
        trees: number of trees of each forest.
        seed: seed of forests.

    Returns:
        Name of a baseline -> one prediction for each test row, for `task.metrics`.
    """
    return {name: said[0] for name, said in seeded_baselines(task, train, test, trees=trees, seeds=(seed,)).items()}


def seeded_baselines(
    task: Task,
    train: Sequence[Row],
    test: Sequence[Row],
    *,
    trees: int = TREES,
    seeds: Sequence[int] = (0,),
    names: Sequence[str] | None = None,
) -> Said:
    """Fits every baseline that applies to a task with several seeds, and predicts the test rows.

    Deterministic models are fitted once; their predictions are repeated for every seed. Rows are standardised as the
    task does it. Text is copied from the nearest training row (`mammal.tasks.baselines.baseline_copy`), filled in with
    the most common residues (`mammal.tasks.baselines.baseline_profile`), or is a molecule of the input or the most
    common one (`mammal.tasks.baselines.baseline_molecules`). There are no baselines for denoising, nor for tasks that
    sample without an input.

    Args:
        task: the task.
        train: training rows; those that the task sets aside are left out.
        test: test rows; those that the task sets aside get a prediction with the error.
        trees: number of trees of each forest.
        seeds: seeds of forests.
        names: names of the baselines to fit. Default: all that apply.

    Returns:
        Name of a baseline -> for each seed, one prediction for each test row.
    """
    if task.family not in ("classification", "regression"):
        written = {
            name: said
            for name_of, baseline in _WRITTEN.items()
            if names is None or name_of in names
            for name, said in baseline(task, train, test).items()
        }
        return {name: [said] * len(seeds) for name, said in written.items()}
    learned, test_texts = _texts(task, train), _texts(task, test)
    kept = [row for row, texts in zip(train, learned, strict=True) if isinstance(texts, dict)]
    if not kept:  # names of molecules without their SMILES
        logger.info("%s: no baselines, as no training row has %s", task.name, ", ".join(task.identities))
        return {}
    asked = [i for i, texts in enumerate(test_texts) if isinstance(texts, dict)]
    x_texts = [texts for texts in learned if isinstance(texts, dict)], [t for t in test_texts if isinstance(t, dict)]
    truth_NK = task.truths(kept)
    found: Said = {}
    for name, recipe in recipes(task, x_texts[0]).items():
        if names is not None and name not in names:
            continue
        x_train, x_test = _features(recipe, *x_texts)
        varied = seeds if recipe.model == "forest" else seeds[:1]
        said = []
        for seed in varied:
            make = partial(_model, task, recipe, trees, seed)
            columns = enumerate(task.target_columns)
            by_column = {column: _answers(task, k, make, truth_NK, x_train, x_test) for k, column in columns}
            said.append(_joined(test_texts, asked, by_column))
        found[name] = said if len(said) == len(seeds) else said * len(seeds)
    return found


def recipes(task: Task, rows: Sequence[dict[str, str]]) -> dict[str, Recipe]:
    """Returns the baselines that apply to the inputs of a task.

    Args:
        task: the task.
        rows: texts of the training rows by column; they show whether DNA has variants in place.

    Returns:
        Name of a baseline -> its features and model.
    """
    kinds = features.column_kinds(task)
    every, present = tuple(kinds), set(kinds.values())
    main = {column: _main_featuriser(kind) for column, kind in kinds.items()}
    found = {"mean": Recipe((), {}, "mean")}
    if not every:
        return found
    if present == {"dna"} and len(every) == 1:
        return found | _dna_recipes(every[0], any(VARIANT in row[every[0]] for row in rows))
    draws = DRAWS_OF_DNA if "dna" in present else None
    if len(every) > 1:
        found["forest_all"] = Recipe(every, main, "forest", draws)
        found |= {f"{ONLY}{column}": Recipe((column,), main, "forest", draws) for column in every}
    else:
        name = {"molecule": "forest_morgan", "words": "forest_words", "number": "forest_all"}
        found[name.get(kinds[every[0]], "forest_kmers")] = Recipe(every, main, "forest")
    if "molecule" in present and not present & {"protein", "dna", "sequence", "words"}:
        described = features.with_medians(features.all_descriptors)
        how = {c: described if kinds[c] == "molecule" else main[c] for c in every}
        found["forest_descriptors"] = Recipe(every, how, "forest")
    if present <= {"protein", "dna", "sequence"}:
        found["linear_kmers"] = Recipe(every, main, "linear")
    if "protein" in present:
        model = features.esm2_on_disk(task.config.esm2)
        if model is None:
            logger.info("%s: no baseline on ESM-2 features, as no ESM-2 weights are here (MAMMAL_ESM2)", task.name)
        else:
            states = features.once_each(features.esm2_states(model))
            how = {c: states if kinds[c] == "protein" else main[c] for c in every}
            found["linear_esm2"] = Recipe(every, how, "linear")
    return found


def _dna_recipes(column: str, has_variants: bool) -> dict[str, Recipe]:
    """Baselines on k-mers of the reference, and separate ones on the change of variants, to compare their effects."""
    seen = {"kmers": dna.dna_kmers} | ({"variant": dna.dna_variant} if has_variants else {})
    found = {}
    for name, featurise in seen.items():
        of_trees = {column: features.dense(featurise(dna.LONGEST_OF_TREES))}
        found[f"forest_{name}"] = Recipe((column,), of_trees, "forest", DRAWS_OF_DNA)
        found[f"linear_{name}"] = Recipe((column,), {column: features.once_each(featurise())}, "linear")
    return found


def _main_featuriser(kind: str) -> Featuriser:
    by_kind = {"molecule": features.morgan, "words": features.words, "number": features.numbers}
    by_kind["dna"] = dna.dna_everything(dna.LONGEST_OF_TREES)
    return features.once_each(by_kind.get(kind, features.kmers))


def _features(recipe: Recipe, train: Sequence[dict[str, str]], test: Sequence[dict[str, str]]) -> tuple[Matrix, Matrix]:
    if not recipe.columns:
        return np.zeros((len(train), 1)), np.zeros((len(test), 1))
    return features.matrices(recipe.columns, recipe.how, train, test)


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


def _texts(task: Task, rows: Sequence[Row]) -> list[dict[str, str] | str]:
    """Each row's standardised inputs, or the error text if it is set aside."""
    found: list[dict[str, str] | str] = []
    for row in rows:
        try:
            found.append(task.inputs(row))
        except MammalError as error:
            found.append(str(error))
    return found


def _answers(
    task: Task, k: int, make: Callable[[int], Any], truth_NK: np.ndarray, x_train: Matrix, x_test: Matrix
) -> list[Prediction]:
    """Predictions of the k-th target column for the rows of `x_test`."""
    regression = task.family == "regression"
    logarithm = regression and task.config.scale.log  # same scale as the model is trained on
    if logarithm:
        truth_NK = np.log10(truth_NK, where=truth_NK > 0, out=np.full_like(truth_NK, np.nan))
    known = np.flatnonzero(~np.isnan(truth_NK[:, k]) if regression else truth_NK[:, k] >= 0)
    if not x_test.shape[0]:
        return []
    model = make(len(known))
    if len(np.unique(truth_NK[known, k])) < 2:  # a subset of the training rows can lack a class
        model, x_train = _constant(task), np.zeros((x_train.shape[0], 1))
    model.fit(x_train[known], truth_NK[known, k])
    if regression:
        said_N = model.predict(x_test)
        return [Prediction(i, value=float(v)) for i, v in enumerate(10**said_N if logarithm else said_N)]
    probability_NC = np.full((x_test.shape[0], len(task.config.labels)), _TINY)
    probability_NC[:, model.classes_] = np.maximum(model.predict_proba(x_test), _TINY)
    return [task.answer(i, np.log(p_C)) for i, p_C in enumerate(probability_NC)]  # type: ignore[attr-defined]


def _joined(
    texts: Sequence[dict[str, str] | str], asked: Sequence[int], by_column: dict[str, list[Prediction]]
) -> list[Prediction]:
    """One prediction for each test row; rows that are set aside get their error."""
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
