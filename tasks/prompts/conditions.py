"""Conditions: requested properties of an answer, which a prompt may contain.

    prompt:
      input: "<SENTINEL_ID_1>{logp:scalar} <SENTINEL_ID_2>{qed:scalar} <SENTINEL_ID_0>"
      target: "<SENTINEL_ID_0> {smiles:smiles}"
    conditions: {columns: [logp, qed], of: smiles, drop: 0.3, drop_all: 0.1}

A condition that is withheld is written as `<MASK>`. Training withholds each condition with probability `drop`, and all
at once with probability `drop_all`. So one model learns to generate with any subset of conditions, and without any,
which classifier-free guidance needs for comparison (Ho & Salimans 2022, arXiv 2207.12598). Outside training, only the
empty conditions of a row are withheld.

Numbers are standardised by the training rows. If a condition has the name of a property
(`mammal.tasks.molecules.properties`) and a row has no value for it, it is computed from the molecule in the column
`of`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.declaration.schema import ScaleConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.molecules.properties import PROPERTIES, compute_all
from mammal.tasks.tables.cells import Row, as_number
from mammal.tasks.tables.spread_rows import spread_rows
from mammal.tasks.targets.scaling import Scales
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tokenization.template import Template

FITTED_ON = 10_000
"""Maximum number of rows for fitting scales, at equal distances: a property takes one or two milliseconds."""

Read = Callable[[Row, str], "str | None"]
"""Function that returns a row's text in a column, None if there is none."""


class Conditions:
    """The conditions of one task.

    Attributes:
        columns: names in the template.
        numbers: those of them that are numbers.
        scales: scales of the numbers, fitted on training rows.

    Raises:
        TaskError: a column is not a number or sequence of the input, a rate is not between 0 and 1, the prompt is raw,
            or `of` is not a column of molecules.
    """

    def __init__(self, config: TaskConfig, template: Template, read: Read, molecules: Collection[str]):
        declared = config.conditions
        self.columns: tuple[str, ...] = tuple(declared.columns)
        self.task, self.of, self.drop, self.drop_all = config.name, declared.of, declared.drop, declared.drop_all
        self._read = read
        kinds = {slot.column: slot.kind for slot in template.slots if slot.part == "input"}
        _check(config, template, kinds, molecules)
        self.numbers = [column for column in self.columns if kinds[column] == "scalar"]
        self.scales = Scales(config.name, self.numbers, ScaleConfig())

    @property
    def varies(self) -> bool:
        """Whether training withholds conditions at random."""
        return bool(self.columns) and (self.drop > 0 or self.drop_all > 0)

    @property
    def sources(self) -> dict[str, str | None]:
        """Condition -> the column from which it is computed in rows without it, None if it can't be computed."""
        return {column: self.of if column in PROPERTIES else None for column in self.columns}

    @cached_property
    def everything(self) -> frozenset[str]:
        return frozenset(self.columns)

    def given(self, row: Row, withheld: Collection[str] = ()) -> dict[str, str]:
        """Returns the row's conditions as text: its own cells, else computed values.

        Args:
            row: the row.
            withheld: conditions to leave out.

        Raises:
            DataError: a cell is not a number.
        """
        found = {column: self._read(row, column) for column in self.columns if column not in withheld}
        asked = [column for column, text in found.items() if text is None and column in PROPERTIES]
        smiles = self._read(row, self.of) if asked and self.of is not None else None
        if smiles is not None:
            found |= dict(zip(asked, map(repr, compute_all(smiles, asked)), strict=True))
        return {column: text for column, text in found.items() if text is not None}

    def asked(self, row: Row) -> dict[str, float]:
        """Returns the numbers that a row requests, in the file's units."""
        given = self.given(row)
        return {column: as_number(given[column], column) for column in self.numbers if column in given}

    def scaled(self, given: Mapping[str, str]) -> dict[str, str]:
        """Returns the conditions as prompts contain them: with standardised numbers."""
        return {
            column: f"{self.scales[column].apply(as_number(text, column), column):.9g}"
            if column in self.numbers
            else text
            for column, text in given.items()
        }

    def withheld(self, rng: np.random.Generator) -> frozenset[str]:
        """Samples the conditions of a row that training withholds."""
        if rng.random() < self.drop_all:
            return self.everything
        return frozenset(column for column in self.columns if rng.random() < self.drop)

    def fit(self, rows: Sequence[Row]) -> None:
        """Fits mean and standard deviation of each number on the training rows.

        Raises:
            TaskError: no row has a condition, or a number has no two different values.
        """
        for column, of in self.sources.items():
            if of is None and not any(self._has(row, column) for row in rows):
                what = f"no training row has the condition {column!r}"
                seen = dict.fromkeys(name for row in rows[:1] for name in row)
                hint = did_you_mean(column, map(str, seen), noun="column")
                raise TaskError(what, where=f"task {self.task}", hint=hint)
        if not self.numbers:
            return
        chosen = spread_rows(len(rows), FITTED_ON)
        asked = [self._known(rows[place]) for place in chosen.tolist()]
        self.scales.fit(np.array([[row.get(column, np.nan) for column in self.numbers] for row in asked]))

    def state(self) -> dict[str, Any]:
        return self.scales.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.scales.load_state(state)

    def _has(self, row: Row, column: str) -> bool:
        try:
            return self._read(row, column) is not None
        except DataError:  # encoding refuses the row with this reason
            return False

    def _known(self, row: Row) -> dict[str, float]:
        try:
            return self.asked(row)
        except DataError:  # encoding refuses the row with this reason
            return {}


def _check(config: TaskConfig, template: Template, kinds: Mapping[str, str], molecules: Collection[str]) -> None:
    declared, where = config.conditions, f"task {config.name}: conditions"
    for column in declared.columns:
        if column not in kinds:
            raise TaskError(f"the input has no slot {column!r}", where=where, hint=did_you_mean(column, kinds))
        if template.raw or kinds[column] not in ("scalar", "entity", "alphabet"):
            what = f"{column!r} can't be withheld: it is not a number or sequence of a template of slots"
            raise TaskError(what, where=where)
    if declared.columns and config.mode == "encoder":
        raise TaskError("in encoder mode <MASK> is where answers are read", where=where, hint="mode: decoder")
    for name, rate in (("drop", declared.drop), ("drop_all", declared.drop_all)):
        if not 0 <= rate <= 1:
            raise TaskError(f"{name} must be a share from 0 to 1, not {rate:g}", where=where)
    if declared.of is not None and declared.of not in template.columns():
        hint = did_you_mean(declared.of, template.columns(), noun="column")
        raise TaskError(f"of names {declared.of!r}, which the prompt doesn't", where=where, hint=hint)
    if declared.of is not None and declared.of not in molecules:
        hint = did_you_mean(declared.of, molecules, noun="column of molecules")
        raise TaskError(f"of names {declared.of!r}, which holds no molecules", where=where, hint=hint)
