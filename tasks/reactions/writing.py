"""Writing of reactions as SMILES without map numbers, in the canonical atom order or in that of the other side.

A model that generates one side of a reaction learns far faster if the target has the atom order of the input, because
most of the target is then a copy from left to right (root-aligned SMILES, Zhong et al. 2022, Chem. Sci. 13, 9023). The
input is always canonical, so that it contains no information about the answer; only the target is aligned. Answers are
compared as sets of molecules, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammal.tasks.molecules.chemistry import canonical_or_none, parse_smiles
from mammal.tasks.reactions.mapped import Reaction

_Bare = tuple[Any, list[int]]
"""An RDKit molecule without map numbers, and the former number of each atom."""


def written(reaction: Reaction) -> dict[str, str]:
    """Returns the sides of a reaction as SMILES.

    Returns:
        `reactants`, `reagents` ("" if there are none), `precursors` (both) and `product` are canonical, with sorted
        molecules. `aligned_reactants` has the atom order of the canonical product, `aligned_product` that of the
        canonical reactants.
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
    """Every fragment as a molecule of its own, without map numbers."""
    from rdkit import Chem

    return [_without_maps(piece) for molecule in molecules for piece in Chem.GetMolFrags(molecule, asMols=True)]


def _canonical(molecules: Sequence[_Bare]) -> tuple[str, dict[int, int]]:
    """Canonical SMILES of a set of molecules, sorted as text, and map number -> position of its atom in the SMILES."""
    from rdkit import Chem

    texts = []
    for bare, numbers in molecules:
        text = Chem.MolToSmiles(bare)
        texts.append((text, [numbers[place] for place in _output_order(bare)]))
    texts.sort()
    order = [number for _, numbers in texts for number in numbers]
    return ".".join(text for text, _ in texts), {number: place for place, number in enumerate(order) if number}


def _aligned(molecules: Sequence[_Bare], place_of: Mapping[int, int]) -> str:
    """SMILES that start at the atom that is first on the other side, and branch in the order of the other side.

    Atoms that the other side lacks come last, in their canonical order. Molecules are in the order of their first
    atoms.
    """
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
    """A copy without map numbers, and the former number of each atom."""
    from rdkit import Chem

    bare = Chem.Mol(molecule)
    numbers = []
    for atom in bare.GetAtoms():
        numbers.append(atom.GetAtomMapNum())
        atom.SetAtomMapNum(0)
    # Parse again: explicit hydrogens of mapped atoms (`[NH2:1]`) become implicit, and stereo marks disappear at centres
    # that were only distinguished by map numbers.
    again = parse_smiles(Chem.MolToSmiles(bare))
    if again is None:
        return bare, numbers
    order = _output_order(bare)
    if again.GetNumAtoms() != len(order):  # hydrogens with map numbers were explicit atoms
        order = [place for place in order if bare.GetAtomWithIdx(place).GetAtomicNum() != 1]
    return again, [numbers[place] for place in order]


def _output_order(molecule: Any) -> list[int]:
    """Atoms in the order of the SMILES that was last written for a molecule."""
    return list(molecule.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
