#!/usr/bin/env bash
# fcd 1.2.2 with torch. ChemNet reads SMILES as one-hot arrays that are padded to 350 characters, or to the longest SMILES
# of the call if that is longer, and its recurrent layers read the padding too. So one long molecule changes the
# activations of all others in the call, and with them the distance; a UserWarning says so without naming the molecule.
# Seen: the activations of two short molecules with and without a chain of 400 carbons in the same call differ.
source "$(dirname "$0")/common.sh"
$PIP install torch==2.13.0 fcd==1.2.2
"$PYTHON" - <<'PY'
import numpy as np
from fcd import get_predictions, load_ref_model

model = load_ref_model()
short = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"]
alone = get_predictions(model, short)
again = get_predictions(model, [*short, "CCCC"])[:3]
beside = get_predictions(model, [*short, "C" * 400])[:3]
print("largest change beside butane:", float(np.abs(alone - again).max()))
print("largest change beside a chain of 400:", float(np.abs(alone - beside).max()))
assert np.allclose(alone, again, atol=1e-5)
assert np.abs(alone - beside).max() > 1e-3
PY
