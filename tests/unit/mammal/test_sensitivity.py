"""Changes that should not affect a prediction, and the similarity of a row to the training data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mammal.evaluation.sensitivity import sensitivity
from mammal.tasks import perturbations as changes
from mammal.tasks.baselines.similarity import TrainingSimilarity
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.kinds.build import build_task
from mammal.tasks.molecules.chemistry import canonical_or_none
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


@pytest.fixture(scope="module")
def make() -> Callable[..., Task]:
    tokenizer = Tokenizer.load(None)

    def make_task(kind: str, input: str, target: str, **declared: Any) -> Task:
        mode = "encoder" if kind == "regression" else "decoder"
        prompt = {"input": input, "target": target}
        return build_task(load_task({"name": "t", "kind": kind, "mode": mode, "prompt": prompt, **declared}), tokenizer)

    return make_task


def answering(monkeypatch: pytest.MonkeyPatch, of: Callable[[dict], Prediction]) -> None:
    """Stand in for the model: each row's answer is a function of its prompt."""

    def predict_rows(model: object, task: Task, rows: Sequence[dict]) -> list[Prediction]:
        return [of(task.prepare(row)) for row in rows]

    monkeypatch.setattr("mammal.inference.predict.predict_rows", predict_rows)


def test_changes_keep_or_make_the_molecule_they_name():
    other = changes.another_order(ASPIRIN)
    assert other not in (None, ASPIRIN) and canonical_or_none(other) == canonical_or_none(ASPIRIN)
    assert changes.with_counter_ion("CCN") == "CCN.Cl" and changes.with_counter_ion("CCN.Cl") is None
    assert changes.largest_fragment("CCCN.Cl") == "CCCN" and changes.largest_fragment("CCCN") is None
    assert changes.neutral("CC(=O)[O-]") == "CC(=O)O" and changes.neutral("C[N+](=O)[O-]") is None
    assert changes.canonical_tautomer("Oc1ccccn1") == "O=c1cccc[nH]1"
    assert changes.deprotonated("NCCC(=O)O") == "NCCC(=O)[O-]" and changes.deprotonated("CCO") is None
    assert changes.protonated("CN(C)CCC") == "CCC[NH+](C)C" and changes.protonated("CC(N)=O") is None
    assert changes.protonated("NC(N)=NCC") == "CC[NH+]=C(N)N", "the nitrogen with the double bond"
    assert changes.another_tautomer("Oc1ccccn1") == "O=c1cccc[nH]1" and changes.another_tautomer("CCO") is None
    assert changes.another_tautomer("O=c1cccc[nH]1") == "Oc1ccccn1"
    assert changes.with_carbon_13("CCO") == "[13CH3]CO" and changes.with_carbon_13("O") is None
    assert changes.without_isotopes("[13CH3]CO") == "CCO" and changes.without_isotopes("CCO") is None
    assert changes.without_stereo("C[C@H](N)O") == "CC(N)O" and changes.without_stereo("CC(N)O") is None
    assert all(change("C1CC") is None for change in changes._CHANGES.values())


def test_shifts_are_measured_over_the_rows_that_changed(make, monkeypatch: pytest.MonkeyPatch):
    task = make("regression", "<MASK> {s:smiles}", "{y:scalar}", data={"columns": {"s": "structure"}})
    answering(monkeypatch, lambda cells: Prediction(0, value=float(len(cells["s"]))))
    rows = [{"structure": "CCCN.Cl"}, {"structure": "CCCN"}, {"structure": ASPIRIN}]
    ours = [Prediction(i, value=float(len(task.prepare(row)["s"]))) for i, row in enumerate(rows)]
    found = {shift.change: shift for shift in sensitivity(None, task, rows, ours, limit=10)}
    assert found["salt stripped"].changed == 1 and found["salt stripped"].moved == len(".Cl")
    assert found["counter-ion"].changed == 2 and found["counter-ion"].furthest == len(".Cl")
    order = found["smiles order"]
    assert order.changed >= 2 and order.read_differently == 0 and order.moved == 0, "the task reads canonical SMILES"
    assert np.isnan(found["neutral"].moved) and found["neutral"].changed == 0
    assert found["carbon-13"].changed == 3 and found["carbon-13"].moved == len("[13H3]")


def test_only_rows_that_the_model_reads_differently_are_predicted_again(make, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def answer(cells: dict) -> Prediction:
        asked.append(cells["s"])
        return Prediction(0, value=float(len(cells["s"])))

    policy = {"salts": "parent", "charges": "neutral", "isotopes": "remove", "tautomers": "canonical"}
    task = make("regression", "<MASK> {s:smiles}", "{y:scalar}", standardise=policy)
    answering(monkeypatch, answer)
    rows = [{"s": ASPIRIN}, {"s": "NCCC(=O)O"}, {"s": "Oc1ccccn1"}, {"s": "C[C@H](O)CC"}]
    ours = [Prediction(i, value=float(len(task.prepare(row)["s"]))) for i, row in enumerate(rows)]
    found = {shift.change: shift for shift in sensitivity(None, task, rows, ours, limit=10)}
    undone = ("counter-ion", "deprotonated", "protonated", "tautomer", "another tautomer", "carbon-13", "smiles order")
    assert all(found[name].changed and found[name].moved == found[name].p95 == 0 for name in undone)
    assert found["stereo removed"].read_differently == 1 and asked == ["CCC(C)O"]


def test_flipped_labels_and_swapped_sides(make, monkeypatch: pytest.MonkeyPatch):
    task = make("classification", "{a:protein} {b:protein}", "{y:label}", labels=["0", "1"])

    def answer(cells: dict) -> Prediction:
        positive = 0.9 if cells["a"] < cells["b"] else 0.2
        return Prediction(0, value=positive, label=str(int(positive > 0.5)), probability=positive)

    answering(monkeypatch, answer)
    rows = [{"a": "ACDEF", "b": "GHIKL"}, {"a": "MNPQR", "b": "MNPQR"}]
    (swap,) = sensitivity(None, task, rows, [answer(row) for row in rows], limit=10)
    assert (swap.change, swap.rows, swap.changed) == ("swapped", 2, 1)
    assert swap.moved == pytest.approx(0.7) and swap.flipped == 1


def test_the_other_strand_is_tried_of_every_dna_task(make, monkeypatch: pytest.MonkeyPatch):
    task = make("regression", "<MASK> {d:dna}", "{y:scalar}")
    answering(monkeypatch, lambda cells: Prediction(0, value=float(cells["d"].index("["))))
    rows = [{"d": "ACGGG[A/T]TC"}, {"d": "AC[A/T]GT"}]
    (shift,) = sensitivity(None, task, rows, [Prediction(0, value=5.0), Prediction(1, value=2.0)], limit=10)
    assert (shift.change, shift.rows, shift.changed) == ("reverse complement", 2, 2)
    assert shift.read_differently == 2 and shift.moved == 1.5 and shift.furthest == 3
    assert shift.p95 == pytest.approx(0.95 * 3)


def test_a_task_without_molecules_or_equal_sides_has_nothing_to_change(make):
    task = make("regression", "<MASK> {p:protein} {h:antibody_heavy}", "{y:scalar}")
    assert changes.perturbations(task) == {}
    mutants = make("regression", "<MASK> {a:protein_chain} {b:protein_chain} {m:mutated_chain}", "{y:scalar}")
    assert changes.perturbations(mutants) == {}, "the mutant is one of b"
    assert sensitivity(None, task, [{"p": "ACDEF", "h": "ACDEF"}], [Prediction(0, value=1.0)], limit=5) == []


def test_similarity_is_that_of_the_most_foreign_column(make):
    task = make("regression", "<MASK> {s:smiles} {p:protein}", "{y:scalar}")
    train = [{"s": ASPIRIN, "p": "MKTAYIAKQRQISFVKSHFSRQ"}, {"s": "CCO", "p": "GLWSKIKEVGKEAAKAAAKA"}]
    asked = [
        {"s": "OC(=O)c1ccccc1OC(C)=O", "p": "GLWSKIKEVGKEAAKAAAKA"},
        {"s": ASPIRIN, "p": "WWWWWYYYYYWWWWW"},
        {"s": "C1CC", "p": "GLWSKIKEVGKEAAKAAAKA"},
    ]
    near, far, unreadable = TrainingSimilarity.fit(task, train).similarity(task, asked)
    assert near == 1 and far < 0.1 and np.isnan(unreadable)


def test_each_other_view_is_a_line_over_the_rows_that_have_it(make, monkeypatch: pytest.MonkeyPatch):
    task = make("regression", "<MASK> {mol:molecule}", "{y:scalar}")
    answering(monkeypatch, lambda cells: Prediction(0, value=float(len(cells["mol"]))))
    rows = [{"smiles": "CCO", "iupac": "ethanol"}, {"smiles": "CO", "iupac": None}, {"smiles": "", "iupac": "phenol"}]
    ours = [Prediction(i, value=float(len(task.prepare(row)["mol"]))) for i, row in enumerate(rows)]
    found = {shift.change: shift for shift in sensitivity(None, task, rows, ours, limit=10)}
    name, drawn = found["view iupac"], found["view random_smiles"]
    assert (name.rows, name.changed, name.read_differently, name.moved) == (3, 1, 1, len("ethanol") - len("CCO"))
    assert drawn.changed == 2 and drawn.refused == 0


def test_a_molecule_that_only_a_probe_reads_counts_as_read(make, monkeypatch: pytest.MonkeyPatch):
    views = {"mol": ["iupac", "smiles"]}
    task = make("regression", "<MASK> {mol:molecule}", "{y:scalar}", views=views)
    answering(monkeypatch, lambda cells: Prediction(0, value=1.0))
    rows = [{"smiles": "CCO", "iupac": "ethanol"}]

    def read_differently() -> int:
        found = sensitivity(None, task, rows, [Prediction(0, value=0.0)], limit=10)
        return next(shift.read_differently for shift in found if shift.change == "carbon-13")

    assert read_differently() == 0, "the prompt shows the name"
    monkeypatch.setattr("mammal.evaluation.sensitivity._other_views", lambda task: ())
    reader = SimpleNamespace(texts=lambda row: (task.text_if_any(row, "smiles"),))
    monkeypatch.setattr(task, "probes", SimpleNamespace(reader=reader))
    assert read_differently() == 1
