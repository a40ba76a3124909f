"""The policy by which a task standardises molecules: its steps, its limit, its declaration, and what is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mammal.errors import TaskError
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import stored_config
from mammal.tasks.kinds.build import build_task
from mammal.tasks.molecules import policy as policies
from mammal.tasks.molecules.chemistry import forget_molecules, standardise, standardised
from mammal.tasks.molecules.policy import POLICY_VALUES, Policy, normalises, policy_words
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

EVERYTHING = Policy("parent", "neutral", "remove", "remove", "canonical")
HEXAPEPTIDE = "N" + "C(C)C(=O)N" * 6 + "CC(=O)O"


@pytest.fixture(scope="module")
def make() -> Callable[..., Task]:
    tokenizer = Tokenizer.load(None)

    def make_task(input: str = "<MASK> {s:smiles}", **declared: Any) -> Task:
        prompt = {"input": input, "target": "{y:scalar}"}
        return build_task(
            load_task({"name": "t", "kind": "regression", "mode": "encoder", "prompt": prompt, **declared}), tokenizer
        )

    return make_task


@pytest.mark.parametrize(
    ("smiles", "how", "text", "changes"),
    [
        ("OCC", Policy(), "CCO", ""),
        ("C[S+]([O-])C", Policy(), "CS(C)=O", "groups normalised"),
        ("NCCC.Cl", Policy(salts="parent"), "CCCN", "salt removed"),
        ("NCCC.Cl", Policy(charges="neutral"), "CCCN.Cl", ""),
        ("OS(=O)(=O)O.CCN", Policy(salts="parent"), "CCN", "salt removed"),
        ("CC(=O)[O-]", Policy(charges="neutral"), "CC(=O)O", "charge neutralised"),
        ("C[N+](C)(C)C", Policy(charges="neutral"), "C[N+](C)(C)C", ""),
        ("[Na+].[O-]C(=O)C", EVERYTHING, "CC(=O)O", "salt removed; charge neutralised"),
        ("[2H]OC", Policy(isotopes="remove"), "CO", "isotopes removed"),
        ("C[C@H](N)C(=O)O", Policy(stereo="remove"), "CC(N)C(=O)O", "stereo removed"),
        ("C/C=C/C", Policy(stereo="remove"), "CC=CC", "stereo removed"),
        ("Oc1ccccn1", Policy(tautomers="canonical"), "O=c1cccc[nH]1", "tautomer changed"),
        ("C[C@H](N)C(=O)O", Policy(tautomers="canonical"), "C[C@H](N)C(=O)O", ""),
    ],
)
def test_each_step_changes_what_it_names_and_reports_it(smiles: str, how: Policy, text: str, changes: str):
    assert standardised(smiles, how) == (text, changes)
    assert standardise(smiles, how) == text and standardised(text, how) == (text, "")


@pytest.mark.parametrize("ion", sorted(policies.COUNTER_IONS))
def test_a_counter_ion_of_drugs_is_not_taken_for_the_drug(ion: str):
    """RDKit 2026.09.1 knows none of them and takes the larger fragment as the parent."""
    written = policies.COUNTER_IONS[ion].replace("[B]", "[B-]")
    assert standardised(f"CCNC.{written}", Policy(salts="parent")).text == "CCNC"
    alone = standardised(f"{written}.[Na+]", Policy(salts="parent"))
    assert "Na" not in alone.text and alone.text == standardise(written, "canonical")


def test_a_policy_without_steps_is_the_default():
    for smiles in ("CS(C)=O", "C[N-][N+]#N", "[Na+].[O-]C(=O)C", "[13CH3][C@H](N)C(=O)O", "Oc1ccccn1"):
        assert standardised(smiles, Policy()) == standardised(smiles, "normalised")
    assert standardised("OCC", "check") == ("OCC", "") and standardised("OCC", "canonical") == ("CCO", "")


def test_a_molecule_with_too_many_tautomers_keeps_its_own_and_says_so(monkeypatch: pytest.MonkeyPatch):
    kept = standardise(HEXAPEPTIDE, Policy())
    assert standardised(HEXAPEPTIDE, EVERYTHING) == (kept, "tautomer kept (limit reached)")
    forget_molecules()
    monkeypatch.setattr(policies, "MOST_TAUTOMER_ATOMS", 6)
    assert standardised("Oc1ccccn1", EVERYTHING) == ("Oc1ccccn1", "tautomer kept (limit reached)")
    forget_molecules()


def test_a_step_that_rdkit_refuses_is_left_out_and_reported(monkeypatch: pytest.MonkeyPatch):
    def refuse(molecule: object) -> None:
        raise RuntimeError("Pre-condition Violation")

    monkeypatch.setitem(policies.STEPS, "charges", policies._step("charges", refuse, bool))
    forget_molecules()
    assert standardised("CC(=O)[O-].[Na+]", EVERYTHING) == (
        "CC(=O)[O-]",
        "salt removed; charges kept (RDKit can't process them)",
    )
    forget_molecules()


def test_a_bundle_stores_every_key_of_a_policy_and_present_values_as_they_were():
    declared = {
        "name": "t",
        "kind": "regression",
        "mode": "encoder",
        "prompt": {"input": "{s:smiles}", "target": "{y}"},
    }
    stored = stored_config(load_task({**declared, "standardise": {"salts": "parent"}}))["standardise"]
    assert list(stored) == list(POLICY_VALUES)
    assert {key for key, value in stored.items() if value != "keep"} == {"salts"}
    assert load_task(yaml.safe_load(yaml.safe_dump({**declared, "standardise": stored}))).standardise == stored
    assert policy_words(stored) == "normalised, salts: parent" and normalises(stored)
    for value in ("off", "check", "canonical", "normalised"):
        assert stored_config(load_task({**declared, "standardise": value}))["standardise"] == value
    assert load_task({**declared, "standardise": stored}, {"standardise": {"charges": "neutral"}}).standardise == {
        **stored,
        "charges": "neutral",
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"salt": "parent"}, r"unknown key 'standardise.salt'.*salts"),
        ({"salts": "parents"}, r"standardise.salts is 'parents'.*parent"),
        ({"salts": True}, r"standardise.salts is True.*parent"),
        ("canonicl", "standardise is 'canonicl'.*canonical"),
        (False, 'standardise is False.*"off" with quotes'),
    ],
)
def test_mistakes_get_the_nearest_name(value: object, message: str, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    prompt = {"input": "{s:smiles}", "target": "{y:scalar}"}
    declared = {"name": "t", "kind": "regression", "mode": "encoder", "prompt": prompt, "standardise": value}
    file.write_text(yaml.safe_dump(declared), encoding="utf-8")
    with pytest.raises(TaskError, match=message):
        load_task(file)


def test_prompts_features_and_views_read_the_same_molecule(make):
    steps = {"salts": "parent", "charges": "neutral"}
    task = make("<MASK> {s:smiles}", standardise=steps, views={"s": ["smiles", "random_smiles"]})
    row = {"s": "[Na+].[O-]C(=O)C"}
    assert task.prepare(row) == {"s": "CC(=O)O"} and task.inputs(row) == {"s": "CC(=O)O"}
    assert "Na" not in "".join(task.show(row, drawn_for=number)["s"].text for number in range(8))
    assert task.molecules_read(row) == {"s": ("CC(=O)O", "salt removed; charge neutralised")}


def test_what_is_read_of_each_molecule_slot_of_a_prompt(make):
    task = make("<MASK> {mol:molecule} {other:smiles} {p:protein}", data={"columns": {"mol.iupac": "name"}})
    assert task.molecule_slots == ["mol", "other"]
    rows = {"name": "ethanol", "smiles": "", "other": "OC", "p": "ACD"}
    read = task.molecules_read(rows)
    assert read["mol"] == ("ethanol", "") and read["other"] == ("CO", "")
    assert make("<MASK> {p:protein}").molecule_slots == []


def test_a_molecule_with_hidden_stretches_is_shown_as_it_was_given():
    declared = {"name": "t", "kind": "denoising", "mode": "decoder", "prompt": {"input": "{s:smiles}"}}
    task = build_task(load_task({**declared, "standardise": {"salts": "parent"}}), Tokenizer.load(None))
    assert task.molecules_read({"s": "OC____CO.Cl"})["s"] == ("OC____CO.Cl", "")
    assert task.molecules_read({"s": "OCCO.Cl"})["s"] == ("OCCO", "salt removed")
