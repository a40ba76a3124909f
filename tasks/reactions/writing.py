"""Reactions as SMILES without map numbers, in the canonical order of atoms or in that of the other side.

A model that writes one side of a reaction learns far faster if its text follows what it reads: most of an answer is
then a copy from left to right (root-aligned SMILES, Zhong et al. 2022, Chem. Sci. 13, 9023). What is read is always
canonical and so knows nothing of the answer; only the text to be learned is aligned. Answers are compared as sets of
molecules, whatever the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammal.tasks.molecules.chemistry import canonical_or_none, parse
from mammal.tasks.reactions.mapped import Reaction

_Bare = tuple[Any, list[int]]
"""A molecule of RDKit without map numbers, and the number that each of its atoms had."""


def written(reaction: Reaction) -> dict[str, str]:
    """A reaction's sides as SMILES.

    Returns:
        `reactants`, `reagents` ("" without any), `precursors` (both) and `product` canonical, their molecules sorted;
        `aligned_reactants`, in the order of the canonical product; `aligned_product`, in that of the canonical
        reactants.
    """
    going_in, coming_out = _bare(reaction.reactants), _bare((reaction.product,))
    reactants, reactants_at = _canonical(going_in)
    product, product_at = _canonical(coming_out)
    reagents = [part for text in reaction.reagents for part in (canonical_or_none(text) or text).split(".")]
    return {
        "reactants": reactants,
        "reagents": ".".join(sorted(reagents)),
        "precursors": ".".join(sorted([*reactants.split("."), *reagents])),
        "product": product,
        "aligned_reactants": _aligned(going_in, product_at),
        "aligned_product": _aligned(coming_out, reactants_at),
    }


def _bare(molecules: Sequence[Any]) -> list[_Bare]:
    """Every piece on its own, without map numbers."""
    from rdkit import Chem

    return [_without_maps(piece) for molecule in molecules for piece in Chem.GetMolFrags(molecule, asMols=True)]


def _canonical(molecules: Sequence[_Bare]) -> tuple[str, dict[int, int]]:
    """Canonical SMILES of a set of molecules, sorted as text; map number -> position of its atom in it."""
    from rdkit import Chem

    texts = []
    for bare, numbers in molecules:
        text = Chem.MolToSmiles(bare)
        texts.append((text, [numbers[place] for place in _output_order(bare)]))
    texts.sort()
    order = [number for _, numbers in texts for number in numbers]
    return ".".join(text for text, _ in texts), {number: place for place, number in enumerate(order) if number}


def _aligned(molecules: Sequence[_Bare], place_of: Mapping[int, int]) -> str:
    """SMILES that begin at the atom that comes first on the other side and branch in its order; atoms that the other
    side lacks come last, in their canonical order. Molecules stand in the order of their first atoms."""
    from rdkit import Chem

    texts = []
    for bare, numbers in molecules:
        ranks, last = list(Chem.CanonicalRankAtoms(bare)), len(place_of)
        keys = [(place_of.get(number, last), rank) for number, rank in zip(numbers, ranks, strict=True)]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        moved = Chem.RenumberAtoms(bare, order)
        texts.append((keys[order[0]], Chem.MolToSmiles(moved, canonical=False, rootedAtAtom=0)))
    return ".".join(text for _, text in sorted(texts))


def _without_maps(molecule: Any) -> _Bare:
    """A copy without map numbers, and the number of each atom."""
    from rdkit import Chem

    bare = Chem.Mol(molecule)
    numbers = []
    for atom in bare.GetAtoms():
        numbers.append(atom.GetAtomMapNum())
        atom.SetAtomMapNum(0)
    # Read anew: hydrogens that were written out beside a map number (`[NH2:1]`) are counted for atoms without one, and
    # marks of stereo that only the numbers told apart are no longer any.
    again = parse(Chem.MolToSmiles(bare))
    if again is None:
        return bare, numbers
    order = _output_order(bare)
    if again.GetNumAtoms() != len(order):  # hydrogens that had numbers were atoms of their own
        order = [place for place in order if bare.GetAtomWithIdx(place).GetAtomicNum() != 1]
    return again, [numbers[place] for place in order]


def _output_order(molecule: Any) -> list[int]:
    """Atoms in the order in which the last SMILES of a molecule wrote them."""
    return list(molecule.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
