#!/usr/bin/env bash
# py2opsin 1.2.0 (OPSIN 2.9.0; needs Java). A name of a racemate gives the SMILES of one enantiomer, and the name of the
# salt of a weak acid gives a metal atom without charge, both without any warning. An ambiguous name gives a structure
# too; of that OPSIN warns, and py2opsin hands on one RuntimeWarning for the whole list, so the row is not known.
# Seen: "rac-(2R,3R)-butane-2,3-diol" -> the SMILES of (2R,3R); "phenol sodium salt" -> [Na] beside phenol, while "acetic
# acid sodium salt" gives sodium acetate; "chlorotoluene" -> benzyl chloride, in a list of three names with one warning.
source "$(dirname "$0")/common.sh"
$PIP install py2opsin==1.2.0
"$PYTHON" - <<'PY'
import warnings

from py2opsin import py2opsin

silent = {
    "rac-(2R,3R)-butane-2,3-diol": "C[C@H]([C@@H](C)O)O",
    "(2R,3R)-butane-2,3-diol": "C[C@H]([C@@H](C)O)O",
    "phenol sodium salt": "[Na].C1(=CC=CC=C1)O",
    "acetic acid sodium salt": "[Na+].C(C)(=O)[O-]",
}
with warnings.catch_warnings():
    warnings.simplefilter("error")
    for name, smiles in silent.items():
        answer = py2opsin(name)
        print(f"{name}: {answer}")
        assert answer == smiles, (name, answer, smiles)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    answers = py2opsin(["ethanol", "chlorotoluene", "bromotoluene"])
print(answers, len(told), "warning")
assert answers[1] == "ClCC1=CC=CC=C1" and len(told) == 1
PY
