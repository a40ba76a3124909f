"""Cheap baselines on the same split, which a model has to beat before its results mean anything.

    mean                  shares of the classes, or the mean, of the training labels
    forest_morgan         random forest on Morgan count fingerprints of the molecules
    forest_descriptors    random forest on all RDKit 2D descriptors of the molecules
    svm_morgan, svm_descriptors, svm_both
                          support vector machine on Morgan counts, on descriptors, and on both of them
                          (`mammal.tasks.baselines.support_vectors`)
    boosting_morgan, boosting_descriptors, boosting_both
                          gradient boosting on the same (`mammal.tasks.baselines.boosting`)
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
    linear_window         labels of tokens: logistic regression on the residues (bases, atoms) around each token; `mean`
                          is the most common label (`mammal.tasks.baselines.baseline_tokens`)
    forest_all            several columns: random forest on everything the prompt reads
    forest_only_COLUMN    several columns: random forest on one column. A model of pairs that is not better has learned
                          only one side.

Features are described in `mammal.tasks.baselines.baseline_features`. Forests have 500 fully grown trees and
scikit-learn's default settings, except that each split in regression considers a third of the features (Breiman 2001).
Linear models get features divided by their largest absolute value, with scikit-learn's default penalties (C = 1,
alpha = 1). Each tree over DNA samples at most 10,000 rows. If a task trains on logarithms, its baselines do, too. All
of this was fixed before any result was seen and is not tuned on a task. Only support vector machines and boosting are
tuned: their settings are chosen by the task's first metric on the validation rows, from small grids stated in their
modules. Test rows are never used for a choice.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mammal.tasks.baselines.baseline_copy import NEAREST, copied
from mammal.tasks.baselines.baseline_molecules import COMMONEST, UNCHANGED, commonest, unchanged
from mammal.tasks.baselines.baseline_profile import PROFILE, profiled
from mammal.tasks.baselines.baseline_tokens import token_baselines
from mammal.tasks.baselines.estimators import features_of, fit_and_predict, rows_by_part
from mammal.tasks.baselines.recipe import DRAWS_OF_DNA, ONLY, VARIANT, Recipe, recipes
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.kinds.token_classification import TokenClassificationTask
from mammal.tasks.tables.cells import Row
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.task import Task

__all__ = ["DRAWS_OF_DNA", "ONLY", "VARIANT", "Fitted", "Recipe", "baselines", "fit_baselines", "recipes"]
__all__ += ["seeded_baselines"]

logger = logging.getLogger(__name__)

TREES = 500
SHOWN_TARGETS = 3
"""Maximum number of target columns whose settings are listed one by one."""

_WRITTEN = {NEAREST: copied, PROFILE: profiled, UNCHANGED: unchanged, COMMONEST: commonest}
"""Baselines that write text."""

Progress = Callable[[str, int, int], None]
"""(name of a baseline, number of models that are fitted, number of all models)."""


@dataclass(frozen=True)
class Fitted:
    """The predictions of a fitted baseline.

    Attributes:
        test: for each seed, one prediction for each test row.
        valid: for each seed, one prediction for each validation row; empty lists if they were not needed.
        note: tuned models: chosen settings and number of training rows, for each target column; else "".
    """

    test: list[list[Prediction]]
    valid: list[list[Prediction]]
    note: str = ""


def baselines(
    task: Task,
    train: Sequence[Row],
    test: Sequence[Row],
    *,
    valid: Sequence[Row] = (),
    trees: int = TREES,
    seed: int = 0,
) -> dict[str, list[Prediction]]:
    """Fits every baseline that applies to a task, and predicts the test rows.

    Args:
        task: the task.
        train: training rows.
        test: test rows.
        valid: validation rows, on which settings of tuned baselines are chosen. Without them, defaults are used.
        trees: number of trees of each forest.
        seed: seed of forests.

    Returns:
        Name of a baseline -> one prediction for each test row, for `task.metrics`.
    """
    found = fit_baselines(task, train, test, valid=valid, trees=trees, seeds=(seed,))
    return {name: fitted.test[0] for name, fitted in found.items()}


def seeded_baselines(*args: Any, **kwargs: Any) -> dict[str, list[list[Prediction]]]:
    """Returns the predictions of `fit_baselines` for the test rows. It goes in the next version.

    Args:
        args: as for `fit_baselines`.
        kwargs: as for `fit_baselines`.
    """
    message = "seeded_baselines goes in the next version; fit_baselines returns the same predictions as Fitted.test"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return {name: fitted.test for name, fitted in fit_baselines(*args, **kwargs).items()}


def fit_baselines(
    task: Task,
    train: Sequence[Row],
    test: Sequence[Row],
    *,
    valid: Sequence[Row] = (),
    trees: int = TREES,
    seeds: Sequence[int] = (0,),
    names: Sequence[str] | None = None,
    tuned: bool = True,
    progress: Progress | None = None,
) -> dict[str, Fitted]:
    """Fits every baseline that applies to a task with several seeds, and predicts the test and validation rows.

    Deterministic models are fitted once; their predictions are repeated for every seed. Rows are standardised as the
    task does it. Text is copied from the nearest training row (`mammal.tasks.baselines.baseline_copy`), filled in with
    the most common residues (`mammal.tasks.baselines.baseline_profile`), or is a molecule of the input or the most
    common one (`mammal.tasks.baselines.baseline_molecules`). There are no baselines for denoising, nor for tasks that
    sample without an input.

    Args:
        task: the task.
        train: training rows; those that the task can't read are left out.
        test: test rows; those that the task can't read get a prediction with the error.
        valid: validation rows, on which settings of tuned baselines are chosen. Without them, defaults are used.
        trees: number of trees of each forest.
        seeds: seeds of forests.
        names: names of the baselines to fit. Default: all that apply.
        tuned: also fit the baselines whose settings are chosen on validation rows, which takes minutes for thousands of
            rows.
        progress: is called whenever a model has been fitted.

    Returns:
        Name of a baseline -> its predictions.
    """
    if isinstance(task, TokenClassificationTask):
        return _of_tokens(task, train, test, valid, len(seeds), names, progress)
    if task.family not in ("classification", "regression"):
        return _written(task, train, test, valid, len(seeds), names)
    learned, asked = _texts(task, train), _texts(task, [*valid, *test])
    parts = rows_by_part(task, train, learned, valid, asked)
    if not parts.train:  # names of molecules without their SMILES
        logger.info("%s: no baselines, as no training row has %s", task.name, ", ".join(task.identities))
        return {}
    chosen = {name: one for name, one in recipes(task, parts.train).items() if names is None or name in names}
    chosen = {name: one for name, one in chosen.items() if tuned or not one.tuned}
    varied = {name: seeds if recipe.model == "forest" else seeds[:1] for name, recipe in chosen.items()}
    total = sum(len(own) * len(task.target_columns) for own in varied.values())
    found, done = {}, 0
    for name, recipe in chosen.items():
        x = features_of(recipe, parts)
        runs, notes = [], {}
        for seed in varied[name]:
            by_column = {}
            for k, column in enumerate(task.target_columns):
                by_column[column], notes[column] = fit_and_predict(task, parts, recipe, k, x, trees=trees, seed=seed)
                done += 1
                if progress is not None:
                    progress(name, done, total)
            runs.append((_joined(asked[len(valid) :], by_column, parts.valid), _joined(asked[: len(valid)], by_column)))
        runs = runs if len(runs) == len(seeds) else runs * len(seeds)
        found[name] = Fitted([run for run, _ in runs], [run for _, run in runs], _note(notes))
    return found


def _of_tokens(
    task: TokenClassificationTask,
    train: Sequence[Row],
    test: Sequence[Row],
    valid: Sequence[Row],
    seeds: int,
    names: Sequence[str] | None,
    progress: Progress | None,
) -> dict[str, Fitted]:
    """Baselines of labels of tokens, which have no random choice but a fixed sample of rows."""
    found = token_baselines(task, train, [test, valid], names=names, progress=progress)
    return {name: Fitted([run] * seeds, [on_valid] * seeds, note) for name, ((run, on_valid), note) in found.items()}


def _written(
    task: Task,
    train: Sequence[Row],
    test: Sequence[Row],
    valid: Sequence[Row],
    seeds: int,
    names: Sequence[str] | None,
) -> dict[str, Fitted]:
    """Baselines that write text. Validation rows are answered only if there are several, to find the better one."""
    fits = [baseline for name, baseline in _WRITTEN.items() if names is None or name in names]
    said = {name: run for baseline in fits for name, run in baseline(task, train, test).items()}
    on_valid: dict[str, list[Prediction]] = {}
    if len(said) > 1 and valid:
        on_valid = {name: run for baseline in fits for name, run in baseline(task, train, valid).items()}
    return {name: Fitted([run] * seeds, [on_valid.get(name, [])] * seeds) for name, run in said.items()}


def _note(notes: dict[str, str]) -> str:
    """The lines of all target columns as one."""
    different = list(dict.fromkeys(filter(None, notes.values())))
    if len(different) < 2:
        return "".join(different)
    if len(notes) <= SHOWN_TARGETS:
        return " | ".join(f"{column}: {note}" for column, note in notes.items() if note)
    sampled = any("training rows" in note for note in different)
    return "settings chosen for each target" + ("; a sample of the training rows" if sampled else "")


def _texts(task: Task, rows: Sequence[Row]) -> list[dict[str, str] | str]:
    """Each row's standardised inputs, or the error text if the task can't read it."""
    found: list[dict[str, str] | str] = []
    for row in rows:
        try:
            found.append(task.inputs(row))
        except MammalError as error:
            found.append(str(error))
    return found


def _joined(
    texts: Sequence[dict[str, str] | str], by_column: dict[str, list[Prediction]], start: int = 0
) -> list[Prediction]:
    """One prediction for each row; rows that the task can't read get their error.

    Args:
        texts: inputs of the rows, or the reason why the task can't read a row.
        by_column: for each target column, predictions of the rows that have inputs.
        start: number of predictions that belong to earlier rows.
    """
    found, at = [], start
    for row, text in enumerate(texts):
        if not isinstance(text, dict):
            found.append(Prediction(row, error=text))
            continue
        said = {column: answers[at] for column, answers in by_column.items()}
        at += 1
        one = replace(next(iter(said.values())), row_id=row) if len(said) == 1 else Prediction(row, by_target=said)
        found.append(one)
    return found
