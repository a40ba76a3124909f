"""Description of one molecule by the data that measures of sets need.

Fragments and scaffolds are those of MOSES (Polykovskiy et al. 2020): fragments by BRICS (Degen et al. 2008, doi
10.1002/cmdc.200800178) with their attachment points; scaffolds by Bemis and Murcko (1996, doi 10.1021/jm9602928) with
stereo, if they have two rings or more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from mammal.tasks.molecules.properties import PROPERTIES, property_of

RADIUS, BITS = 2, 1024
"""Radius and number of bits of the Morgan fingerprint in MOSES' similarities (Rogers & Hahn 2010)."""

SCAFFOLD_RINGS = 2
"""Minimum number of rings of a scaffold."""

SHOWN = ("logp", "qed", "sa", "mw", "tpsa", "heavy_atoms")
"""Properties with distributions that are compared: names of `mammal.tasks.molecules.properties`, and `sa`, the
synthetic accessibility score of Ertl & Schuffenhauer (2009, doi 10.1186/1758-2946-1-8), 1 (easy) to 10."""

UNITS = {name: PROPERTIES[name][2] for name in SHOWN if name in PROPERTIES} | {"sa": ""}


@dataclass(frozen=True)
class Described:
    """A molecule.

    Attributes:
        canonical: RDKit's canonical isomeric SMILES.
        fingerprint: `BITS` bits of its Morgan fingerprint, eight per byte, the first one as the highest bit.
        fragments: SMILES of its BRICS fragments, with repeats.
        scaffold: SMILES of its Bemis-Murcko scaffold; None if that has fewer than `SCAFFOLD_RINGS` rings.
        properties: one number for each of `SHOWN`.
    """

    canonical: str
    fingerprint: bytes
    fragments: tuple[str, ...]
    scaffold: str | None
    properties: tuple[float, ...]


@lru_cache(maxsize=1 << 14)
def describe_molecule(smiles: str) -> Described | None:
    """Returns the description of a molecule; None if the SMILES is not valid or has no atom.

    Results are cached, because several measures of an evaluation use the same molecules.
    """
    from rdkit import Chem, rdBase

    from mammal.tasks.molecules.chemistry import parse_smiles

    molecule = parse_smiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    with rdBase.BlockLogs():
        return Described(
            Chem.MolToSmiles(molecule),
            _fingerprint(molecule),
            _fragments(molecule),
            _scaffold(molecule),
            tuple(float(function(molecule)) for function in _measured()),
        )


def has_pains(smiles: str) -> bool:
    """Whether a valid SMILES contains a pan-assay interference substructure (PAINS).

    Uses the 480 patterns of Baell & Holloway (2010, doi 10.1021/jm901137j) from RDKit.
    """
    from rdkit import Chem

    from mammal.tasks.molecules.chemistry import parse_smiles

    molecule = parse_smiles(smiles)
    if molecule is None:  # RDKit can't read its own SMILES of a few aromatic molecules
        molecule = Chem.MolFromSmiles(smiles, sanitize=False)
        molecule.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(molecule)
    return bool(_pains().HasMatch(molecule))


@cache
def _measured() -> list[Callable[[Any], float]]:
    from rdkit.Contrib.SA_Score.sascorer import calculateScore

    return [calculateScore if name == "sa" else property_of(name) for name in SHOWN]


@cache
def _morgan() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)


def _fingerprint(molecule: Any) -> bytes:
    import numpy as np

    return np.packbits(_morgan().GetFingerprintAsNumPy(molecule)).tobytes()


def _fragments(molecule: Any) -> tuple[str, ...]:
    from rdkit.Chem import FragmentOnBRICSBonds, MolToSmiles

    return tuple(MolToSmiles(FragmentOnBRICSBonds(molecule)).split("."))


def _scaffold(molecule: Any) -> str | None:
    from rdkit.Chem import MolToSmiles
    from rdkit.Chem.Scaffolds.MurckoScaffold import GetScaffoldForMol

    try:
        scaffold = GetScaffoldForMol(molecule)
    except (ValueError, RuntimeError):  # the scaffold of a few molecules can't be sanitised
        return None
    return MolToSmiles(scaffold) if scaffold.GetRingInfo().NumRings() >= SCAFFOLD_RINGS else None


@cache
def _pains() -> Any:
    from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

    chosen = FilterCatalogParams()
    chosen.AddCatalog(FilterCatalogParams.FilterCatalogs.PAINS)
    return FilterCatalog(chosen)
