"""Monte Carlo dropout: how much predictions differ between passes with dropout (Gal & Ghahramani 2016).

The masks of a row depend only on the row and on the pass (`mammal.model.masks`), so answers don't depend on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import stdev

from mammal.errors import ConfigError, TaskError
from mammal.model.masks import row_keys
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.task import Task

LEAST, MOST = 2, 1000


def check_mc_dropout(model: MammalModel, task: Task, passes: int) -> None:
    """Refuses passes with dropout that would not say anything about predictions.

    Args:
        model: the model.
        task: the task.
        passes: number of passes; 0: none.

    Raises:
        ConfigError: the number is wrong, the model has no dropout, or it is an ensemble.
        TaskError: the task predicts neither numbers nor classes, or a probe answers it.
    """
    if isinstance(passes, bool) or not isinstance(passes, int) or (passes and not LEAST <= passes <= MOST):
        what = f"must be 0 (no passes) or {LEAST} to {MOST}, not {passes!r}"
        raise ConfigError(what, where="mc_dropout", hint="20 passes are usual")
    if not passes:
        return
    if not task.has_probes:
        what = f"{task.name} is a {task.kind} task, and passes with dropout are compared by numbers or probabilities"
        raise TaskError(what, where="mc_dropout", hint="leave mc_dropout out")
    if task.probes is not None:
        what = f"{task.name} is answered by a probe, which was not trained with dropout"
        raise TaskError(what, where="mc_dropout", hint="adapt.ensemble=5 in training gives a spread")
    if model.members:
        what = f"the model is an ensemble of {len(model.members)} members, whose intervals have their spread already"
        raise ConfigError(what, where="mc_dropout", hint="leave mc_dropout out")
    if not model.config.dropout_rate:
        what = "the model was trained without dropout, so all passes are equal"
        hint = "train a new model with model.dropout_rate=0.1, or an ensemble: adapt=lora adapt.ensemble=5"
        raise ConfigError(what, where="mc_dropout", hint=hint)


def with_dropout_spread(
    model: MammalModel, task: Task, batch: Batch, said: Sequence[Prediction], passes: int
) -> list[Prediction]:
    """Returns predictions with their `dropout_spread`: the standard deviation over passes with dropout.

    Args:
        model: the model, in evaluation mode.
        task: the task.
        batch: a batch of the task, on the device of the model.
        said: predictions without dropout, one for each row.
        passes: number of passes, at least 2.
    """
    each = [task.decode(model(replace(batch, dropout_keys_B=row_keys(batch, n))), batch) for n in range(passes)]
    return [_with_spread(one, list(answers)) for one, answers in zip(said, zip(*each, strict=True), strict=True)]


def _with_spread(said: Prediction, answers: Sequence[Prediction]) -> Prediction:
    if said.by_target is None:
        return replace(said, dropout_spread=stdev(_number(said, answer) for answer in answers))
    by_target = {
        column: _with_spread(one, [answer.for_target(column) for answer in answers])
        for column, one in said.by_target.items()
    }
    return replace(said, by_target=by_target)


def _number(said: Prediction, answer: Prediction) -> float:
    """The number of an answer that is compared: the value, or the probability of the label that was predicted."""
    if said.probabilities is not None and answer.probabilities is not None and len(said.probabilities) > 2:
        assert said.probability is not None, "that of the predicted label"
        return answer.probabilities[said.probabilities.index(said.probability)]
    assert answer.value is not None, "numbers, and tasks of two labels, have a value"
    return answer.value
