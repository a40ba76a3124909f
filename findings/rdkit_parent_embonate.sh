#!/usr/bin/env bash
# rdkit 2026.9.1. The "parent" of a salt is its largest fragment, which is the wrong one if the counter-ion is larger than
# the drug: for the embonates (pamoates) of pyrantel and of metformin, `FragmentParent` and `LargestFragmentChooser` (also
# with preferOrganic) give embonic acid. The lists of `SaltRemover` and `FragmentRemover` lack it, so these leave both
# fragments.
# Seen: the same SMILES of embonic acid as the parent of two different drugs.
source "$(dirname "$0")/common.sh"
$PIP install rdkit==2026.9.1
"$PYTHON" - <<'PY'
from rdkit import Chem
from rdkit.Chem.MolStandardize import rdMolStandardize
from rdkit.Chem.SaltRemover import SaltRemover

EMBONIC_ACID = "O=C(O)c1cc2ccccc2c(Cc2c(O)c(C(=O)O)cc3ccccc23)c1O"
DRUGS = {"pyrantel": "CN1CCCN=C1/C=C/c1cccs1", "metformin": "CN(C)C(=N)NC(=N)N"}

for drug, smiles in DRUGS.items():
    salt = Chem.MolFromSmiles(f"{smiles}.{EMBONIC_ACID}")
    chooser = rdMolStandardize.LargestFragmentChooser(preferOrganic=True)
    parents = [rdMolStandardize.FragmentParent(salt), chooser.choose(salt)]
    print(drug, [Chem.MolToSmiles(parent) for parent in parents])
    assert all(Chem.MolToSmiles(parent) == EMBONIC_ACID for parent in parents)
    for stripped in (SaltRemover().StripMol(salt), rdMolStandardize.FragmentRemover().remove(salt)):
        assert len(Chem.GetMolFrags(stripped)) == 2, "the counter-ion is known now"
PY
