"""Explains the predictions for the rows of a table.

Shapes: as in `mammal.explanation.embedded`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.errors import ConfigError, TaskError, did_you_mean
from mammal.explanation.content import ContentEncoder, Value
from mammal.explanation.embedded import BASELINES, EmbeddedRows
from mammal.explanation.fragments import DIVISIONS
from mammal.explanation.gradients import STEPS, TOLERANCE, Integrated, has_captum, integrated_gradients, require_captum
from mammal.explanation.occlusion import Fragment, occluded
from mammal.explanation.outputs import explained_output
from mammal.explanation.records import ExplainedValue, Explanation, Layout
from mammal.rows.answer_columns import Record
from mammal.rows.batched import Pace, Progress, Refused, Row, walk
from mammal.rows.cut_rows import mark_cut
from mammal.rows.question import TaskQuestion
from mammal.rows.read_columns import ReadColumns
from mammal.rows.task_choice import require_numbers

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.task import Task

METHODS = ("integrated_gradients", "occlusion")


OPTIONS: dict[str, dict[str, object]] = {
    "integrated_gradients": {"steps": STEPS, "tolerance": TOLERANCE},
    "occlusion": {"fragments": "groups", "window": None},
}
"""Method -> its own options, with their defaults."""


def available_methods() -> list[str]:
    """Returns the methods whose packages are installed. The first one is the default, if captum is installed."""
    return [method for method in METHODS if method != "integrated_gradients" or has_captum()]


SHARE = 8
"""Gradients keep the states of every layer, so this many times fewer tokens are computed together than otherwise."""


class Explain(TaskQuestion):
    """Explains predictions: how much each part of the values of a row contributes to the output of the task.

    Args:
        model: the model. If it does not compute in float32, a copy does.
        task: a classification or a regression.
        pace: how many rows are processed together.
        method: one of `METHODS`.
        target: as for `mammal.explanation.outputs.explained_output`.
        label: as for `mammal.explanation.outputs.explained_output`.
        baseline: a key of `BASELINES`.
        steps: as for `mammal.explanation.gradients.integrated_gradients`.
        tolerance: as for `mammal.explanation.gradients.integrated_gradients`.
        fragments: as for `mammal.explanation.occlusion.occluded`.
        window: as for `mammal.explanation.occlusion.occluded`.
        every_token: attributions of tokens, not of atoms, residues and bases.
        long: one record for each part, not for each row.
        prefix: text before the names of the added columns.
        in_float32: returns the model in float32, and is called when the first rows are explained. Default:
            `model.in_float32`. Several questions about one model can share a copy this way.

    Raises:
        TaskError: as for `explained_output`.
        ConfigError: an option is wrong, or captum is not installed.
    """

    task: Task
    encoder: ContentEncoder

    def __init__(
        self,
        model: MammalModel,
        task: Task,
        pace: Pace,
        *,
        method: str = "integrated_gradients",
        target: str | None = None,
        label: str | None = None,
        baseline: str = "mask",
        steps: int = STEPS,
        tolerance: float = TOLERANCE,
        fragments: str = "groups",
        window: int | None = None,
        every_token: bool = False,
        long: bool = False,
        prefix: str = "",
        in_float32: Callable[[], MammalModel] | None = None,
    ):
        _check("method", method, METHODS)
        _check("baseline", baseline, BASELINES)
        _check("fragments", fragments, DIVISIONS)
        if steps < 1 or not tolerance > 0 or (window is not None and window < 1):
            raise ConfigError("steps, tolerance and window must be greater than 0")
        _check_of_method(method, steps=steps, tolerance=tolerance, fragments=fragments, window=window)
        if method == "integrated_gradients":
            require_captum()
        self.explained = explained_output(task, target, label)
        require_numbers(model, task)
        _check_inputs(model, task)
        self._in_float32 = in_float32 or model.in_float32
        self.task, self.pace, self.method = task, pace, method
        self.encoder = ContentEncoder(task, every_token=every_token)
        self.reading = replace(ReadColumns.of_task(task), molecules=task.molecules)
        self._blank = task.tokenizer.special_id(BASELINES[baseline])
        self._gradient_options: dict[str, Any] = {"steps": steps, "tolerance": tolerance}
        self._occlusion_options: dict[str, Any] = {"fragments": fragments, "window": window}
        read = [column for column in task.template.columns("input") if column not in _features(task)]
        self._layout = Layout(read, occludes=method == "occlusion", long=long, prefix=prefix)
        self.columns = self._layout.columns
        chosen = self._occlusion_options if method == "occlusion" else self._gradient_options
        shared = {"target": self.explained.target, "label": label, "every_token": every_token, "long": long}
        self.recorded_options = {"method": method, "baseline": baseline, **shared, **chosen}

    @cached_property
    def model(self) -> MammalModel:  # type: ignore[override]
        """The model that computes gradients, in float32."""
        return self._in_float32()

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        return self.ask_at(rows, range(first, first + len(rows)), progress=progress)

    def ask_at(
        self, rows: Sequence[Row], positions: Sequence[int], *, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        """Explains rows as `ask` does.

        Args:
            rows: one mapping from columns to values for each row.
            positions: position of each row in its table, from 0. The long form has it in the column `row`.
            progress: function that is called with the number of rows that were just explained.
        """
        cut: set[int] = set()
        explanations = self.explain(rows, progress=progress, cut=cut)
        return [
            given if isinstance(given, Refused) else mark_cut(self._layout.records(position, given), cut=place in cut)
            for place, (position, given) in enumerate(zip(positions, explanations, strict=True))
        ]

    def explain(
        self, rows: Sequence[Row], *, progress: Progress | None = None, cut: set[int] | None = None
    ) -> list[Explanation | Refused]:
        """Explains rows.

        Args:
            rows: one mapping from columns to values for each row.
            progress: function that is called with the number of rows that were just explained.
            cut: gets the positions of rows that are longer than a limit (`mammal.rows.batched.walk`).

        Returns:
            For each row its explanation, or the reason why it has none.
        """
        was_training = self.model.training
        self.model.eval()
        try:
            pace = replace(self.pace, tokens=self._tokens)
            return walk(rows, self.encoder, self._answer, pace=pace, progress=progress, cut=cut)
        finally:
            self.model.train(was_training)

    @property
    def _tokens(self) -> int:
        """Tokens that are computed together."""
        return max(1, self.pace.tokens // (SHARE if self.method == "integrated_gradients" else 1))

    def _answer(self, batch: Batch) -> list[Explanation]:
        values = [self.encoder.take(row_id) for row_id in batch.row_ids]
        embedded = EmbeddedRows(self.model, batch.to(self.model.device), values, self.explained, self._blank)
        if self.method == "occlusion":
            found = occluded(embedded, values, tokens=self._tokens, **self._occlusion_options)
            return [
                self._of_fragments(embedded, row, *pair) for row, pair in enumerate(zip(values, found, strict=True))
            ]
        integrated = integrated_gradients(embedded, tokens=self._tokens, **self._gradient_options)
        return [self._of_tokens(embedded, row, *pair) for row, pair in enumerate(zip(values, integrated, strict=True))]

    def _of_tokens(self, rows: EmbeddedRows, row: int, values: Sequence[Value], found: Integrated) -> Explanation:
        factor, offset = self.explained.factor, self.explained.offset
        return Explanation(
            self.explained.name(int(rows.choices_B[row])),
            float(rows.outputs_B[row]) * factor + offset,
            [ExplainedValue(value, value.attributions(found.tokens_L) * factor) for value in values],
            found.baseline * factor + offset,
            found.difference * factor,
            found.steps,
        )

    def _of_fragments(
        self, rows: EmbeddedRows, row: int, values: Sequence[Value], found: Sequence[Fragment]
    ) -> Explanation:
        factor, explained = self.explained.factor, []
        for place, value in enumerate(values):
            own = [replace(one, effect=one.effect * factor) for one in found if one.value == place]
            effects_P = np.full(len(value.parts), np.nan)
            for one in own:
                effects_P[list(one.parts)] = one.effect
            explained.append(ExplainedValue(value, effects_P, own))
        number = float(rows.outputs_B[row]) * factor + self.explained.offset
        return Explanation(self.explained.name(int(rows.choices_B[row])), number, explained)


def _check_inputs(model: MammalModel, task: Task) -> None:
    """Refuses members that read numbers or features of a prompt in different ways: they have no common embeddings."""
    reads = any(slot.part == "input" and slot.kind in ("scalar", "feature") for slot in task.template.slots)
    if reads and any(name.startswith("project_") for member in model.members for name in member.own):
        what = f"the members of the ensemble read the numbers or features in the prompt of {task.name} differently"
        raise TaskError(what, hint="explain a model that was trained with adapt.ensemble=1")


def _features(task: Task) -> set[str]:
    """Columns of the template that only computed vectors are shown of, which have no parts."""
    shown = {slot.column for slot in task.template.slots if slot.part == "input" and slot.kind != "feature"}
    return set(task.template.columns("input")) - shown


def _check_of_method(method: str, **given: object) -> None:
    """Refuses options of another method, which would have no effect."""
    usual = OPTIONS["occlusion" if method == "integrated_gradients" else "integrated_gradients"]
    if changed := [name for name, value in usual.items() if given[name] != value]:
        other = next(one for one in METHODS if one != method)
        what = f"{' and '.join(changed)} would have no effect: only {other} reads it"
        raise ConfigError(what, where=f"method={method}", hint=f"method={other}, or leave it out")


def _check(name: str, value: str, known: Any) -> None:
    if value not in known:
        raise ConfigError(f"there is no {name} {value!r}", hint=did_you_mean(str(value), list(known), noun=name))
