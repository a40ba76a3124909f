"""SMILES as a part of a target: maps the tokens of an alphabet to the steps of the SMILES automaton.

Shapes: V columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.grammar.parts import MaskCache, Part
from mammal.tasks.grammar.smiles.atoms import BondingSite, read_atom
from mammal.tasks.grammar.smiles.automaton import BONDS, OPEN, Step, Steps, steps
from mammal.tasks.grammar.smiles.brackets import Bracket, following, outcomes
from mammal.tasks.grammar.smiles.closing import least
from mammal.tasks.grammar.smiles.state import BRANCH, Partial
from mammal.tasks.grammar.smiles.steps import ORDER, is_complete

_RING = re.compile(r"[0-9]|%[1-9][0-9]")
_MARKS = frozenset({*BONDS, "(", ")", "."})


class Written(NamedTuple):
    """The state within a SMILES.

    Attributes:
        molecule: the partial molecule.
        labels: numbers of its open ring bonds, in the order of opening.
        bracket: the bracket atom that is being written, if any.
    """

    molecule: Partial
    labels: tuple[int, ...] = ()
    bracket: Bracket | None = None


class SmilesPart(Part):
    """A molecule.

    Args:
        tokens: text of a token of the alphabet -> its column.
        width: number of columns, V.
        side_chain: symbol of the bond by which a side chain starts; None: a whole molecule.
        barred: ring numbers that may not be used.
        dots: whether there may be several molecules, separated by dots.

    Raises:
        TaskError: a token of the alphabet has several atoms.
    """

    def __init__(
        self,
        tokens: dict[str, int],
        width: int,
        side_chain: str | None = None,
        barred: Iterable[int] = (),
        *,
        dots: bool = True,
    ):
        self._side_chain = side_chain
        self._characters = {token: column for token, column in tokens.items() if len(token) == 1}
        self._labels: dict[int, int] = {}
        self._columns: dict[Step, list[int]] = {}
        self._steps: dict[int, Step] = {}
        self._masks = MaskCache(width)
        for token, column in tokens.items():
            self._read(token, column, dots)
        for label in barred:
            self._labels.pop(label, None)
        self._label_at = {column: label for label, column in self._labels.items()}
        self._spells = {"[", "]"} <= set(self._characters)
        self._character_at = {column: token for token, column in self._characters.items()}
        spelling = [self._characters["["]] if self._spells else []
        going_on = {column for column, step in self._steps.items() if step != ")"}  # which ends a branch alone
        self.columns = frozenset([*going_on, *self._label_at, *spelling])
        self._set_up(width)

    def _set_up(self, width: int) -> None:
        """Prepares what a subclass needs in addition; called at the end of the construction."""

    def _read(self, token: str, column: int, dots: bool) -> None:
        step = _step(token)
        if step is not None and (dots or step != "."):
            self._columns.setdefault(step, []).append(column)
            self._steps[column] = step
        elif _RING.fullmatch(token):
            self._labels[int(token.removeprefix("%"))] = column
        elif len(token) > 1 and not _is_unit(token):
            hint = "generation.constraint: alphabet, or a model with our own vocabulary"
            raise TaskError(f"the token {token!r} holds several parts of a SMILES, which no grammar follows", hint=hint)

    def left(self, state: Written) -> int:
        """Returns the number of tokens that finish the molecule."""
        if state.bracket is None:
            return 0 if is_complete(state.molecule) else int(least(state.molecule))
        return self._spelled(steps(state.molecule).left, state.bracket)

    def start(self) -> Written:
        bond = self._side_chain
        if bond is None:
            return Written(Partial())
        return Written(Partial(BRANCH, bond, (BondingSite(ORDER[bond]),), gaps=(False,)))

    def ends(self, state: Written) -> bool:
        return state.bracket is None and is_complete(state.molecule)

    def mask(self, state: Written, left: int) -> np.ndarray:
        found = steps(state.molecule)
        key = (state, min(left, found.most + _LONGEST_BRACKET + 1))
        found_mask = self._masks.get(key)
        return found_mask if found_mask is not None else self._masks.put(key, self._allowed(state, found, left - 1))

    def _allowed(self, state: Written, found: Steps, left: int) -> list[int]:
        """Columns after which the molecule can be finished with `left` tokens."""
        tokens = found.enough if left >= found.most + _LONGEST_BRACKET else found.left
        if state.bracket is not None:
            return self._allowed_characters(state.bracket, tokens, left)
        columns = [column for step, n in tokens.items() if n <= left for column in self._columns.get(step, ())]
        for label, column in self._labels.items():
            step = state.labels.index(label) if label in state.labels else OPEN
            columns += [column] if tokens.get(step, _NEVER) <= left else []
        if self._spells and self._spelled(tokens, Bracket()) <= left:
            columns.append(self._characters["["])
        return columns

    def _allowed_characters(self, bracket: Bracket, tokens: Mapping[Step, int], left: int) -> list[int]:
        nexts = {character: self._spelled(tokens, after) for character, after in following(bracket).items()}
        if bracket.site is not None:
            nexts["]"] = tokens.get(bracket.site, _NEVER)
        characters = [character for character, number in nexts.items() if number <= left]
        return [self._characters[character] for character in characters if character in self._characters]

    def _spelled(self, tokens: Mapping[Step, int], bracket: Bracket) -> int:
        """Number of tokens that finish the molecule from within a bracket."""
        ends = [tokens[site] + characters for site, characters in outcomes(bracket).items() if site in tokens]
        return min(ends, default=_NEVER)

    def advance(self, state: Written, column: int) -> Written:
        molecule, labels, bracket = state
        if bracket is not None:
            return self._advance_bracket(state, bracket, column)
        step = self._steps.get(column)
        if step is not None:
            return Written(steps(molecule).after[step], labels)
        label = self._label_at.get(column)
        if label is None:
            return Written(molecule, labels, Bracket())
        if label not in labels:
            return Written(steps(molecule).after[OPEN], (*labels, label))
        number = labels.index(label)
        return Written(steps(molecule).after[number], labels[:number] + labels[number + 1 :])

    def _advance_bracket(self, state: Written, bracket: Bracket, column: int) -> Written:
        if column == self._characters["]"]:
            assert bracket.site is not None, "the mask allowed it"
            return Written(steps(state.molecule).after[bracket.site], state.labels)
        return state._replace(bracket=following(bracket)[self._character_at[column]])


_LONGEST_BRACKET = 24
_NEVER = 1 << 30


def _step(token: str) -> Step | None:
    if token in _MARKS:
        return token
    return read_atom(token)


def _is_unit(token: str) -> bool:
    """Whether a token is a single unit, such as one atom, even one that is never generated."""
    return bool(re.fullmatch(r"\[[^\[\]]+\]|%[0-9][0-9]|[A-Z][a-z]", token))
