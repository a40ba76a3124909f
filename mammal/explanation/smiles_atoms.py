"""The atoms of a SMILES, and the atoms that each of its characters belongs to.

Atoms are numbered in the order of the text, as RDKit numbers them if it keeps explicit hydrogen atoms. A character that
is not part of an atom belongs to atoms next to it:

    bond symbol, `.`          half to each of the two atoms that it stands between
    ring closure `1`, `%10`   half to each of the two atoms that it joins, at both of its places
    `(` and `)`               to the atom at which the branch begins
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rdkit.Chem import Mol

Span = tuple[int, int]
Shares = dict[int, float]
"""Atom -> the share of a character that belongs to it; the shares of one character sum to 1."""

_ITEM = re.compile(
    r"(?P<atom>\[[^\]]*\]?|Br|Cl|[BCNOPSFIbcnops*])"
    r"|(?P<ring>%\(\d+\)|%\d\d|\d)"
    r"|(?P<open>\()|(?P<close>\))"
    r"|(?P<between>.)",
    re.DOTALL,
)


class SmilesAtoms(NamedTuple):
    """The atoms of a SMILES.

    Attributes:
        spans: characters [start, end) of each atom.
        shares: for each character, the atoms that it belongs to. Empty if the text has no atom.
    """

    spans: list[Span]
    shares: list[Shares]


class _Reader:
    """Reads a SMILES from left to right, as far as it can be read."""

    def __init__(self, text: str):
        self.spans: list[Span] = []
        self.owners: list[list[int]] = [[] for _ in text]
        self.before: int | None = None  # the atom that the next one is bonded to
        self.branches: list[int | None] = []
        self.waiting: list[int] = []  # characters between the last atom and the next one
        self.rings: dict[str, tuple[list[int], int]] = {}
        for item in _ITEM.finditer(text):
            getattr(self, f"_{item.lastgroup}")(item[0], list(range(*item.span())))
        self._give(self.waiting, self.before)

    def _give(self, characters: list[int], *atoms: int | None) -> None:
        for character in characters:
            self.owners[character] += [atom for atom in atoms if atom is not None]

    def _atom(self, _: str, characters: list[int]) -> None:
        atom = len(self.spans)
        self.spans.append((characters[0], characters[-1] + 1))
        self._give(characters, atom)
        self._give(self.waiting, self.before, atom)
        self.before, self.waiting = atom, []

    def _ring(self, label: str, characters: list[int]) -> None:
        if self.before is None:
            return
        label = label.strip("%()")
        characters, self.waiting = [*self.waiting, *characters], []
        if label not in self.rings:
            self.rings[label] = characters, self.before
            self._give(characters, self.before)
            return
        opening, partner = self.rings.pop(label)
        self._give(opening, self.before)
        self._give(characters, partner, self.before)

    def _open(self, _: str, characters: list[int]) -> None:
        self._give(characters, self.before)
        self.branches.append(self.before)

    def _close(self, _: str, characters: list[int]) -> None:
        self.before = self.branches.pop() if self.branches else self.before
        self._give(characters, self.before)

    def _between(self, _: str, characters: list[int]) -> None:
        self.waiting += characters


def smiles_atoms(smiles: str) -> SmilesAtoms:
    """Returns the atoms of a SMILES. A text that ends too early, because it was cut, is read as far as it goes.

    Args:
        smiles: the SMILES.
    """
    read = _Reader(smiles)
    if not read.spans:
        return SmilesAtoms([], [])
    return SmilesAtoms(read.spans, [_shares(owners) for owners in _filled(read.owners)])


def _filled(owners: list[list[int]]) -> Iterator[list[int]]:
    """The owners of each character; one without an owner belongs to the atom before it, or to the first one."""
    last = 0
    for found in owners:
        last = found[-1] if found else last
        yield found or [last]


def _shares(owners: list[int]) -> Shares:
    shares: Shares = {}
    for atom in owners:
        shares[atom] = shares.get(atom, 0.0) + 1 / len(owners)
    return shares


def molecule_as_written(smiles: str) -> Mol | None:
    """Returns the RDKit molecule with the atoms of the text, in its order; None if RDKit can't read it.

    Args:
        smiles: the SMILES. Hydrogen atoms that it writes as atoms are kept.
    """
    from rdkit import Chem, rdBase

    how = Chem.SmilesParserParams()
    how.removeHs = False
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(smiles, how)
