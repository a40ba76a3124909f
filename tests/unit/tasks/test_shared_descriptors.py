"""Descriptors that share their computation have the same bits as those of RDKit's own functions."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDConfig, rdBase
from rdkit.Chem import QED, Descriptors
from rdkit.Chem.EState import EStateIndices

from mammal.tasks.features.descriptors import descriptors
from mammal.tasks.features.rdkit_names import NAMES
from mammal.tasks.features.shared_parts import qed, with_estate_indices
from mammal.tasks.molecules.chemistry import parse_smiles

LIST = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
"""A list of diverse molecules that comes with RDKit."""

ODD = ["[H][H]", "[2H]C([2H])O", "[Na+].[Cl-]", "C", "[U]", "*CC*", "N[Pt](N)(Cl)Cl", "[Fe+2].[O-]C(=O)C", "C[H]"]
"""Hydrogens that stay, atoms alone, several parts, metals and atoms of no element."""


@pytest.fixture(scope="module")
def molecules() -> dict[str, Chem.Mol]:
    texts = [line.split()[0] for line in LIST.read_text().splitlines()[::17]] if LIST.is_file() else []
    with rdBase.BlockLogs():
        read = {text: parse_smiles(text) for text in [*texts, *ODD]}
    return {text: molecule for text, molecule in read.items() if molecule is not None}


def test_indices_and_drug_likeness_have_the_bits_of_rdkit(molecules: dict[str, Chem.Mol]):
    assert len(molecules) > 200
    for text, molecule in molecules.items():
        indices = with_estate_indices(Chem.Mol(molecule))._eStateIndices
        assert indices.tobytes() == EStateIndices(Chem.Mol(molecule)).tobytes(), text
        assert qed(Chem.Mol(molecule)) == QED.qed(Chem.Mol(molecule)), text


def test_all_descriptors_have_the_bits_of_rdkit(molecules: dict[str, Chem.Mol], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAMMAL_DESCRIPTOR_CACHE", "off")
    known = dict(Descriptors.descList)
    for text in [*list(molecules)[::6], *ODD]:
        expected = [_value(known[name], molecules[text]) for name in NAMES]
        np.testing.assert_array_equal(descriptors(text), expected, err_msg=text)


def _value(function, molecule: Chem.Mol) -> float:
    try:
        with rdBase.BlockLogs():
            return float(function(molecule))
    except (ValueError, RuntimeError, ArithmeticError):
        return float("nan")
