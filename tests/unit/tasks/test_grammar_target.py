"""Grammars of whole targets: tags in their places, each slot by its own grammar, within the remaining tokens."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from rdkit import Chem, RDLogger

from mammal.tasks.errors import TaskError
from mammal.tasks.grammar.grammar import Grammar
from mammal.tasks.grammar.scaffold import keeps_scaffold
from mammal.tasks.task import Task
from mammal.tokenization.errors import PromptError
from mammal.tokenization.variants import parse_variants

Make = Callable[..., Task]


def drawn(task: Task, grammar: Grammar, rng: np.random.Generator, left: int) -> list[int]:
    """Ids of a uniformly drawn target; fails where it does not end in time."""
    state, ids = grammar.start(), []
    while (mask_V := grammar.mask(state, left - len(ids))).any():
        assert not mask_V.flags.writeable
        column = int(rng.choice(np.flatnonzero(mask_V)))
        ids.append(int(grammar.ids_V[column]))
        state = grammar.advance(state, column)
        hash(state)
    assert ids[-1] == task.tokenizer.eos_id and len(ids) <= left
    return ids


def accepts(task: Task, grammar: Grammar, wire: str) -> bool:
    ids, state = task.tokenizer.encode(wire).ids_L.tolist(), grammar.start()
    for number, id in enumerate(ids):
        column = int(np.searchsorted(grammar.ids_V, id))
        if not grammar.mask(state, len(ids) - number)[column]:
            return False
        state = grammar.advance(state, column)
    return not grammar.mask(state, 99).any()


SLOTS = {
    "{y:protein}": r"[A-Z]+",
    "{y:digits}": r"[+-]?[0-9]+(\.[0-9]+)?",
    "{y:label}": r"[0-9]+",
    "{y:iupac}": r".+",
    "{y:dna}": r"[ACGTNRYSWKMBDHV\[\]/-]+",
}


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize("spare", [0, 1, 2, 12])
def test_each_slot_speaks_its_own_language(make: Make, slot: str, spare: int):
    task = make("generation", "{s:smiles}", f"<SENTINEL_ID_0> {slot} <SENTINEL_ID_1>")
    grammar = task.grammar()
    rng = np.random.default_rng(spare)
    for _ in range(10):
        ids = drawn(task, grammar, rng, grammar.least_new_tokens + spare)
        assert re.fullmatch(SLOTS[slot], task.decode_generated(ids, 0).text)
        assert task.tokenizer.token(ids[0]) == "<SENTINEL_ID_0>" and task.tokenizer.token(ids[-2]) == "<SENTINEL_ID_1>"


def test_variants_in_dna_are_well_formed(make: Make):
    task = make("generation", "{s:smiles}", "{y:dna}")
    grammar, rng = task.grammar(), np.random.default_rng(3)
    texts = [task.decode_generated(drawn(task, grammar, rng, 40), 0).text for _ in range(40)]
    assert any("/-]" in text or "[-/" in text for text in texts)
    for text in texts:
        parse_variants(text)
    for text, well_formed in {"AC[A/G]T[CTT/-]": True, "[A/C/G]": True, "AC[A/A]": False, "AC[-/-]": False}.items():
        wire = task.render({"s": "C", "y": "ACGT"}, target=True).target.replace("ACGT", text)
        assert accepts(task, grammar, wire) == well_formed
    with pytest.raises(PromptError):
        parse_variants("AC[-/-]")


def test_one_scalar_for_each_number_and_labels_by_their_codes(make: Make):
    target = "<SENTINEL_ID_0> {t:smiles} <SENTINEL_ID_1> {a:scalar} {b:scalar} {c:label}"
    task = make("generation", "{s:smiles}", target, labels=[f"class {i}" for i in range(12)])
    grammar, rng = task.grammar(), np.random.default_rng(1)
    for _ in range(20):
        ids = drawn(task, grammar, rng, grammar.least_new_tokens + 5)
        text = task.tokenizer.decode(ids)
        code = re.search(r"<SENTINEL_ID_1><SCALAR><SCALAR><([01])><([0-9])><EOS>$", text)
        assert code and int(code[1] + code[2]) < 12


def test_true_targets_are_accepted_and_others_are_not(make: Make):
    task = make("generation", "{s:smiles}", "<SENTINEL_ID_0> {t:smiles}")
    grammar = task.grammar()
    wire = task.render({"s": "C", "t": "c1ccccc1O"}, target=True).target
    assert accepts(task, grammar, wire)
    for other in (wire.replace("c1<", "c1(<"), wire.replace("_0", "_1")):
        assert not accepts(task, grammar, other)
    assert grammar.least_new_tokens == len(task.tokenizer.encode(wire.replace("Oc1ccccc1", "C")).ids_L)
    assert not grammar.mask(grammar.start(), grammar.least_new_tokens - 1).any()
    assert set(grammar.ids_V.tolist()) >= set(task.candidates_V.tolist()), "scored as in training"


def test_raw_templates_have_a_grammar_too(make: Make):
    wire = "<@TOKENIZER-TYPE=AA>"
    target = f"{wire}<SENTINEL_ID_0>{{a}}<SENTINEL_ID_1>CC{{b}}<EOS>"
    task = make("generation", f"{wire}{{s}}<EOS>", target, raw=True)
    ids = drawn(task, task.grammar(), np.random.default_rng(0), 12)
    assert re.fullmatch("<SENTINEL_ID_0>[A-Z]+<SENTINEL_ID_1>CC[A-Z]+<EOS>", task.tokenizer.decode(ids))


def test_slots_that_nothing_parts_have_no_grammar(make: Make):
    raw = make("generation", "<@TOKENIZER-TYPE=AA>{s}<EOS>", "<@TOKENIZER-TYPE=AA>{a}{b}<EOS>", raw=True)
    with pytest.raises(TaskError, match="no grammar follows"):
        raw.grammar()
    with pytest.raises(TaskError, match="without a tag"):
        make("generation", "{s:smiles}", "{a:digits} {b:digits}").grammar()


# Beginnings and scaffolds


@pytest.fixture
def design(make: Make) -> Task:
    return make("generation", "{s:smiles}", "<SENTINEL_ID_0> {t:smiles}")


def test_a_molecule_begins_with_what_is_asked(design: Task):
    grammar, rng = design.grammar(prefix="CC(=O)Nc1"), np.random.default_rng(0)
    for spare in range(10):
        text = design.decode_generated(drawn(design, grammar, rng, grammar.least_new_tokens + spare), 0).text
        assert text.startswith("CC(=O)Nc1") and Chem.MolFromSmiles(text) is not None


@pytest.mark.parametrize(
    "scaffold", ["c1ccc(*)cc1", "[*:1]C1CN([*:2])C(=O)/C1=C/*", "O=C1NC(=*)c2ccccc12", "*-c1nccc(-*)n1"]
)
def test_scaffolds_are_kept_whatever_is_generated(design: Task, scaffold: str):
    RDLogger.DisableLog("rdApp.*")
    grammar, rng = design.grammar(scaffold=scaffold), np.random.default_rng(4)
    texts = [
        design.decode_generated(drawn(design, grammar, rng, grammar.least_new_tokens + spare % 6), 0).text
        for spare in range(12)
    ]
    assert len(set(texts)) > 6
    valid = [text for text in texts if Chem.MolFromSmiles(text) is not None]
    assert len(valid) >= 11 and all(keeps_scaffold(text, scaffold) for text in valid)


def test_a_scaffold_that_is_not_kept_is_reported():
    for scaffold in ("c1ccc(*)cc1", "c1ccc([*:1])cc1", "[1*]c1ccccc1"):
        assert keeps_scaffold("Cc1ccccc1", scaffold) and not keeps_scaffold("CC1CCCCC1", scaffold)
    assert keeps_scaffold("[13CH3]c1ccccc1", "[13CH3]*") and not keeps_scaffold("Cc1ccccc1", "[13CH3]*")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"scaffold": "c1ccc(*cc1"}, "is not a molecule"),
        ({"scaffold": "CCO"}, "has no attachment point"),
        ({"scaffold": "C*C"}, "has 2 bonds"),
        ({"scaffold": "C[*+]"}, "has a charge or hydrogens"),
        ({"scaffold": "c1ccccc1[*H2]"}, "has a charge or hydrogens"),
        ({"scaffold": "C*", "prefix": "C"}, "give one of them"),
        ({"prefix": "C(C)(C)(C)(C)C"}, "'C' can't follow"),
    ],
)
def test_what_no_molecule_can_keep_to_is_refused(design: Task, asked: dict[str, str], message: str):
    with pytest.raises(TaskError, match=message):
        design.grammar(**asked)


def test_scaffolds_are_for_tasks_that_write_molecules(make: Make):
    with pytest.raises(TaskError, match="no answer of this task keeps a scaffold"):
        make("generation", "{s:smiles}", "{y:iupac}").grammar(scaffold="C*")


# The final check


def test_rdkit_has_the_last_word(design: Task):
    wire = design.render({"s": "C", "t": "c1ccccc1"}, target=True).target
    ids = design.tokenizer.encode(wire).ids_L.tolist()
    assert design.invalid_reason(ids) is None
    broken = design.tokenizer.encode(wire.replace("c1ccccc1", "c1cccc1")).ids_L.tolist()
    assert "c1cccc1" in design.invalid_reason(broken)
    empty = design.tokenizer.encode(wire.replace("c1ccccc1", "")).ids_L.tolist()
    assert design.invalid_reason(empty) == "there is no molecule in it"


def test_texts_other_than_molecules_are_valid_as_they_are(make: Make):
    task = make("generation", "{s:smiles}", "{y:protein}")
    ids = task.tokenizer.encode(task.render({"s": "C", "y": "MKT"}, target=True).target).ids_L.tolist()
    assert task.invalid_reason(ids) is None
