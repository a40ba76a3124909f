"""Predictions as columns of a table, in the units and labels of the user's file.

    regression       prediction    in the unit of the training file
                     low, high     limits of the conformal interval, if the bundle contains one
    classification   prediction    the label as written in the training file
                     probability   of the last of two labels; of the predicted label if there are more than two
                     label_set     the labels among which the true one is, with a given probability, separated by `;`
    both             spread        on request: standard deviation over passes with dropout, of the number or probability
    token_classification
                     prediction    the labels of the tokens, written as in the training file
                     labelled      number of tokens that have a label: fewer than the sequence has if it was cut
    generation       text, score   the score is the log-likelihood
                     prediction    instead of text, if the target is a number: in the unit of the training file
    features         descriptors   vector in the units of RDKit, in the order of its descriptors; NaN if not predicted
                     morgan        vector of the probabilities of the bits
    infilling        text, score   what was filled in; several hidden stretches are separated by `;`
                     completed     the sequence with its hidden stretches filled in
                     valid         only for SMILES: 1 if RDKit accepts the completed molecule, else 0

If a task has several target columns, the names start with the name of the target (`TARGET_prediction`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.task import Task

ERROR, SPREAD = "error", "spread"

SHOWN = 3
"""Columns of the same meaning that are named in one line."""

Record = tuple[Any, ...]
"""Values of one row of a result, in the order of the `AnswerColumn`s of the question."""

Holds = Literal["text", "number", "integer", "vector", "matrix"]
Read = Callable[["Prediction"], Any]


@dataclass(frozen=True)
class AnswerColumn:
    """A column of the result.

    Attributes:
        name: its name.
        holds: type of its values.
    """

    name: str
    holds: Holds


def answer_columns(
    task: Task, *, prefix: str = "", every_label: bool = False, mc_dropout: bool = False
) -> dict[AnswerColumn, Read]:
    """Returns the columns of a task's predictions, each with a function that reads its value from a prediction.

    The functions can be called only with predictions that have no error.

    Args:
        task: the task.
        prefix: text before each name.
        every_label: classification: also add a column `probability_LABEL` for each label. Token classification: a
            vector with the probability at each token.
        mc_dropout: also add a column `spread`: the standard deviation over passes with dropout.
    """
    from mammal.tasks.kinds.features import FeaturesTask
    from mammal.tasks.kinds.generation import fills_in

    if isinstance(task, FeaturesTask):
        return {AnswerColumn(prefix + name, "vector"): partial(task.original, name) for name in task.predicted_features}
    columns: dict[AnswerColumn, Read] = {}
    for target in task.target_columns:
        start = prefix if len(task.target_columns) == 1 else f"{prefix}{target}_"
        for name, (holds, read) in _fields(task, target, every_label).items():
            columns[AnswerColumn(start + name, holds)] = _at(target, read)
        if mc_dropout:
            columns[AnswerColumn(f"{start}{SPREAD}", "number")] = _at(target, lambda one: one.dropout_spread)
    filled = task.fills if fills_in(task) else ()
    if filled and not task.target_columns:
        columns |= {AnswerColumn(f"{prefix}text", "text"): lambda p: p.text}
        columns |= {AnswerColumn(f"{prefix}score", "number"): lambda p: p.score}
    for column in filled:
        start = prefix if len(filled) == 1 else f"{prefix}{column}_"
        columns[AnswerColumn(f"{start}completed", "text")] = partial(_completed, column)
        if column in task.molecules:
            columns[AnswerColumn(f"{start}valid", "integer")] = partial(_valid, column)
    return columns


def column_meanings(task: Task, prefix: str = "") -> dict[str, str]:
    """Returns what the values of a prediction are, where the name of the column does not say it.

    Args:
        task: the task.
        prefix: text before each name.

    Returns:
        Column -> the unit of its numbers, or what a `probability` of a task with two labels is the probability of.
    """
    from mammal.tasks.kinds.classification import ClassificationTask

    if not isinstance(task, ClassificationTask):
        return column_units(task, prefix)
    if task.labels.positive is None:
        return {}
    several = len(task.target_columns) > 1
    starts = [f"{prefix}{target}_" if several else prefix for target in task.target_columns]
    meaning = f"probability of the positive class, {task.labels.positive!r}"
    return {f"{start}probability": meaning for start in starts}


def column_units(task: Task, prefix: str = "") -> dict[str, str]:
    """Returns the units of the numbers that a task predicts, as it declares them.

    Args:
        task: the task.
        prefix: text before each name.

    Returns:
        Column (`prediction`, and `low` and `high` of intervals) -> unit. A target without a unit has no entry.
    """
    declared, found = task.config.unit, {}
    for target in task.number_targets:
        unit = declared.get(target) if isinstance(declared, Mapping) else declared
        start = prefix if len(task.target_columns) == 1 else f"{prefix}{target}_"
        for name in _fields(task, target, every_label=False) if unit else ():
            if name in ("prediction", "low", "high"):
                found[f"{start}{name}"] = str(unit)
    return found


def meaning_lines(meanings: Mapping[str, str]) -> list[str]:
    """Returns lines that say what the columns of predictions are, one for all columns of the same meaning.

    Limits of intervals have the unit of the prediction, and are left out.

    Args:
        meanings: result of `column_meanings`.
    """
    named: dict[str, list[str]] = {}
    for name, text in meanings.items():
        if name.endswith(("prediction", "probability")):
            named.setdefault(text.removeprefix("probability "), []).append(name)
    return [f"{_listed(names)}: {text}" for text, names in named.items()]


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= SHOWN else f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"


def invalid_message(problem: str, draws: int | None) -> str:
    """Returns the reason why a generated answer is not valid, with the number of samples if there were several.

    Args:
        problem: what is wrong with the last sequence.
        draws: number of sequences that were sampled. None: it was not sampled.
    """
    if draws in (None, 1):
        return f"not valid: {problem}"
    return f"no valid sequence in {draws} samples; the last one: {problem}"


def _fields(task: Task, target: str, every_label: bool) -> dict[str, tuple[Holds, Read]]:
    if task.family == "regression":
        fields: dict[str, tuple[Holds, Read]] = {"prediction": ("number", lambda p: p.value)}
        if target in task.state().get("conformal", {}):
            fields["low"] = "number", lambda p: None if p.interval is None else p.interval[0]
            fields["high"] = "number", lambda p: None if p.interval is None else p.interval[1]
        return fields
    if task.family == "classification":
        fields = {"prediction": ("text", lambda p: p.label), "probability": ("number", lambda p: p.probability)}
        if target in task.state().get("label_sets", {}):
            fields["label_set"] = "text", lambda p: None if p.label_set is None else ";".join(p.label_set)
        every = enumerate(task.config.labels) if every_label else ()
        return fields | {f"probability_{label}": ("number", _of_label(i)) for i, label in every}
    if task.family == "token_classification":
        fields = {"prediction": ("text", lambda p: p.label), "labelled": ("integer", _labelled)}
        every = enumerate(task.config.labels) if every_label else ()
        return fields | {f"probability_{label}": ("vector", partial(_at_tokens, i)) for i, label in every}
    said: dict[str, tuple[Holds, Read]] = {"text": ("text", lambda p: p.text)}
    if target in task.number_targets:
        said = {"prediction": ("number", lambda p: p.value)}
    return said | {"score": ("number", lambda p: p.score)}


def _completed(column: str, prediction: Prediction) -> str | None:
    return None if prediction.completed is None else prediction.completed.get(column)


def _valid(column: str, prediction: Prediction) -> int | None:
    from mammal.tasks.molecules.chemistry import canonical_or_none

    completed = _completed(column, prediction)
    return None if completed is None else int(canonical_or_none(completed) is not None)


def _labelled(prediction: Prediction) -> int | None:
    return None if prediction.token_probabilities is None else len(prediction.token_probabilities)


def _at_tokens(index: int, prediction: Prediction) -> Any:
    return None if prediction.token_probabilities is None else prediction.token_probabilities[:, index]


def _of_label(index: int) -> Read:
    def read(prediction: Prediction) -> float | None:
        if prediction.probabilities is not None:
            return prediction.probabilities[index]
        if prediction.probability is None:
            return None
        return prediction.probability if index else 1 - prediction.probability

    return read


def _at(target: str, read: Read) -> Read:
    return lambda prediction: read(prediction.for_target(target))
