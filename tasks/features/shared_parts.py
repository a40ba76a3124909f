"""RDKit descriptors that are slow because RDKit computes a part of them several times, or in loops of Python.

The values have the same bits as those of RDKit's own functions. Shapes: N atoms.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def with_estate_indices(molecule: Any) -> Any:
    """Computes the electrotopological state (Hall, Mohney & Kier 1991) of all atoms and stores it in the molecule.

    Functions of RDKit that are called with `force=False` then use these indices. RDKit adds up the same terms in the
    same order, but one by one.

    Args:
        molecule: RDKit molecule.

    Returns:
        The same molecule.
    """
    from rdkit import Chem
    from rdkit.Chem.EState.EState import GetPrincipleQuantumNumber

    table = Chem.GetPeriodicTable()
    own_N = np.zeros(molecule.GetNumAtoms())
    for i, atom in enumerate(molecule.GetAtoms()):
        if (degree := atom.GetDegree()) > 0:
            number = atom.GetAtomicNum()
            valence = table.GetNOuterElecs(number) - atom.GetTotalNumHs()
            shell = GetPrincipleQuantumNumber(number)
            own_N[i] = (4.0 / (shell * shell) * valence + 1) / degree
    distance_NN = Chem.GetDistanceMatrix(molecule, useBO=False, useAtomWts=False) + 1
    terms_NN = np.where(distance_NN < _UNCONNECTED, (own_N[:, None] - own_N) / (distance_NN * distance_NN), 0.0)
    from_others_N = np.cumsum(terms_NN, axis=1)[:, -1]  # `sum` would add in another order
    molecule._eStateIndices = from_others_N + own_N
    return molecule


_UNCONNECTED = 1e6
"""RDKit leaves out pairs of atoms with at least this distance, which have no path between them."""


def qed(molecule: Any) -> float:
    """Quantitative estimate of drug-likeness (Bickerton et al. 2012).

    RDKit computes the properties from a copy without hydrogens, which does not have the results of other descriptors
    yet. A molecule without explicit hydrogens needs no copy.

    Args:
        molecule: RDKit molecule.
    """
    from rdkit.Chem import QED

    if any(atom.GetAtomicNum() == 1 for atom in molecule.GetAtoms()):
        return float(QED.qed(molecule))
    return float(QED.qed(molecule, qedProperties=_properties(molecule)))


def _properties(molecule: Any) -> Any:
    """As `QED.properties` of RDKit, from the molecule itself."""
    from rdkit.Chem import QED, Crippen, DeleteSubstructs, GetSSSR, Mol, MolSurf
    from rdkit.Chem.rdMolDescriptors import CalcNumHBD, CalcNumRotatableBonds, NumRotatableBondsOptions, _CalcMolWt

    return QED.QEDproperties(
        MW=_CalcMolWt(molecule),
        ALOGP=Crippen.MolLogP(molecule),
        HBA=sum(len(molecule.GetSubstructMatches(pattern)) for pattern in QED.Acceptors),
        HBD=CalcNumHBD(molecule),
        PSA=MolSurf.TPSA(molecule),
        ROTB=CalcNumRotatableBonds(molecule, NumRotatableBondsOptions.Strict),
        AROM=len(GetSSSR(DeleteSubstructs(Mol(molecule), QED.AliphaticRings))),
        ALERTS=sum(molecule.HasSubstructMatch(alert) for alert in QED.StructuralAlerts),
    )
