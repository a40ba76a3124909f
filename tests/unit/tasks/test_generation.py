from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammal.tasks.batches.batch import ModelOutput
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.kinds.denoising import noise_mask
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

Make = Callable[..., Task]


@pytest.fixture
def naming(make: Make) -> Task:
    return make(
        "generation", "{iupac:iupac} <SENTINEL_ID_0>", "<SENTINEL_ID_0> {smiles:smiles}", metrics=["molecule_match"]
    )


def ids_of(task: Task, text: str | None) -> list[int]:
    return task.tokenizer.encode(str(text)).ids_L.tolist()


def test_the_target_is_learned_token_by_token(naming: Task):
    row = {"iupac": "ethanol", "smiles": "OCC"}
    batch = naming.collate([naming.encode(row, target=True)])
    wire = naming.render(row, target=True).target
    assert batch.labels_DR[0].tolist() == ids_of(naming, wire)
    assert batch.decoder_ids_DT[0, 1:].tolist() == batch.labels_DR[0, :-1].tolist()
    assert "CCO" in wire, "target molecules are standardised like input ones"


def test_the_head_is_kept_to_tokens_the_target_can_hold(naming: Task):
    candidates = set(naming.candidates_V.tolist())
    tokenizer = naming.tokenizer
    assert set(tokenizer.alphabet_ids("SMILES").tolist()) < candidates
    assert {tokenizer.eos_id, tokenizer.specials["<SENTINEL_ID_0>"]} < candidates
    assert not candidates & set(tokenizer.alphabet_ids("IUPAC").tolist())
    example = naming.encode({"iupac": "ethanol", "smiles": "OCC"}, target=True)
    assert set(example.targets[0].ids_T.tolist()) <= candidates


def test_scoring_every_token_can_be_asked_for(make: Make):
    task = make("generation", "{s:smiles}", "{t:smiles}", generation={"constraint": "none"})
    assert task.candidates_V is None


def test_generated_ids_become_text_without_tags(naming: Task):
    row = {"iupac": "ethanol", "smiles": "CCO"}
    ids = ids_of(naming, naming.render(row, target=True).target)
    prediction = naming.decode_generated([*ids, naming.tokenizer.pad_id, 44], 3, score=-1.5)
    assert (prediction.row_id, prediction.text, prediction.score) == (3, "CCO", -1.5)
    assert naming.metrics([prediction], [{"iupac": "x", "smiles": "OCC"}]) == {"molecule_match": 1.0}


def test_blanks_around_an_answer_are_none_of_it(naming: Task):
    blank, end = naming.tokenizer.token_id(" ", "SMILES"), naming.tokenizer.eos_id
    ids = ids_of(naming, "<@TOKENIZER-TYPE=SMILES>CCO<EOS>")[:-1]
    said = naming.decode_generated([blank, *ids, blank, blank, end], 0)
    assert said.text == "CCO"
    assert naming.metrics([said], [{"iupac": "x", "smiles": "CCO"}]) == {"molecule_match": 1.0}


def test_a_row_whose_truth_cannot_be_read_is_not_judged(naming: Task):
    said = [Prediction(0, text="CCO"), Prediction(1, text="CCO")]
    assert naming.metrics(said, [{"smiles": "OCC"}, {"smiles": "CC("}]) == {"molecule_match": 1.0}


@pytest.mark.parametrize("raw", [False, True])
def test_an_empty_answer_does_not_shift_the_ones_behind_it(make: Make, raw: bool):
    if raw:
        wire = "<@TOKENIZER-TYPE=AA>"
        target = wire + "".join(f"<SENTINEL_ID_{n}>{{{column}}}" for n, column in enumerate("abc")) + "<EOS>"
        task = make("generation", f"{wire}{{s}}<EOS>", target, raw=True)
    else:
        task = make("generation", "{s:AA}", "<SENTINEL_ID_0>{a:AA}<SENTINEL_ID_1>{b:AA}<SENTINEL_ID_2>{c:AA}")
    order = "<SENTINEL_ID_0>AC<SENTINEL_ID_1><SENTINEL_ID_2>GH<SENTINEL_ID_2>WW<SENTINEL_ID_9>YY<EOS>"
    said = task.decode_generated(ids_of(task, f"<@TOKENIZER-TYPE=AA>{order}"), 0)
    assert [said.for_target(column).text for column in "abc"] == ["AC", "", "GH"]
    swapped = "<SENTINEL_ID_2>GH<SENTINEL_ID_0>AC<EOS>"
    said = task.decode_generated(ids_of(task, f"<@TOKENIZER-TYPE=AA>{swapped}"), 0)
    assert [said.for_target(column).text for column in "abc"] == ["AC", "", "GH"]


def test_an_empty_text_keeps_its_place(make: Make):
    target = "<@TOKENIZER-TYPE=SMILES><SENTINEL_ID_0>{a}<SENTINEL_ID_0>{b}<EOS>"
    task = make("generation", "<@TOKENIZER-TYPE=AA>{p}<EOS>", target, raw=True, generation={"constraint": "alphabet"})

    def said(a: str, b: str) -> list[str | None]:
        ids = ids_of(task, target.format(a=a, b=b))
        prediction = task.decode_generated(ids, 0)
        return [prediction.for_target(column).text for column in "ab"]

    assert said("CCO", "N") == ["CCO", "N"]
    assert said("", "N") == ["", "N"] and said("CCO", "") == ["CCO", ""], "one sentinel for both tells nothing"
    cut = ids_of(task, "<@TOKENIZER-TYPE=SMILES><SENTINEL_ID_0>CCO<EOS>")
    assert task.decode_generated(cut, 0).for_target("a").text == "CCO"


def test_several_targets_are_distinguished(make: Make):
    task = make("generation", "{p:protein}", "<SENTINEL_ID_0> {a:AA} <SENTINEL_ID_1> {b:AA}", metrics=["exact_match"])
    wire = task.render({"p": "MKT", "a": "ACD", "b": "GG"}, target=True).target
    prediction = task.decode_generated(ids_of(task, wire), 0)
    assert prediction.for_target("a").text == "ACD" and prediction.for_target("b").text == "GG"
    assert task.metrics([prediction], [{"p": "MKT", "a": "ACD", "b": "GH"}])["exact_match/a"] == 1.0


def test_digits_are_characters_of_the_answer(make: Make):
    task = make("generation", "{s:smiles}", "<SENTINEL_ID_0> {y:digits}", metrics=["exact_match"])
    prediction = task.decode_generated(ids_of(task, task.render({"s": "C", "y": "-2.5"}, target=True).target), 0)
    assert prediction.text == "-2.5"


def test_numbers_among_generated_tokens_are_values_of_the_decoder(make: Make):
    task = make("generation", "{s:smiles}", "<SENTINEL_ID_0> {y:scalar}", scale={"mean": 0.0, "std": 1.0})
    batch = task.collate([task.encode({"s": "C", "y": "2.5"}, target=True)])
    assert batch.wants == ("logits", "values")
    assert batch.label_values_DR[~torch.isnan(batch.label_values_DR)].tolist() == [2.5]
    steps, width = batch.labels_DR.shape[1], len(batch.candidates_V)
    output = ModelOutput(logits_DRV=torch.zeros(1, steps, width), values_DR=torch.full((1, steps), 1.5))
    assert float(task.loss(output, batch)) == pytest.approx(np.log(width) + 1.0, rel=1e-6)


def test_generated_numbers_come_back_in_the_unit_of_the_file(make: Make):
    target = "<SENTINEL_ID_0> {t:smiles} <SENTINEL_ID_1> {a:scalar} {b:scalar}"
    task = make("generation", "{s:smiles}", target, metrics=["exact_match", "mae"])
    rows = [{"s": "C", "t": "CCO", "a": "100", "b": "1"}, {"s": "N", "t": "N", "a": "300", "b": "5"}]
    with pytest.raises(TaskError, match="not known yet"):
        task.encode(rows[0], target=True)
    task.fit(rows)
    batch = task.collate([task.encode(rows[0], target=True)])
    ids = batch.labels_DR[0].tolist()
    values = batch.label_values_DR[0].tolist()
    assert [v for v in values if v == v] == [-1.0, -1.0], "standardised by the training rows"
    said = task.decode_generated(ids, 0, -1.0, values)
    assert said.text == "CCO" and said.for_target("t").text == "CCO"
    assert (said.for_target("a").value, said.for_target("b").value) == (100.0, 1.0)
    scores = task.metrics([said], rows[:1])
    assert scores == {"exact_match": 1.0, "exact_match/t": 1.0, "mae": 0.0, "mae/a": 0.0, "mae/b": 0.0}
    fresh = make("generation", "{s:smiles}", target)
    fresh.load_state(task.state())
    assert fresh.decode_generated(ids, 0, -1.0, values).for_target("a").value == 100.0
    cut = task.decode_generated(ids[: ids.index(task.tokenizer.scalar_id) + 1], 0, -1.0, values)
    assert cut.for_target("a").value == 100.0 and cut.for_target("b").value is None
    assert task.decode_generated(ids, 0, -1.0).for_target("a").value is None, "a model without a scalar head"


def test_a_single_generated_number_is_the_value(make: Make):
    task = make("generation", "{s:smiles}", "{y:scalar}", scale={"mean": 10.0, "std": 2.0})
    batch = task.collate([task.encode({"s": "C", "y": "13"}, target=True)])
    said = task.decode_generated(batch.labels_DR[0].tolist(), 0, values=batch.label_values_DR[0].tolist())
    assert said.value == 13.0 and said.text == ""


def test_a_task_without_input_columns_needs_none(tokenizer: Tokenizer):
    task = build_task(load_task("molecules"), tokenizer)
    assert task.columns == []
    batch = task.collate([task.encode({}, 0), task.encode({}, 1)])
    assert batch.decoder_ids_DT.tolist() == [[tokenizer.decoder_start_id]] * 2
    said = [Prediction(i, text=text) for i, text in enumerate(["CCO", "OCC", "CC("])]
    scores = task.metrics(said, [{"smiles": "C"}] * 3)
    assert scores["validity"] == pytest.approx(2 / 3) and scores["uniqueness"] == 0.5


def test_reading_a_generated_answer_says_what_to_do(naming: Task):
    batch = naming.collate([naming.encode({"iupac": "ethanol"})])
    with pytest.raises(TaskError, match="mammal generate"):
        naming.decode(ModelOutput(), batch)


# Denoising


@pytest.fixture
def denoising(make: Make) -> Task:
    return make("denoising", "{p:protein}", denoising={"mean_span": 3.0, "density": 0.3})


SEQUENCE = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQL"


def filled(task: Task, example) -> list[int]:
    """The input with every sentinel replaced by what the target says it hides."""
    target, sentinels = example.targets[0].ids_T.tolist(), set(task._sentinel_ids.tolist())
    hidden: dict[int, list[int]] = {}
    for token in target[:-1]:
        if token in sentinels:
            current = hidden.setdefault(token, [])
        else:
            current.append(token)
    return [t for token in example.input.ids_L.tolist() for t in hidden.get(token, [token])]


@pytest.fixture(scope="module")
def spans_of_five(tokenizer: Tokenizer) -> Task:
    return build_task(load_task({"name": "t", "kind": "denoising", "prompt": {"input": "{p:protein}"}}), tokenizer)


@given(sequence=st.text("ACDEFGHIKLMNPQRSTVWY", min_size=2, max_size=120), epoch=st.integers(0, 5))
def test_input_and_target_together_hold_the_whole_sequence(spans_of_five: Task, sequence: str, epoch: int):
    task = spans_of_five
    task.epoch = epoch
    plain = task.encode({"p": sequence}, 0)
    corrupted = task.encode({"p": sequence}, 0, target=True)
    assert filled(task, corrupted) == plain.input.ids_L.tolist()
    assert corrupted.targets[0].ids_T[-1] == task.tokenizer.eos_id
    assert len(corrupted.input) < len(plain.input) + len(sequence) * 0.15 + 2


def test_spans_vary_with_epoch_and_row_and_with_nothing_else(denoising: Task):
    def ids(row_id: int, epoch: int) -> list[int]:
        denoising.epoch = epoch
        return denoising.encode({"p": SEQUENCE}, row_id, target=True).input.ids_L.tolist()

    assert ids(0, 0) == ids(0, 0)
    assert ids(0, 0) != ids(0, 1) and ids(0, 0) != ids(1, 0)


def test_embedding_reads_the_sequence_as_it_stands(denoising: Task):
    example = denoising.encode({"p": SEQUENCE})
    assert not set(example.input.ids_L.tolist()) & set(denoising._sentinel_ids.tolist()) and example.targets == ()


def test_candidates_cover_every_denoising_target(denoising: Task):
    targets = [denoising.encode({"p": SEQUENCE}, i, target=True).targets[0].ids_T for i in range(20)]
    assert set(np.concatenate(targets).tolist()) <= set(denoising.candidates_V.tolist())


def test_a_sequence_too_short_to_hide_a_part_of_is_set_aside(denoising: Task):
    with pytest.raises(DataError, match="too short"):
        denoising.encode({"p": "M"}, target=True)


@given(st.integers(2, 500), st.floats(0.05, 0.5), st.floats(1, 10), st.integers(0, 100))
def test_noise_masks_hide_the_asked_share_in_the_asked_number_of_spans(
    length: int, density: float, span: float, seed: int
):
    mask = noise_mask(length, density, span, np.random.default_rng(seed))
    hidden = int(mask.sum())
    assert len(mask) == length and hidden == min(max(round(length * density), 1), length - 1)
    around = int((mask & ~np.roll(mask, 1)).sum())
    assert around == min(max(round(hidden / span), 1), hidden, length - hidden), "a span over the end counts once"


@pytest.mark.parametrize(("length", "density", "span"), [(8, 0.15, 5.0), (20, 0.15, 5.0), (40, 0.3, 3.0)])
def test_every_position_is_hidden_with_the_same_chance(length: int, density: float, span: float):
    rng, draws = np.random.default_rng(0), 4000
    counts = sum(noise_mask(length, density, span, rng).astype(int) for _ in range(draws))
    chance = counts.sum() / (draws * length)
    # Each count is binomial: all of them within five standard deviations, and their spread as large as chance makes it.
    deviations = (counts - draws * chance) / np.sqrt(draws * chance * (1 - chance))
    assert np.abs(deviations).max() < 5 and deviations.std() < 2


def test_pairs_have_both_entities_hidden_and_no_span_crosses_them(make: Make):
    task = make("denoising", "{p:protein} {d:smiles}", denoising={"density": 0.4})
    row = {"p": SEQUENCE[:12], "d": "CC(C)NCC(O)COc1cccc2ccccc12"}
    proteins, molecules = (set(task.tokenizer.alphabet_ids(a).tolist()) for a in ("AA", "SMILES"))
    touched = set()
    for number in range(40):
        example = task.encode(row, number, target=True)
        assert filled(task, example) == task.encode(row, number).input.ids_L.tolist()
        for run in spans_of(task, example):
            assert set(run) <= proteins or set(run) <= molecules
            touched.add("protein" if run[0] in proteins else "molecule")
    assert touched == {"protein", "molecule"}
    assert set(example.targets[0].ids_T.tolist()) <= set(task.candidates_V.tolist())


def spans_of(task: Task, example) -> list[list[int]]:
    """The hidden spans that the target tells, without their sentinels."""
    ids, sentinels = example.targets[0].ids_T[:-1], task._sentinel_ids
    starts = np.flatnonzero(np.isin(ids, sentinels))
    return [run[1:].tolist() for run in np.split(ids, starts)[1:]]


def test_sentinels_that_the_template_writes_are_left_to_it(make: Make):
    task = make("denoising", "<SENTINEL_ID_0> {p:protein}")
    example = task.encode({"p": SEQUENCE}, target=True)
    own = task.tokenizer.specials["<SENTINEL_ID_0>"]
    assert own not in example.targets[0].ids_T and example.input.ids_L.tolist().count(own) == 1
