"""Conditions: given, computed, withheld at a given rate, and scaled; the prompt without conditions for guidance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mammal.tasks.batches.token_batches import encode_rows
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.molecules.properties import PROPERTIES, compute
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer
from mammal.tokenization.template import Template

ROWS = [
    {"smiles": s, "p": "MK"}
    for s in ("CCO", "CC(=O)Nc1ccc(O)cc1", "c1ccccc1CC", "OCC(O)CO", "CCCCCCCC", "CN1CCC[C@H]1C")
]
INPUT = "<SENTINEL_ID_1>{logp:scalar} <SENTINEL_ID_2>{p:protein} <SENTINEL_ID_0>"


@pytest.fixture
def make(tokenizer: Tokenizer) -> Callable[..., Task]:
    def made(**conditions: Any) -> Task:
        declared = {
            "name": "asked",
            "kind": "generation",
            "prompt": {"input": INPUT, "target": "<SENTINEL_ID_0> {smiles:smiles}"},
            "conditions": {"columns": ["logp", "p"], "of": "smiles", **conditions},
        }
        return build_task(load_task(declared), tokenizer)

    return made


@pytest.fixture
def asked(make: Callable[..., Task]) -> Task:
    task = make()
    task.fit(ROWS)
    return task


def test_what_a_row_does_not_give_is_a_mask_in_its_place(asked: Task):
    wire = asked.render({"logp": "2.5"}).input
    assert wire.count("<MASK>") == 1 and "<SEQUENCE_NATURAL_START><MASK><SEQUENCE_NATURAL_END>" in wire
    nothing, full = asked.encode({}).input, asked.encode({"logp": 2.5, "p": "M"}).input
    assert asked.render({}).input.count("<MASK>") == 2
    assert len(nothing) == len(full), "a masked number takes the one place that a number has"
    assert full.has_value_L.sum() == 1 and nothing.has_value_L.sum() == 0


def test_numbers_are_standardised_by_the_training_rows_and_the_scale_travels(asked: Task, make: Callable[..., Task]):
    known = [compute(row["smiles"], "logp") for row in ROWS]
    expected = (2.5 - np.mean(known)) / np.std(known)
    encoding = asked.encode({"logp": 2.5}).input
    assert encoding.values_L[encoding.has_value_L] == pytest.approx([expected], rel=1e-5)
    other = make()
    other.load_state(asked.state())
    assert other.render({"logp": 2.5}).input == asked.render({"logp": 2.5}).input


def test_properties_are_computed_from_the_molecule_unless_they_are_given(asked: Task):
    assert asked.steering.asked({"smiles": "CCO"}) == {"logp": pytest.approx(compute("CCO", "logp"))}
    assert asked.steering.asked({"smiles": "CCO", "logp": "7"}) == {"logp": 7.0}
    assert asked.steering.asked({}) == {}


def test_training_withholds_at_the_declared_rates_and_anew_in_each_epoch(make: Callable[..., Task]):
    task = make(drop=0.25, drop_all=0.2)
    rows = [{"smiles": "CCO", "logp": "1", "p": "MK"}] * 2000
    task.fit(ROWS)

    def masks() -> np.ndarray:
        examples, errors = encode_rows(task, rows, drawn=True)
        assert not errors
        return np.array([(e.input.ids_L == task.tokenizer.mask_id).sum() for e in examples])

    first, again = masks(), masks()
    assert (first == again).all(), "one epoch draws once"
    none, both = 0.8 * 0.75**2, 0.2 + 0.8 * 0.25**2
    assert np.mean(first == 0) == pytest.approx(none, abs=0.04) and np.mean(first == 2) == pytest.approx(both, abs=0.04)
    task.epoch = 1
    assert (masks() != first).any()
    assert task.varies and task.draws
    assert task.render(rows[0]).input.count("<MASK>") == 0, "outside training nothing is withheld"


def test_guidance_reads_rows_without_their_conditions(asked: Task):
    rows = [{"logp": "1", "p": "MK"}, {"logp": "2"}]
    (first, second), errors = encode_rows(asked, rows, withheld=True)
    assert not errors and first.input.ids_L.tolist() == second.input.ids_L.tolist()
    assert (first.input.ids_L == asked.tokenizer.mask_id).sum() == 2


def test_conditions_are_not_needed_and_name_no_row(asked: Task):
    assert asked.needed == [] and asked.columns == ["p", "logp"] and asked.beside == ["smiles"]
    assert asked.conditions == ("logp", "p")


def test_a_cell_that_is_no_number_sets_its_row_aside(asked: Task):
    with pytest.raises(DataError, match="not a number"):
        asked.render({"logp": "much"})


def test_a_condition_that_no_training_row_has_is_refused(make: Callable[..., Task]):
    with pytest.raises(TaskError, match="no training row has the condition 'p'") as refused:
        make().fit([{"smiles": "CCO", "protein": "MK"}, {"smiles": "CC", "protein": "MK"}])
    assert "protein, smiles" in str(refused.value.hint)
    with pytest.raises(TaskError, match="no training row has the condition 'logp'"):
        make(of=None).fit([{"p": "MK", "logp": "much"}])
    make().fit([{"smiles": "CCO", "p": ""}, {"smiles": "CC", "p": "MK"}])


def test_what_is_withheld_is_not_computed(make: Callable[..., Task], monkeypatch: pytest.MonkeyPatch):
    task = make(drop_all=1.0)
    task.fit(ROWS)

    def computed(smiles: str, names: object) -> tuple[float, ...]:
        raise AssertionError("a property takes milliseconds")

    monkeypatch.setattr("mammal.tasks.prompts.conditions.compute_all", computed)
    examples, errors = encode_rows(task, ROWS, drawn=True)
    assert len(examples) == len(ROWS) and not errors
    assert task.render(ROWS[0], withheld=True).input.count("<MASK>") == 2


@pytest.mark.parametrize(
    ("wrong", "reported"),
    [
        ({"columns": ["logP"]}, "logp"),
        ({"drop": 1.5}, "share"),
        ({"of": "smile"}, "smiles"),
        ({"of": "p"}, "holds no molecules"),
    ],
)
def test_a_wrong_declaration_is_refused(make: Callable[..., Task], wrong: dict[str, Any], reported: str):
    with pytest.raises(TaskError) as refused:
        make(**wrong)
    assert reported in f"{refused.value.what} {refused.value.hint}"


def test_only_numbers_and_sequences_of_an_input_can_be_withheld():
    template = Template("<SENTINEL_ID_1>{x:scalar} {s:smiles}", "{y:digits}")
    wire = template.render({"y": "1"}, target=True, absent={"x", "s"})
    assert wire.input.count("<MASK>") == 2 and wire.slots[0].column == "y"


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_property_has_a_number(name: str):
    assert np.isfinite(compute("CC(=O)Nc1ccc(O)cc1", name))


def test_an_unknown_property_and_no_molecule_are_reported():
    with pytest.raises(TaskError, match="logD") as unknown:
        compute("CCO", "logD")
    assert "logp" in str(unknown.value.hint)
    with pytest.raises(DataError, match="not a molecule"):
        compute("C1CC", "logp")
