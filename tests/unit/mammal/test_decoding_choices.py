"""Limits of generation: grammars, stop rules, sampling settings. Sequences follow them; scores are the model's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mammal.decoding.generate_batch import Generated, GenerationConfig, generate
from mammal.decoding.random_numbers import Draw
from mammal.decoding.sampling import Sampling, sample_columns
from mammal.errors import ConfigError
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

MakeModel = Callable[..., MammalModel]
MakeBatch = Callable[..., Batch]

EOS, OPEN, CLOSE, ATOM = 5, 10, 11, 12
WAYS = [{}, {"num_beams": 3, "num_return_sequences": 3}, {"do_sample": True, "num_return_sequences": 4}]


class Brackets:
    """Balanced brackets around at least one atom each; the state is how deep, and whether an atom stands there."""

    ids_V = np.array([EOS, OPEN, CLOSE, ATOM])
    least_new_tokens = 2

    def __init__(self) -> None:
        self._known: dict[tuple, np.ndarray] = {}

    def start(self) -> tuple[int, bool]:
        return 0, False

    def mask(self, state: tuple[int, bool], left: int) -> np.ndarray:
        depth, full = state
        if (key := (depth, full, min(left, 50))) not in self._known:
            shortest = depth + 1 + (not full)
            ways = [depth == 0 and full, left >= shortest + 2 + full, depth > 0 and full, left >= shortest + full]
            self._known[key] = np.array(ways)
        return self._known[key]

    def advance(self, state: tuple[int, bool], column: int) -> tuple[int, bool]:
        depth, _ = state
        return [(0, True), (depth + 1, False), (depth - 1, True), (depth, True)][column]


def balanced(ids: list[int]) -> bool:
    text = "".join({EOS: "$", OPEN: "(", CLOSE: ")", ATOM: "a"}.get(i, "?") for i in ids)
    while "(a)" in text or "aa" in text:
        text = text.replace("(a)", "a").replace("aa", "a")
    return text == "a$"


def flat(generated: Generated) -> list[list[int]]:
    return [ids.tolist() for returns in generated.ids_list for ids in returns]


@pytest.mark.parametrize("length", [2, 3, 6, 15])
@pytest.mark.parametrize("way", WAYS)
def test_every_sequence_keeps_to_the_grammar(
    way: dict, length: int, lively_model: MakeModel, prompts: MakeBatch
) -> None:
    for seed in range(4):
        config = GenerationConfig(max_new_tokens=length, **way)
        made = flat(generate(lively_model(seed), prompts(), config, grammar=Brackets()))
        assert made and all(balanced(ids) and len(ids) <= length for ids in made)


@pytest.mark.parametrize("way", WAYS)
def test_a_grammar_leaves_the_models_likelihoods(way: dict, lively_model: MakeModel, prompts: MakeBatch) -> None:
    """Forced tokens cost what the model thinks of them."""
    model, batch, grammar = lively_model(2), prompts((4,)), Brackets()
    made = generate(model, batch, GenerationConfig(max_new_tokens=9, **way), grammar=grammar)
    for ids, found in zip(made.ids_list[0], made.log_likelihoods[0], strict=True):
        total = 0.0
        for end in range(len(ids)):
            total += next_log_probs(model, batch, ids[:end], grammar.ids_V)[int(ids[end])]
        assert found == pytest.approx(total, abs=1e-4)


def next_log_probs(model: MammalModel, batch: Batch, past: np.ndarray, ids_V: np.ndarray) -> dict[int, float]:
    decoder = torch.cat([torch.tensor([model.config.decoder_start_token_id]), torch.from_numpy(past).long()])
    asked = replace(
        batch,
        wants=("logits",),
        decoder_ids_DT=decoder.unsqueeze(0),
        read_DR=torch.tensor([[len(past)]]),
        candidates_V=torch.from_numpy(ids_V),
    )
    with torch.inference_mode():
        return dict(zip(ids_V.tolist(), torch.log_softmax(model(asked).logits_DRV[0, 0], dim=0).tolist(), strict=True))


def test_beams_give_only_sequences_that_exist(lively_model: MakeModel, prompts: MakeBatch) -> None:
    """Of at most four tokens there are a$, aa$, aaa$ and (a)$."""
    config = GenerationConfig(max_new_tokens=4, num_beams=8, num_return_sequences=8)
    made = generate(lively_model(), prompts(), config, grammar=Brackets())
    for ids_list, scores in zip(made.ids_list, made.scores, strict=True):
        sequences = {tuple(ids.tolist()) for ids in ids_list}
        assert sequences == {
            (ATOM, EOS),
            (ATOM, ATOM, EOS),
            (ATOM, ATOM, ATOM, EOS),
            (OPEN, ATOM, CLOSE, EOS),
        }
        assert len(ids_list) == 4 and scores == sorted(scores, reverse=True)


def test_too_few_tokens_for_the_grammar_are_refused(lively_model: MakeModel, prompts: MakeBatch) -> None:
    with pytest.raises(ConfigError, match="at least 2 tokens"):
        generate(lively_model(), prompts(), GenerationConfig(max_new_tokens=1), grammar=Brackets())


@pytest.mark.parametrize("way", WAYS)
def test_rows_keep_to_the_grammar_alike_alone_and_together(
    way: dict, lively_model: MakeModel, prompts: MakeBatch
) -> None:
    model, batch = lively_model(1), prompts(row_ids=("a", "b", "c", "d"))
    config = GenerationConfig(max_new_tokens=12, **way)
    together = generate(model, batch, config, grammar=Brackets())
    for row in range(4):
        alone = replace(batch, ids_BL=batch.ids_BL[[row]], mask_BL=batch.mask_BL[[row]], row_ids=(batch.row_ids[row],))
        made = generate(model, alone, config, grammar=Brackets())
        assert flat(made) == [ids.tolist() for ids in together.ids_list[row]]


def test_a_grammar_costs_little(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(), prompts((2,) * 256)
    config = GenerationConfig(max_new_tokens=40, do_sample=True, min_new_tokens=39)
    seconds = {}
    for name, grammar in (("without", None), ("with", Brackets())):
        shaped = config if grammar else replace(config, allowed_ids=Brackets.ids_V)
        generate(model, batch, replace(shaped, max_new_tokens=3, min_new_tokens=2), grammar=grammar)
        begun = time.process_time()
        generate(model, batch, shaped, grammar=grammar)
        seconds[name] = time.process_time() - begun
    assert seconds["with"] - seconds["without"] < 0.5


@pytest.mark.parametrize("way", WAYS)
def test_no_end_before_its_time(way: dict, lively_model: MakeModel, prompts: MakeBatch) -> None:
    config = GenerationConfig(max_new_tokens=12, min_new_tokens=6, allowed_ids=[EOS, 7, 8], **way)
    lengths = [len(ids) for seed in range(4) for ids in flat(generate(lively_model(seed), prompts(), config))]
    assert min(lengths) >= 7
    short = replace(config, min_new_tokens=0)
    assert min(len(ids) for seed in range(4) for ids in flat(generate(lively_model(seed), prompts(), short))) < 7


def test_min_new_tokens_as_in_transformers(lively_model: MakeModel, prompts: MakeBatch) -> None:
    from mammal.model.hf import to_transformers

    for seed in range(3):
        model, batch = lively_model(seed), prompts()
        for beams in (1, 3):
            config = GenerationConfig(max_new_tokens=9, min_new_tokens=4, num_beams=beams)
            how = {"max_new_tokens": 9, "min_new_tokens": 4, "num_beams": beams}
            theirs = (
                to_transformers(model)
                .generate(input_ids=batch.ids_BL, attention_mask=batch.mask_BL, do_sample=False, **how)[:, 1:]
                .tolist()
            )
            for ids, expected in zip(flat(generate(model, batch, config)), theirs, strict=True):
                assert ids == expected[: len(ids)]


@pytest.mark.parametrize("way", WAYS)
def test_stop_tokens_end_a_sequence_and_stay_in_it(way: dict, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, stops = lively_model(4), {7, 9}
    config = GenerationConfig(max_new_tokens=12, allowed_ids=[6, 7, 8, 9], stop_ids=[7, 9], **way)
    made = flat(generate(model, prompts(), config))
    assert any(ids[-1] in stops for ids in made)
    assert all(not stops & set(ids[:-1]) for ids in made)


def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest() -> None:
    log_probs = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().repeat(2000, 1)
    uniforms = torch.linspace(0, 1 - 1e-9, 2000, dtype=torch.float64)
    for min_p, kept in ((0.05, {0, 1, 2, 3}), (0.25, {0, 1, 2}), (0.5, {0, 1}), (1.0, {0})):
        drawn = sample_columns(log_probs, uniforms, Sampling(min_p=min_p))
        assert set(drawn.tolist()) == kept
        if min_p == 0.5:
            assert (drawn == 0).double().mean().item() == pytest.approx(0.5 / 0.8, abs=0.01)


def test_what_is_ruled_out_is_never_drawn() -> None:
    scores = torch.tensor([[-torch.inf, 0.0, -torch.inf, -1.0, -torch.inf]]).repeat(3, 1)
    edges = torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert sample_columns(scores, edges, Sampling()).tolist() == [1, 1, 3]


def test_draws_name_the_random_numbers(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(), prompts()
    config = GenerationConfig(max_new_tokens=10, do_sample=True)
    same = [Draw(7, "mine") for _ in range(4)]
    repeated = replace(batch, ids_BL=batch.ids_BL[[1]].repeat(4, 1), mask_BL=batch.mask_BL[[1]].repeat(4, 1))
    assert len({tuple(ids) for ids in flat(generate(model, repeated, config, draws=same))}) == 1
    again = [Draw(7, "mine", attempt=attempt) for attempt in range(4)]
    assert len({tuple(ids) for ids in flat(generate(model, repeated, config, draws=again))}) > 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"min_p": -0.1}, "min_p"),
        ({"min_p": 1.5}, "min_p"),
        ({"min_new_tokens": 20}, "min_new_tokens"),
        ({"num_beams": 4, "num_beam_groups": 3, "diversity_penalty": 1.0}, "multiple"),
        ({"num_beams": 4, "num_beam_groups": 2}, "diversity_penalty"),
        ({"num_beams": 4, "diversity_penalty": 1.0}, "num_beam_groups"),
        ({"num_beams": 2, "num_beam_groups": 2, "diversity_penalty": -1.0}, "diversity_penalty"),
        ({"guidance": float("inf")}, "guidance"),
    ],
)
def test_wrong_settings_are_refused(options: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        GenerationConfig(**options)
