"""Both spellings of a group with separable charges are one molecule: to prompts, leaks, splits, metrics and names."""

import pandas as pd
import pytest

from mammal.tasks.declaration.check import task_config
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.kinds.build import build_task
from mammal.tasks.metrics.answers import Answers, object_array
from mammal.tasks.metrics.registry import METRICS
from mammal.tasks.molecules.chemistry import (
    canonical_or_none,
    flat_or_none,
    murcko_scaffold,
    normalised_or_none,
    standardise,
)
from mammal.tasks.names.roundtrip import compare_molecules
from mammal.tasks.splits import leakage, split_frame
from mammal.tokenization import Tokenizer

PAIRS = [
    ("C[S+](C)[O-]", "CS(C)=O"),
    ("CC[S@+](C)[O-]", "CC[S@](C)=O"),
    ("[O-][S+]1C=CC=C1", "O=S1C=CC=C1"),
    ("C[S+2](C)([O-])[O-]", "CS(C)(=O)=O"),
    ("C[S+](C)(=N)[O-]", "CS(C)(=N)=O"),
    ("C[Se+](C)[O-]", "C[Se](C)=O"),
    ("C[P+](C)(C)[O-]", "CP(C)(C)=O"),
    ("O[P+](O)(O)[O-]", "O=P(O)(O)O"),
    ("C[P+](C)(C)[S-]", "CP(C)(C)=S"),
    ("C[S+](C)[N-]C", "CN=S(C)C"),
    ("[CH2-][P+](C)(C)C", "C=P(C)(C)C"),
    ("CN(=O)=O", "C[N+](=O)[O-]"),
    ("c1ccccc1[N-][N+]#N", "[N-]=[N+]=Nc1ccccc1"),
    ("[CH2-][N+]#N", "C=[N+]=[N-]"),
    ("O=n1ccccc1", "[O-][n+]1ccccc1"),
    ("CC(=[NH2+])[O-]", "CC(N)=O"),
]
"""Spelling -> normalised form. RDKit 2026.9's Normalizer alone writes `C[S+](C)[O-]` and keeps `C[P+](C)(C)[O-]`."""

KEPT = [
    "CC(=O)[O-].[Na+]",
    "[NH3+]CC(=O)[O-]",
    "C[N+](C)(C)C",
    "NC(N)=[NH2+]",
    "[C-]#[N+]C",
    "O=c1cc[nH]cc1",
    "[13CH4]",
]
"""Salts, zwitterions, cations, tautomers and isotopes are other molecules than what they resemble."""


@pytest.mark.parametrize(("spelling", "form"), PAIRS)
def test_two_spellings_have_one_form(spelling: str, form: str):
    assert normalised_or_none(spelling) == normalised_or_none(form) == canonical_or_none(form)
    assert flat_or_none(spelling) == flat_or_none(form)
    assert murcko_scaffold(spelling) == murcko_scaffold(form)
    assert standardise(spelling, "normalised") == canonical_or_none(form)
    assert compare_molecules(spelling, form) == "exact"


@pytest.mark.parametrize("smiles", KEPT)
def test_other_molecules_stay_apart(smiles: str):
    assert normalised_or_none(smiles) == canonical_or_none(smiles)


def test_older_policies_keep_the_spelling():
    assert standardise("C[S+]([O-])C", "canonical") == "C[S+](C)[O-]"
    assert standardise("C[S+]([O-])C", "check") == "C[S+]([O-])C"
    assert normalised_or_none("C1CC") is None and normalised_or_none("") is None


def test_new_tasks_read_both_spellings_alike_and_a_bundle_as_it_was_trained():
    declared = {"name": "x", "kind": "regression", "mode": "encoder", "labels": []}
    prompt = {"input": "<MASK> {smiles:smiles}", "target": "{y:scalar}"}
    inputs = []
    for more in ({}, {"standardise": "canonical"}):
        task = build_task(task_config({**declared, "prompt": prompt, **more}), Tokenizer.load(None))
        inputs.append([task.inputs({"smiles": text})["smiles"] for text in ("C[S+](C)[O-]", "CS(C)=O")])
    assert inputs == [["CS(C)=O", "CS(C)=O"], ["C[S+](C)[O-]", "CS(C)=O"]]
    assert load_task("bbbp").standardise == "normalised" and load_task("moleculenet_bbbp").standardise == "check"


def test_leaks_splits_and_metrics_compare_the_form():
    frame = pd.DataFrame({"smiles": ["CS(C)=O", "CCO", "C[S+](C)[O-]"], "split": ["train", "valid", "test"]})
    split = split_frame(frame, DataConfig(split="given"), "smiles")
    assert leakage(frame, split, ["smiles"], ["smiles"])["test"] == 1
    rings = [f"{'C' * size}{ring}" for size in range(1, 9) for ring in ("C1CCS1=O", "C1CC[S+]1[O-]")]
    smiles = pd.DataFrame({"smiles": rings})
    for way in ("group", "cold", "molecule", "scaffold"):
        made = split_frame(smiles, DataConfig(split=way, split_on="smiles"), "smiles", molecules=["smiles"])
        homes = {row: part for part, rows in made.parts.items() for row in rows.tolist()}
        assert all(homes[row] == homes[row + 1] for row in range(0, len(smiles), 2)), way
    answers = Answers(object_array(["CS(C)=O"]), object_array(["C[S+](C)[O-]"]))
    assert METRICS["molecule_match"].of(answers) == 1
