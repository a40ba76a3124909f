"""A column of another kind of sequence is warned of, and nothing else is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.jobs import run_job
from mammal.rows.modality import other_kind

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "CCN"]
PROTEINS = ["MKTAYIAKQRQISFVKSHFSRQ", "GIGKFLHSAKKFGKAFVGEIMNS", "MSSPPLHGLSSGGHLSRDPPPRSWSPRDKCS"]
DNA = ["ACGTTGCA", "TTGACCAGTA"]


@pytest.mark.parametrize(
    ("values", "alphabet", "kind"),
    [
        (MOLECULES, "AA", "SMILES"),
        (["CCO"], "AA", "SMILES"),
        (["CCCCCCCCN", "CCCCS"], "AA", "SMILES"),
        (MOLECULES, "DNA", "SMILES"),
        (DNA, "AA", "DNA"),
        (DNA, "SMILES", "DNA"),
        (["acgtacgt"], "AA", "DNA"),
        (PROTEINS, "SMILES", "AA"),
        (PROTEINS, "DNA", "AA"),
        ([*MOLECULES, "C1CC"], "AA", "SMILES"),  # a SMILES with a slip
        ([*MOLECULES, "n/a?"], "DNA", "SMILES"),
        ([*PROTEINS, "(unknown)"], "SMILES", "AA"),
        ([*DNA, *DNA, "ACGT??"], "AA", "DNA"),
    ],
)
def test_another_kind_is_seen(values: list[str], alphabet: str, kind: str):
    assert other_kind(values, alphabet) == kind


@pytest.mark.parametrize(
    ("values", "alphabet"),
    [
        ([], "AA"),
        (PROTEINS, "AA"),
        (MOLECULES, "SMILES"),
        (DNA, "DNA"),
        (["CCO", "MKV"], "AA"),  # one bad row among others
        (["CCN"], "AA"),  # a peptide, too
        (["CCO", "c1ccccc1", "(1)", "(2)", "?"], "AA"),  # most values are of no kind
        (["FPPSN", "SINFPS"], "AA"),
        (["PPPPPPPPPP"], "AA"),  # polyproline, and a chain of phosphorus
        (["IINPSFCN"], "AA"),
        (["GAGAGAGAGAGA"], "AA"),  # silk
        (["GATA"], "AA"),
        (["ACDEFGHIK", "TAGACAT"], "AA"),
        (["ACGTRYACGTSW", "NNNNKMBDHV"], "DNA"),  # codes of ambiguous bases
        (["ACGT[A/G]TTC"], "DNA"),
        (["CCCCC(", "no molecule"], "SMILES"),
        (["CHCHCHCHCH"], "SMILES"),
        (["not a protein!"], "AA"),
        (["EVQLVESGG____SLRLSCAAS"], "AA"),
    ],
)
def test_what_can_be_right_is_left_alone(values: list[str], alphabet: str):
    assert other_kind(values, alphabet) is None


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_every_call_warns_of_a_column(small_bundle: Callable[..., Path], tmp_path: Path, caplog):
    folder = small_bundle("amp")
    model = mammal.load(folder)
    (column,) = (group[0] for group in model.task.needed)
    said = f"column {column!r} looks like molecules (SMILES), and the task amp reads proteins there"
    assert model.predict(["CCO"])["error"].isna().all(), "it answers all the same"
    model.embed(["CCO"])
    model.score(["CCO"], ["1"])
    found = [text for text in warnings(caplog) if said in text]
    assert len(found) == 3 and "'CCO'" in found[0]
    caplog.clear()
    model.predict(pd.DataFrame({"mine": MOLECULES}), columns="mine")
    assert "column 'mine' looks like" in caplog.text
    caplog.clear()
    model.predict([*PROTEINS, "CCO"])
    assert not warnings(caplog)
    pd.DataFrame({column: MOLECULES[:1] * 3}).to_csv(tmp_path / "in.csv", index=False)
    run_job("predict", folder, tmp_path / "in.csv", tmp_path / "o.csv", shard_rows=1)
    assert sum(said in text for text in warnings(caplog)) == 1, "a job says it once"


def test_columns_that_changed_places_are_both_named(small_bundle: Callable[..., Path], caplog):
    scaled = ("dti_bindingdb_pkd", {"scale": {"mean": 0.0, "std": 1.0}})
    model = mammal.load(small_bundle(scaled, scalars_prediction_head={"layers": []}))
    model.predict(pd.DataFrame({"target": ["CC(=O)Oc1ccccc1"], "drug": ["MKTAYIAKQRQISFVKSHFSRQ"]}))
    reported = warnings(caplog)
    assert any("column 'target' looks like molecules" in text for text in reported)
    assert any("column 'drug' looks like proteins" in text for text in reported)
    caplog.clear()
    model.predict(pd.DataFrame({"drug": ["CC(=O)Oc1ccccc1"], "target": ["MKTAYIAKQRQISFVKSHFSRQ"]}))
    assert not warnings(caplog)
