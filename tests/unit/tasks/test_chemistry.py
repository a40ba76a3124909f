from __future__ import annotations

import numpy as np
import pytest

from mammal.tasks.errors import DataError
from mammal.tasks.molecules.chemistry import (
    canonical_or_none,
    inchikey_or_none,
    morgan_counts,
    murcko_scaffold,
    standardise,
)


def test_the_three_ways_to_standardise():
    assert standardise("OCC", "off") == "OCC"
    assert standardise("not a molecule", "off") == "not a molecule"
    assert standardise("OCC", "check") == "OCC"
    assert standardise("OCC", "canonical") == "CCO"
    assert standardise("[Na+].[O-]C(=O)C", "canonical") == "CC(=O)[O-].[Na+]", "salts stay"
    assert standardise("C[C@H](N)C(=O)O", "canonical") == "C[C@H](N)C(=O)O", "stereo stays"


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("c1ccccc", "unclosed ring"),
        ("CC(", "character 3"),
        ("CC)", "parentheses"),
        ("CN(C)(C)(C)C", "valence"),
        ("c1cccc1", "kekulize"),
        ("[Xx]", "syntax error"),
        ("CCO ethanol", "blank"),
    ],
)
@pytest.mark.parametrize("how", ["check", "canonical"])
def test_invalid_molecules_say_why_in_rdkits_words(smiles: str, reason: str, how: str, capfd: pytest.CaptureFixture):
    with pytest.raises(DataError) as caught:
        standardise(smiles, how, "drug")
    message = str(caught.value)
    assert reason in message and "column drug" in message and "\n" not in message
    shown = capfd.readouterr()
    assert shown.out == "" and shown.err == "", "RDKit must stay silent"


def test_no_molecule_is_none():
    assert canonical_or_none("CC(") is None and canonical_or_none("") is None
    assert inchikey_or_none("CC(") is None
    assert inchikey_or_none("CCO") == "LFQSCWFLJHTTHZ-UHFFFAOYSA-N"


def test_scaffolds():
    assert murcko_scaffold("CCc1ccccc1") == "c1ccccc1"
    assert murcko_scaffold("CCO") == ""
    assert murcko_scaffold("CC(") is None


def test_fingerprints_count_and_are_zero_for_no_molecule():
    counts = morgan_counts(["CCO", "OCC", "CC(", "CCCCCCCC"], bits=512)
    assert counts.shape == (4, 512) and counts.dtype == np.float32
    assert (counts[0] == counts[1]).all() and counts[2].sum() == 0 and counts[3].max() > 1
