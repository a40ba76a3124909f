"""Conditions: what a prompt asks of an answer, and can do without.

    prompt:
      input: "<SENTINEL_ID_1>{logp:scalar} <SENTINEL_ID_2>{qed:scalar} <SENTINEL_ID_0>"
      target: "<SENTINEL_ID_0> {smiles:smiles}"
    conditions: {columns: [logp, qed], of: smiles, drop: 0.3, drop_all: 0.1}

A condition that is withheld is written as `<MASK>`. Training withholds each with the chance `drop`, and all at once
with the chance `drop_all`, so that one model answers to any of them, to several, and to none: what classifier-free
guidance compares with (Ho & Salimans 2022, arXiv 2207.12598). Anywhere else a row's empty conditions are withheld.

Numbers are standardised by the training rows. A condition that is called like a property
(`mammal.tasks.molecules.properties`) is computed from the molecule in the column `of` for rows that have that column
and not its own.
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
from mammal.tasks.targets.scaling import Scales
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tokenization.template import Template

FITTED_ON = 10_000
"""Rows that scales are fitted on at most, evenly spread: properties take a millisecond or two to compute."""

Read = Callable[[Row, str], "str | None"]
"""A row's text in a column, None where it has none."""


class Conditions:
    """The conditions of one task.

    Attributes:
        columns: as the template names them.
        numbers: those of them that are numbers.

    Raises:
        TaskError: a column that is no number or sequence of the input, a rate that is no share, a raw prompt, an `of`
            that holds no molecules.
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
        """Whether training draws what it withholds."""
        return bool(self.columns) and (self.drop > 0 or self.drop_all > 0)

    @property
    def sources(self) -> dict[str, str | None]:
        """Condition -> the column that it is computed from in rows without it, None where it isn't."""
        return {column: self.of if column in PROPERTIES else None for column in self.columns}

    @cached_property
    def everything(self) -> frozenset[str]:
        return frozenset(self.columns)

    def given(self, row: Row, withheld: Collection[str] = ()) -> dict[str, str]:
        """The row's conditions as text: its own cells, else what can be computed; without those that are withheld.

        Raises:
            DataError: a cell that is no number.
        """
        found = {column: self._read(row, column) for column in self.columns if column not in withheld}
        asked = [column for column, text in found.items() if text is None and column in PROPERTIES]
        smiles = self._read(row, self.of) if asked and self.of is not None else None
        if smiles is not None:
            found |= dict(zip(asked, map(repr, compute_all(smiles, asked)), strict=True))
        return {column: text for column, text in found.items() if text is not None}

    def asked(self, row: Row) -> dict[str, float]:
        """The numbers that a row asks for, in the file's units."""
        given = self.given(row)
        return {column: as_number(given[column], column) for column in self.numbers if column in given}

    def scaled(self, given: Mapping[str, str]) -> dict[str, str]:
        """The same as prompts write them: numbers standardised."""
        return {
            column: f"{self.scales[column].apply(as_number(text, column), column):.9g}"
            if column in self.numbers
            else text
            for column, text in given.items()
        }

    def withheld(self, rng: np.random.Generator) -> frozenset[str]:
        """What training withholds of a row."""
        if rng.random() < self.drop_all:
            return self.everything
        return frozenset(column for column in self.columns if rng.random() < self.drop)

    def fit(self, rows: Sequence[Row]) -> None:
        """Mean and standard deviation of each number over the training rows.

        Raises:
            TaskError: a condition that no row has, a number without two different values.
        """
        for column, of in self.sources.items():
            if of is None and not any(self._has(row, column) for row in rows):
                what = f"no training row has the condition {column!r}"
                seen = dict.fromkeys(name for row in rows[:1] for name in row)
                hint = did_you_mean(column, map(str, seen), noun="column")
                raise TaskError(what, where=f"task {self.task}", hint=hint)
        if not self.numbers:
            return
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), FITTED_ON)).astype(np.int64))
        asked = [self._known(rows[place]) for place in chosen.tolist()]
        self.scales.fit(np.array([[row.get(column, np.nan) for column in self.numbers] for row in asked]))

    def state(self) -> dict[str, Any]:
        return self.scales.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.scales.load_state(state)

    def _has(self, row: Row, column: str) -> bool:
        try:
            return self._read(row, column) is not None
        except DataError:  # set aside when it is encoded, with this reason
            return False

    def _known(self, row: Row) -> dict[str, float]:
        try:
            return self.asked(row)
        except DataError:  # set aside when it is encoded, with this reason
            return {}


def _check(config: TaskConfig, template: Template, kinds: Mapping[str, str], molecules: Collection[str]) -> None:
    declared, where = config.conditions, f"task {config.name}: conditions"
    for column in declared.columns:
        if column not in kinds:
            raise TaskError(f"the input has no slot {column!r}", where=where, hint=did_you_mean(column, kinds))
        if template.raw or kinds[column] not in ("scalar", "entity", "alphabet"):
            what = f"{column!r} can't be withheld: it is no number or sequence of a template of slots"
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
