"""Reactions with atom maps, which connect the atoms of the precursors to those of the product.

    reactants   molecules that contribute at least one heavy atom to the product (hydrogens have no map numbers)
    reagents    all others: catalysts, bases, solvents

The map is given by atom map numbers on both sides. In the files of USPTO-15k (Jin et al. 2017), the product has no
numbers, and the map is given by edits: `H LOST;H GAINED;BONDS BROKEN;BONDS FORMED`, with bonds as `3-14-1.0`. If the
edits are applied to the graph of the precursors, one of the resulting pieces has the product's skeleton; its atoms are
those of the product. This works for 14,995 of the 15,000 reactions. In the others a molecule reacts twice but is
written once in the file, so not every atom of the product has a number. In these, the molecules changed by the edits
are the reactants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mammal.tasks.errors import DataError
from mammal.tasks.molecules.chemistry import parse_smiles, why_invalid

_MAP = re.compile(r":([0-9]+)\]")
"""The map number at the end of a bracket atom."""


@dataclass(frozen=True)
class Reaction:
    """The molecules of a reaction.

    Attributes:
        reactants: RDKit molecules with map numbers.
        reagents: SMILES of the reagents, without map numbers.
        product: one RDKit molecule, which has several fragments if there are several products; its map numbers refer to
            atoms of the reactants.
    """

    reactants: tuple[Any, ...]
    reagents: tuple[str, ...]
    product: Any


def from_maps(precursors: str, product: str) -> Reaction:
    """Parses a reaction with map numbers on both sides.

    Args:
        precursors: SMILES of reactants and reagents.
        product: SMILES of the product.

    Raises:
        DataError: RDKit can't parse a SMILES, or no atom of the product is from a precursor.
    """
    return _by_role(precursors.split("."), _parsed(product), _maps(product))


def from_edits(precursors: str, product: str, edits: str) -> Reaction:
    """Parses a reaction with a product without map numbers, which are derived from the edits.

    Args:
        precursors: SMILES of reactants and reagents, with map numbers.
        product: SMILES of the product.
        edits: `H LOST;H GAINED;BONDS BROKEN;BONDS FORMED`.

    Raises:
        DataError: RDKit can't parse a SMILES, or nothing connects the product to the precursors.
    """
    made, texts = _parsed(product), precursors.split(".")
    lost, gained, broken, formed = (tuple(filter(None, part.split(","))) for part in edits.split(";"))
    touched = {int(number) for edit in (*broken, *formed) for number in edit.split("-")[:2]}
    touched |= {int(number) for number in (*lost, *gained)}
    maps = _maps_after(
        [_parsed(text) for text in texts], made, [_bond(e) for e in broken], [_bond(e) for e in formed], touched
    )
    for atom, number in zip(made.GetAtoms(), maps, strict=False):
        atom.SetAtomMapNum(number)
    return _by_role(texts, made, set(maps) or touched)


def _by_role(texts: Sequence[str], product: Any, numbers: set[int]) -> Reaction:
    reactants = [text for text in texts if _maps(text) & numbers]
    if not reactants:
        raise DataError("no atom of the product is said to come from a reactant")
    reagents = [_MAP.sub("]", text) for text in texts if not _maps(text) & numbers]
    return Reaction(tuple(map(_parsed, reactants)), tuple(reagents), product)


def _maps_after(
    molecules: Sequence[Any],
    product: Any,
    broken: Iterable[tuple[int, int]],
    formed: Iterable[tuple[int, int]],
    touched: set[int],
) -> list[int]:
    """Map number of each atom of the product; empty if no piece has its skeleton.

    If several pieces have it, the first one changed by an edit is the product, or else the first one.
    """
    from rdkit import Chem

    atoms = [atom for molecule in molecules for atom in molecule.GetAtoms()]
    place = {atom.GetAtomMapNum(): number for number, atom in enumerate(atoms)}
    bonds, start = set(), 0
    for molecule in molecules:
        bonds |= {_pair(start + b.GetBeginAtomIdx(), start + b.GetEndAtomIdx()) for b in molecule.GetBonds()}
        start += molecule.GetNumAtoms()
    bonds -= {_pair(place[i], place[j]) for i, j in broken}
    bonds |= {_pair(place[i], place[j]) for i, j in formed}
    edited = _skeleton([atom.GetAtomicNum() for atom in atoms], bonds)
    wanted = _skeleton(
        [atom.GetAtomicNum() for atom in product.GetAtoms()],
        {(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in product.GetBonds()},
    )
    found: list[list[int]] = []
    places: list[tuple[int, ...]] = []
    for piece, own in zip(
        Chem.GetMolFrags(edited, asMols=True, sanitizeFrags=False, fragsMolAtomMapping=places), places, strict=True
    ):
        if piece.GetNumAtoms() == wanted.GetNumAtoms() and piece.GetNumBonds() == wanted.GetNumBonds():
            match = piece.GetSubstructMatch(wanted)
            if match:
                found.append([atoms[own[number]].GetAtomMapNum() for number in match])
    return max(found, key=lambda numbers: bool(touched.intersection(numbers)), default=[])


def _skeleton(elements: Sequence[int], bonds: Iterable[tuple[int, int]]) -> Any:
    """A molecule with only elements and single bonds, without charges and hydrogens."""
    from rdkit import Chem

    graph = Chem.RWMol()
    for element in elements:
        atom = Chem.Atom(element)
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    for begin, end in bonds:
        graph.AddBond(begin, end, Chem.BondType.SINGLE)
    return graph.GetMol()


def _bond(edit: str) -> tuple[int, int]:
    begin, end = edit.split("-")[:2]
    return int(begin), int(end)


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)


def _maps(smiles: str) -> set[int]:
    return {int(number) for number in _MAP.findall(smiles)} - {0}


def _parsed(smiles: str) -> Any:
    molecule = parse_smiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        raise DataError(f"invalid SMILES {smiles[:80]!r}: {why_invalid(smiles)}")
    return molecule
