"""Properties of a molecule by name, used as conditions of generation and to evaluate it.

mw       molecular weight, g/mol                                       rdkit MolWt
logp     octanol-water partition coefficient, estimated                Wildman & Crippen 1999
tpsa     topological polar surface area, Å²                            Ertl et al. 2000
qed      quantitative estimate of drug-likeness, 0 to 1                Bickerton et al. 2012
hbd hba  donors and acceptors of hydrogen bonds, number                rdkit NumHDonors, NumHAcceptors
rotatable_bonds rings aromatic_rings heavy_atoms                       number
fsp3     share of carbons that are sp3, 0 to 1                         Lovering et al. 2009
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.molecules.chemistry import parse_smiles
from mammal.tokenization.errors import did_you_mean

PROPERTIES: dict[str, tuple[str, str, str]] = {
    "mw": ("Descriptors", "MolWt", "g/mol"),
    "logp": ("Crippen", "MolLogP", ""),
    "tpsa": ("rdMolDescriptors", "CalcTPSA", "Å²"),
    "qed": ("QED", "qed", ""),
    "hbd": ("rdMolDescriptors", "CalcNumHBD", ""),
    "hba": ("rdMolDescriptors", "CalcNumHBA", ""),
    "rotatable_bonds": ("rdMolDescriptors", "CalcNumRotatableBonds", ""),
    "rings": ("rdMolDescriptors", "CalcNumRings", ""),
    "aromatic_rings": ("rdMolDescriptors", "CalcNumAromaticRings", ""),
    "heavy_atoms": ("rdMolDescriptors", "CalcNumHeavyAtoms", ""),
    "fsp3": ("rdMolDescriptors", "CalcFractionCSP3", ""),
}
"""Name -> module of `rdkit.Chem`, function in it, and unit."""


@cache
def property_of(name: str) -> Callable[[Any], float]:
    """Returns the function that computes a property of an RDKit molecule.

    Raises:
        TaskError: there is no such property.
    """
    from importlib import import_module

    if name not in PROPERTIES:
        raise TaskError(f"unknown property {name!r}", hint=did_you_mean(name, PROPERTIES, noun="property"))
    module, function, _ = PROPERTIES[name]
    found: Callable[[Any], float] = getattr(import_module(f"rdkit.Chem.{module}"), function)
    return found


def compute(smiles: str, name: str) -> float:
    """Computes one property of a molecule; errors as for `compute_all`."""
    return compute_all(smiles, [name])[0]


def compute_all(smiles: str, names: Iterable[str]) -> tuple[float, ...]:
    """Computes several properties of a molecule, in the order of the names.

    Raises:
        TaskError: there is no such property.
        DataError: RDKit can't read the SMILES.
    """
    functions = {name: property_of(name) for name in names}
    molecule = parse_smiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        raise DataError(f"{smiles!r} is not a molecule, so it has no {' or '.join(functions)}")
    return tuple(float(function(molecule)) for function in functions.values())


@lru_cache(maxsize=1 << 16)
def property_or_nan(smiles: str, name: str) -> float:
    """Returns a property, NaN for an invalid SMILES; cached, as a metric and its interval use the same rows."""
    try:
        return compute(smiles, name)
    except DataError:
        return float("nan")
