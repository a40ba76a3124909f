"""Sequences that enter the batch when others have ended: the same answers as alone, in any order, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import mammal
from mammal.decoding import generate_stream
from mammal.decoding.config import GenerationConfig
from mammal.decoding.decoder_cache import DecodingState
from mammal.decoding.generate_batch import generate
from mammal.decoding.generate_stream import Room, generate_each
from mammal.decoding.random_numbers import Draw
from mammal.decoding.slots import Finished
from mammal.decoding.waiting import Prompts
from mammal.generation.rows import generate_rows
from mammal.model.model import MammalModel
from mammal.rows.batched import Pace, Refused, Row, TaskEncoder
from mammal.tasks.batches.batch import Batch

MakeModel = Callable[..., MammalModel]
MakeBatch = Callable[..., Batch]
Found = dict[object, list[Finished]]

EOS = 5
LENGTHS = (7, 3, 5, 1, 9, 2, 6, 4, 12, 8, 3, 5)
SAMPLED = {"do_sample": True, "num_return_sequences": 5}
WAYS: list[dict[str, Any]] = [
    {},
    SAMPLED,
    {"do_sample": True, "top_p": 0.9, "min_new_tokens": 3},
    {**SAMPLED, "repetition_penalty": 1.7, "no_repeat_ngram_size": 2},
    {**SAMPLED, "guidance": 1.5},
    {"num_beams": 3, "num_return_sequences": 3},
    {"num_beams": 2, "early_stopping": True, "length_penalty": 0.5, "no_repeat_ngram_size": 2},
    {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.7, "num_return_sequences": 4, "guidance": 1.5},
]


@pytest.fixture(autouse=True)
def prompts_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beams and several samples of a prompt enter one prompt at a time, as on a GPU."""
    monkeypatch.setattr(generate_stream, "_prompts_enter", lambda model, copies: True)


class InTurn:
    """A grammar of two tokens in turn, which may end after the second; the state is what was last."""

    ids_V = np.array([EOS, 8, 9])
    least_new_tokens = 3

    def start(self) -> str:
        return "even"

    def mask(self, state: str, left: int) -> np.ndarray:
        return np.array([state == "even" and left < 20, state == "even" and left > 3, state == "odd"])

    def advance(self, state: str, column: int) -> str:
        return ["", "odd", "even"][column]


def one(batch: Batch, row: int) -> Batch:
    length = int(batch.mask_BL[row].sum())
    return replace(batch, ids_BL=batch.ids_BL[[row], :length], mask_BL=batch.mask_BL[[row], :length], row_ids=())


def stream(
    model: MammalModel,
    batch: Batch,
    config: GenerationConfig,
    *,
    order: list[int] | None = None,
    size: int = 3,
    room: Room | None = None,
    **how: Any,
) -> Found:
    """Generates for the rows of a batch in this order, in batches of `size`; by the name of the row."""
    order = list(range(len(batch))) if order is None else order
    found: Found = {}

    def batches() -> Iterator[Prompts]:
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            part = replace(batch, ids_BL=batch.ids_BL[rows], mask_BL=batch.mask_BL[rows], row_ids=())
            yield Prompts(part, rows, without=replace(part, mask_BL=part.mask_BL & shortened(part)))

    def keep(sequence: Finished) -> None:
        found.setdefault(sequence.name, []).append(sequence)

    how = {"draw": lambda name, number: Draw(config.seed, name, number), **how}
    generate_each(model, batches(), config, keep, room=room or Room(6, 30), **how)
    return {name: sorted(sequences, key=lambda sequence: sequence.number) for name, sequences in found.items()}


def shortened(batch: Batch) -> torch.Tensor:
    return torch.arange(batch.ids_BL.shape[1]) < 2


def alone(model: MammalModel, batch: Batch, config: GenerationConfig, row: int, **how: Any) -> list[list[int]]:
    prompt = one(batch, row)
    draws = [Draw(config.seed, row, number) for number in range(config.num_return_sequences)]
    without = replace(prompt, mask_BL=prompt.mask_BL & shortened(prompt))
    made = generate(model, prompt, config, without=without, draws=draws if config.do_sample else None, **how)
    return [ids.tolist() for ids in made.ids_list[0]]


def ids_of(found: Found, name: object) -> list[list[int]]:
    return [sequence.ids.tolist() for sequence in found[name]]


@pytest.mark.parametrize("way", WAYS)
def test_each_prompt_has_the_sequences_that_it_has_alone(
    way: dict[str, Any], lively_model: MakeModel, prompts: MakeBatch
) -> None:
    model, batch = lively_model(1), prompts(LENGTHS)
    config = GenerationConfig(max_new_tokens=25, allowed_ids=[EOS, *range(7, 14)], seed=2, **way)
    found = stream(model, batch, config)
    assert len({len(ids) for row in range(len(batch)) for ids in ids_of(found, row)}) > 1, "lengths must differ"
    for row in range(len(batch)):
        assert ids_of(found, row) == alone(model, batch, config, row)


@pytest.mark.parametrize("way", [WAYS[0], WAYS[1], WAYS[5]])
def test_a_grammar_follows_each_sequence(way: dict[str, Any], lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(2), prompts(LENGTHS)
    config = GenerationConfig(max_new_tokens=24, shares="do_sample" in way, **way)
    found = stream(model, batch, config, grammar=InTurn())
    for row in range(len(batch)):
        assert ids_of(found, row) == alone(model, batch, config, row, grammar=InTurn())
        assert all(8 not in ids[1::2] and ids[-1] == EOS for ids in ids_of(found, row))


def test_distances_to_the_prompt_are_those_of_the_sequence(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(1, cross_attention_num_buckets=8), prompts(LENGTHS)
    config = GenerationConfig(max_new_tokens=12, allowed_ids=[EOS, 7, 8, 9], **SAMPLED)
    found = stream(model, batch, config)
    assert [ids_of(found, row) for row in range(12)] == [alone(model, batch, config, row) for row in range(12)]


@pytest.mark.parametrize("way", [WAYS[0], WAYS[1], WAYS[5]])
def test_the_order_of_entering_changes_nothing(
    way: dict[str, Any], lively_model: MakeModel, prompts: MakeBatch
) -> None:
    model, batch = lively_model(1), prompts(LENGTHS)
    config = GenerationConfig(max_new_tokens=20, allowed_ids=[EOS, *range(7, 14)], **way)
    first = stream(model, batch, config)
    for order, size, room in (
        ([11, 4, 0, 9, 2, 7, 5, 1, 10, 3, 8, 6], 12, Room(4, 40)),
        (list(range(12))[::-1], 1, Room(60, 1_000)),
    ):
        again = stream(model, batch, config, order=order, size=size, room=room)
        for row in range(len(batch)):
            assert ids_of(again, row) == ids_of(first, row)
            scores = [sequence.score for sequence in first[row]]
            assert [sequence.score for sequence in again[row]] == pytest.approx(scores, abs=1e-3)


@pytest.fixture
def widths(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """For each step of the decoder: the number of rows, and of padded tokens of their prompts."""
    seen: list[tuple[int, int]] = []
    step = DecodingState.step

    def counted(state: DecodingState, ids_D: torch.Tensor, *values: Any) -> torch.Tensor:
        seen.append((len(ids_D), state.groups * state.prompts.length))
        return step(state, ids_D, *values)

    monkeypatch.setattr(DecodingState, "step", counted)
    return seen


def test_the_batch_stays_full_and_never_grows(
    lively_model: MakeModel, prompts: MakeBatch, widths: list[tuple[int, int]]
) -> None:
    model, batch = lively_model(), prompts((4,))
    config = GenerationConfig(30, do_sample=True, num_return_sequences=200, allowed_ids=[EOS, 7, 8, 9])
    (found,) = stream(model, batch, config, room=Room(16, 100)).values()
    rows = [rows for rows, _ in widths]
    tokens = sum(len(sequence.ids) for sequence in found)
    assert len(found) == 200 and max(rows) == 16
    assert sum(rows) < 1.15 * tokens, "few rows have no sequence"


def test_long_prompts_do_not_share_a_batch_with_many_others(
    lively_model: MakeModel, prompts: MakeBatch, widths: list[tuple[int, int]]
) -> None:
    model, batch = lively_model(), prompts((*[2] * 30, *[90] * 6, *[2] * 30))
    config = GenerationConfig(10, allowed_ids=[EOS, 7, 8, 9])
    found = stream(model, batch, config, size=10, room=Room(32, 100))
    assert len(found) == 66 and max(tokens for _, tokens in widths) <= 200
    assert ids_of(found, 33) == alone(model, batch, config, 33) and ids_of(found, 65) == alone(model, batch, config, 65)


@pytest.mark.parametrize("way", [{}, {"num_beams": 2}])
def test_prompts_are_read_when_there_is_room(way: dict[str, Any], lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch, read, ended = lively_model(), prompts((4,)), [], []
    config = GenerationConfig(20, allowed_ids=[EOS, 7, 8, 9], **way)

    def endless() -> Iterator[Prompts]:
        for number in range(60):
            read.append(number)
            yield Prompts(batch, [number])

    def finish(sequence: Finished) -> None:
        ended.append(sequence.name)
        assert len(read) <= len(ended) + 8 + 1, "at most the prompts in the batch and the next one"

    generate_each(model, endless(), config, finish, room=Room(8, 100))
    assert sorted(ended) == list(range(60))


def test_a_sequence_that_is_sampled_again_stays_in_its_place(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(), prompts(LENGTHS)
    config = GenerationConfig(20, do_sample=True, num_return_sequences=4, allowed_ids=[EOS, 7, 8, 9])
    attempts: dict[tuple[Any, int], list[Finished]] = {}

    def finish(sequence: Finished) -> Draw | None:
        of_one = attempts.setdefault((sequence.name, sequence.number), [])
        of_one.append(sequence)
        return sequence.draw.again() if len(of_one) < 3 and sequence.draw is not None else None

    generate_each(
        model,
        [Prompts(batch, range(12))],
        config,
        finish,
        draw=lambda name, number: Draw(0, name, number),
        room=Room(6, 30),
    )
    assert len(attempts) == 48 and all(len(of_one) == 3 for of_one in attempts.values())
    for (row, number), of_one in list(attempts.items())[::7]:
        for attempt, sequence in enumerate(of_one):
            once = replace(config, num_return_sequences=1)
            made = generate(model, one(batch, row), once, draws=[Draw(0, row, number, attempt)])
            assert made.ids_list[0][0].tolist() == sequence.ids.tolist()


# Rows of a table


EDITED: Mapping[str, Any] = {
    "name": "edited",
    "kind": "generation",
    "prompt": {"input": "{smiles:smiles}", "target": "<SENTINEL_ID_0> {product:smiles}"},
    "generation": {"constraint": "alphabet", "max_new_tokens": 8},
}


@pytest.fixture(scope="module")
def model(small_bundle: Callable[..., Any]) -> mammal.Mammal:
    return mammal.load(small_bundle(EDITED), device="cpu")


@pytest.mark.parametrize("way", [{"do_sample": True, "num_return_sequences": 3}, {"num_beams": 2}, {}])
def test_a_row_that_cannot_be_read_loses_no_other(way: dict[str, Any], model: mammal.Mammal) -> None:
    encoder, config = TaskEncoder(model.tasks["edited"]), GenerationConfig(8, **way)
    rows: list[Row] = [{"smiles": smiles} for smiles in ("C", "", "CC", "CCO", None, "CCN")]
    counted: list[int] = []
    found = generate_rows(model.model, encoder, rows, config, pace=Pace(rows=2), progress=counted.append)
    assert [isinstance(given, Refused) for given in found] == [False, True, False, False, True, False]
    assert sum(counted) == 6
    for place in (0, 2, 3, 5):
        (alone,) = generate_rows(model.model, encoder, [rows[place]], config, firsts=[Draw(0, place)])
        assert not isinstance(alone, Refused) and len(alone) == config.num_return_sequences
        assert [sample.ids for sample in found[place]] == [sample.ids for sample in alone]  # type: ignore[union-attr]


def test_any_number_of_sequences_needs_the_same_room(model: mammal.Mammal, widths: list[tuple[int, int]]) -> None:
    config = GenerationConfig(8, do_sample=True, num_return_sequences=300)
    found = []
    for pace in (Pace(rows=4), Pace(rows=40)):
        widths.clear()
        (samples,) = generate_rows(
            model.model, TaskEncoder(model.tasks["edited"]), [{"smiles": "CCO"}], config, pace=pace
        )
        assert not isinstance(samples, Refused) and max(rows for rows, _ in widths) == 2 * pace.rows
        found.append([sample.ids for sample in samples])
    assert found[0] == found[1] and len(found[0]) == 300
