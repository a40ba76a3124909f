"""Infilling: what users can mark, what the model reads, which answers are allowed and the resulting texts."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.baselines.fit import baselines
from mammal.tasks.data import load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.infilling.marks import filled, marked, places
from mammal.tasks.kinds.build import build_task
from mammal.tasks.sequences.antibodies import cdr_h3, variable_domain
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

HEAVY = "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
LOOP, AFTER = "SRWGGDGFYAMDY", "WGQGTLVTVSS"


def denoising(tokenizer: Tokenizer, prompt: str, **generation: object) -> Task:
    declared = {"name": "t", "kind": "denoising", "prompt": {"input": prompt}, "generation": generation}
    return build_task(load_task(declared), tokenizer)


def shown(task: Task, row: dict[str, str]) -> str:
    """The values as the model reads them, between their tags."""
    prompt = task.render(row)
    return " ".join(prompt.input[slot.start : slot.end] for slot in prompt.slots)


def test_marks_and_places_say_the_same(tokenizer: Tokenizer):
    task = denoising(tokenizer, "{p:protein}")
    by_marks, by_places = {"p": "M__AYI_KQR"}, {"p": "MKTAYIAKQR", "hidden": "7; 2-3"}
    assert shown(task, by_marks) == shown(task, by_places) == "M<SENTINEL_ID_0>AYI<SENTINEL_ID_1>KQR"
    assert task.fill_lengths(by_marks) == task.fill_lengths(by_places) == [2, 1]
    assert task.encode(by_marks).input.ids_L.tolist() == task.encode(by_places).input.ids_L.tolist()


def test_training_hides_and_users_hide_in_the_same_way(tokenizer: Tokenizer):
    task = denoising(tokenizer, "{p:protein}")
    whole = task.encode({"p": "MKTAYIAKQR"}).input
    hidden_L = np.zeros(len(whole), dtype=bool)
    hidden_L[np.flatnonzero(whole.ids_L == tokenizer.token_id("K", "AA"))[0]] = True
    corrupted, _ = task.hide(whole, hidden_L)
    assert corrupted.ids_L.tolist() == task.encode({"p": "M_TAYIAKQR"}).input.ids_L.tolist()


def test_sentinels_of_the_template_are_not_used_again(tokenizer: Tokenizer):
    assert shown(denoising(tokenizer, "<SENTINEL_ID_0> {p:protein}"), {"p": "M_K"}) == "M<SENTINEL_ID_1>K"


def test_prompts_show_lengths_if_the_task_declares_it(tokenizer: Tokenizer):
    prompt = {"input": "{p:protein} {d:dna}", "target": "<SENTINEL_ID_0> {y:protein}"}
    declared = {"name": "t", "kind": "generation", "prompt": prompt, "infill": True}
    task = build_task(load_task({**declared, "infill_lengths": True}), tokenizer)
    row = {"p": "M___YI_KQR", "d": "AC__GT"}
    assert shown(task, row) == "M<SENTINEL_ID_0>XXXYI<SENTINEL_ID_1>XKQR AC<SENTINEL_ID_2>NNGT"
    assert shown(build_task(load_task(declared), tokenizer), row) == (
        "M<SENTINEL_ID_0>YI<SENTINEL_ID_1>KQR AC<SENTINEL_ID_2>GT"
    )
    given = task.encode(row)
    assert (given.input.ids_L == tokenizer.token_id("X", "AA")).sum() == 4
    with pytest.raises(TaskError, match=r"SMILES of column 's' has no letter"):
        molecules = {**declared, "infill_lengths": True, "prompt": {**prompt, "input": "{s:smiles}"}}
        build_task(load_task(molecules), tokenizer)
    with pytest.raises(TaskError, match="infill is false"):
        build_task(load_task({**declared, "infill": False, "infill_lengths": True}), tokenizer)


def test_several_sequences_each_have_their_places(tokenizer: Tokenizer):
    task = denoising(tokenizer, "{d:dna} {s:smiles}")
    row = {"d": "ACGTACG", "d_hidden": "2-3", "s": "CC(=O)_"}
    assert shown(task, row) == "A<SENTINEL_ID_0>TACG CC(=O)<SENTINEL_ID_1>"


def test_names_keep_their_underscores(tokenizer: Tokenizer):
    task = denoising(tokenizer, "{n:iupac}")
    assert task.fills == () and shown(task, {"n": "oct_ane"}) == "oct_ane"


@pytest.mark.parametrize(
    ("hidden", "what"),
    [
        ("9-12", "not a stretch of 10 characters"),
        ("0-3", "not a stretch of 10 characters"),
        ("5-3", "not a stretch of 10 characters"),
        ("2-4; 4-6", "overlap or touch"),
        ("2-4; 5", "overlap or touch"),
        ("two", "'two' is not a stretch"),
        (";", "names no place"),
    ],
)
def test_places_that_can_not_be_are_reported(hidden: str, what: str):
    with pytest.raises(DataError, match=what):
        places(hidden, 10, "hidden")


def test_a_stretch_does_not_cut_a_token_in_two(tokenizer: Tokenizer):
    task = denoising(tokenizer, "{s:smiles}")
    assert task.fill_lengths({"s": "CCCl", "hidden": "3-4"}) == [1], "one token, of two characters"
    with pytest.raises(DataError, match="cuts a token in two"):
        task.render({"s": "CCCl", "hidden": "4"})
    with pytest.raises(DataError, match="marks, and places"):
        task.render({"s": "CC_", "hidden": "1"})


def test_filling_is_the_way_back():
    text = "MKTAYIAKQR"
    spans = places("2-3; 7", len(text), "hidden")
    assert filled(marked(text, spans), ["KT", "A"]) == text
    assert filled("A__B_C", ["xyz"]) == "AxyzBC"


def walk(task: Task, row: dict[str, str], left: int, seed: int = 0) -> list[int]:
    """Random ids that the task's grammar allows."""
    grammar, rng, ids = task.grammar(), np.random.default_rng(seed), []
    assert grammar is not None
    state = task.grammar_start(grammar, row)
    for remaining in range(left, 0, -1):
        allowed = np.flatnonzero(grammar.mask(state, remaining))
        if not len(allowed):
            break
        column = int(rng.choice(allowed))
        ids.append(int(grammar.ids_V[column]))
        state = grammar.advance(state, column)
    return ids


@pytest.mark.parametrize("seed", range(5))
def test_answers_fill_every_stretch_as_long_as_asked(tokenizer: Tokenizer, seed: int):
    task = denoising(tokenizer, "{p:protein} {d:dna}", fill_length="marked")
    row = {"p": "MKT___YI", "d": "AC__T"}
    ids = walk(task, row, 20, seed)
    said = task.fill_in(task.decode_generated(ids, 0), ids, row)
    assert ids[-1] == tokenizer.eos_id and said.completed is not None and said.text is not None
    residues, bases = said.text.split(";")
    assert (len(residues), len(bases)) == (3, 2)
    assert said.completed == {"p": f"MKT{residues}YI", "d": f"AC{bases}T"}


def test_free_answers_end_in_time(tokenizer: Tokenizer):
    task = denoising(tokenizer, "{p:protein}")
    for left in (5, 6, 9):
        ids = walk(task, {"p": "M_K__R"}, left)
        assert len(ids) <= left and ids[-1] == tokenizer.eos_id
        assert all(task.fill_in(task.decode_generated(ids, 0), ids, {"p": "M_K__R"}).text.split(";"))


def test_answers_are_scored_among_what_training_scores(tokenizer: Tokenizer):
    for text in ("{p:protein}", "{d:dna}", "{s:smiles}"):
        task = denoising(tokenizer, text)
        assert set(task.grammar().ids_V.tolist()) >= set(task.candidates_V.tolist())


def test_a_molecule_must_be_whole_again(tokenizer: Tokenizer):
    task = denoising(tokenizer, "{s:smiles}")
    ids = {
        text: tokenizer.encode(f"<@TOKENIZER-TYPE=SMILES><SENTINEL_ID_0>{text}<EOS>").ids_L.tolist() for text in "O("
    }
    assert task.invalid_reason(ids["O"], {"s": "CC_C"}) is None
    assert "CC(C is not a molecule" in str(task.invalid_reason(ids["("], {"s": "CC_C"}))


def test_what_needs_the_grammar_says_so(tokenizer: Tokenizer):
    with pytest.raises(TaskError, match="fill_length"):
        denoising(tokenizer, "{p:protein}", fill_length="marked", constraint="alphabet")
    with pytest.raises(TaskError, match="keeps to no scaffold"):
        denoising(tokenizer, "{s:smiles}").grammar(scaffold="c1ccccc1*")


def test_cdr_h3_is_found_between_its_motifs():
    assert cdr_h3(HEAVY + LOOP + AFTER + "ASTKGPSVFPLAP") == (len(HEAVY), len(HEAVY + LOOP))
    start, end = cdr_h3(HEAVY + "ARVGGYYSWGNGIDY" + AFTER) or (0, 0)
    assert end - start == 15, "W-G-x-G within the loop"
    assert (
        cdr_h3(
            "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK"
        )
        is None
    )
    assert variable_domain("X" * 50 + HEAVY + LOOP + AFTER + "AST", 50 + len(HEAVY), 50 + len(HEAVY + LOOP))[1:] == (
        LOOP,
        AFTER,
    )


def test_a_row_that_hides_nothing_has_nothing_to_fill(tokenizer: Tokenizer):
    task = build_task(load_task("antibody_cdr_h3"), tokenizer)
    row = {"heavy": HEAVY + LOOP + AFTER, "cdr_h3": LOOP}
    for target in (False, True):
        with pytest.raises(DataError, match="hides nothing to fill in"):
            task.encode(row, target=target)
    assert task.encode({**row, "hidden": f"{len(HEAVY) + 1}-{len(HEAVY + LOOP)}"}, target=True).targets
    assert denoising(tokenizer, "{p:protein}").encode({"p": "MKTAYIAKQR"}, target=True).targets, "training hides"


def test_a_task_that_could_hide_nothing_does_not_fill_in(tokenizer: Tokenizer):
    declared = {"name": "t", "kind": "generation", "prompt": {"input": "{n:iupac}", "target": "{s:smiles}"}}
    with pytest.raises(TaskError, match="no sequence that could hide a part"):
        build_task(load_task({**declared, "infill": True}), tokenizer)


def test_the_profile_knows_the_length_and_no_more(tokenizer: Tokenizer):
    task = build_task(load_task("antibody_cdr_h3"), tokenizer)
    train = [{"heavy": "A", "cdr_h3": loop} for loop in ("ARDY", "ARGY", "TRDY", "ARGGFDY")]
    said = baselines(task, train, [{"heavy": "AC____WG"}, {"heavy": "AC_______WG"}, {"heavy": "AC______WG"}])["profile"]
    assert [prediction.text for prediction in said] == ["ARDY", "ARGGFDY", "ARGFDY"]


def test_recovery_counts_over_the_true_length(tokenizer: Tokenizer):
    task = build_task(load_task("antibody_cdr_h3"), tokenizer)
    rows = [{"heavy": "AC____WG", "cdr_h3": "ARDY"}] * 3
    said = [
        task.decode_generated(tokenizer.encode(f"<@TOKENIZER-TYPE=AA><SENTINEL_ID_0>{text}<EOS>").ids_L.tolist(), i)
        for i, text in enumerate(("ARDY", "AR", "ARGYWW"))
    ]
    found = task.metrics(said, rows)
    assert found["recovery"] == pytest.approx((1 + 0.5 + 0.75) / 3) and found["length_match"] == pytest.approx(1 / 3)


def test_what_is_learnt_before_holds_nothing_that_is_held_out(tmp_path: Path):
    loops = {"val": "ARDYYGSSYWYFDV", "test": LOOP}
    (tmp_path / "antibody_cdr_refinegnn").mkdir()
    for name, loop in loops.items():
        mask = "0" * len(HEAVY) + "3" * len(loop) + "0" * len(AFTER)
        rows = pd.DataFrame({"pdb": ["1abc"], "seq": [HEAVY + loop + AFTER], "cdr": [mask]})
        rows.to_csv(tmp_path / "antibody_cdr_refinegnn" / f"hcdr3_{name}.csv.gz", index=False)
    chains = {
        "same": HEAVY + LOOP + AFTER + "ASTKGPSV",
        "alike": HEAVY.replace("GFNIK", "GFTFS") + "SRWGGDGFYSMDY" + AFTER,
        "other": HEAVY + "AKDRGYTFDI" + AFTER,
        "light|VL": "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTI",
        "fused|VL": "DIQMTQSPSSL" + HEAVY + loops["val"] + AFTER + "GGGSGGGS" + HEAVY + "AKDRGYTFDI" + AFTER,
    }
    (tmp_path / "pretrain_proteins").mkdir()
    with gzip.open(tmp_path / "pretrain_proteins" / "antibodies_sabdab_covabdab.fasta.gz", "wt") as file:
        file.writelines(f">{name}\n{chain}\n" for name, chain in chains.items())
    frame = load_dataset(load_task("protein_denoising").data, {"data": str(tmp_path)})
    assert frame["id"].tolist() == ["other", "light|VL"] and list(frame) == ["sequence", "id"]

    residues = load_dataset(load_task("cdr_h3_residues").data, {"data": str(tmp_path)})
    assert residues["split"].tolist() == ["train", "valid", "test"] and residues["id"][0] == "other"
    hidden = ["AKDRGYTFDI", loops["val"], LOOP]
    assert residues["heavy"].tolist() == [f"{HEAVY}{'X' * len(loop)}{AFTER}" for loop in hidden]
    assert residues["cdr_h3"].tolist() == hidden


def test_no_held_out_loop_is_like_one_of_train(shared):
    from rapidfuzz.distance import Levenshtein

    frame = load_dataset(load_task("antibody_cdr_h3").data, {"data": str(shared / "data")})
    loops = {part: set(rows["cdr_h3"]) for part, rows in frame.groupby("split")}
    assert frame["split"].value_counts().to_dict() == {"train": 3672, "test": 437, "valid": 403}
    some = sorted(loops["test"])[::20]
    assert all(Levenshtein.normalized_similarity(a, b) < 0.6 for a in some for b in loops["train"])
    assert (frame["heavy"].str.count("_") == frame["cdr_h3"].str.len()).all()
