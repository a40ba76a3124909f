#!/usr/bin/env bash
# openclatura 0.4.3 with RDKit. Parts of a molecule that its rules have no word for are left out, without an error.
# Seen: a labelled methane, a methyl radical and a methyl cation are all "methane"; hydrogen phosphate and phosphoric
# acid are both "phosphoric acid"; sodium acetate with a covalent bond to sodium is named without sodium.
source "$(dirname "$0")/common.sh"
$PIP install openclatura==0.4.3 rdkit
"$PYTHON" - <<'PY'
from openclatura import name_smiles

seen = {
    "C": "methane",
    "[13CH4]": "methane",
    "[CH3]": "methane",
    "[CH3+]": "methane",
    "OP(O)(O)=O": "phosphoric acid",
    "O=P([O-])([O-])O": "phosphoric acid",
    "CC(=O)O[Na]": "1-hydroxyethan-1-one",
    "CC(=O)[O-].[Na+]": "sodium acetate",
}
for smiles, name in seen.items():
    answer = name_smiles(smiles)
    print(f"{smiles}: {answer}")
    assert answer == name, (smiles, answer, name)
PY
