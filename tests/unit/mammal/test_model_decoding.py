"""Generation equals transformers; samples depend on seed and row, not on the batch; likelihoods add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mammal.decoding import search
from mammal.decoding.decoder_cache import DecodingState
from mammal.decoding.generate_batch import Generated, GenerationConfig, generate
from mammal.decoding.likelihood import sequence_log_likelihood
from mammal.errors import ConfigError
from mammal.model.hf import to_transformers
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import IGNORE, Batch

EOS, SCALAR = 5, 30

MakeModel = Callable[..., MammalModel]
MakeBatch = Callable[..., Batch]


def part(batch: Batch, rows: list[int]) -> Batch:
    names = tuple(batch.row_ids[row] for row in rows) if batch.row_ids else ()
    return replace(batch, ids_BL=batch.ids_BL[rows], mask_BL=batch.mask_BL[rows], row_ids=names)


def flat(generated: Generated) -> list[list[int]]:
    return [ids.tolist() for returns in generated.ids_list for ids in returns]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 1},
        {"num_beams": 3, "num_return_sequences": 2},
        {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 2.0},
        {"num_beams": 2, "early_stopping": True, "length_penalty": 0.5},
        {"num_beams": 3, "length_penalty": -1.0},
    ],
)
def test_ids_and_scores_equal_transformers(
    options: dict, seed: int, lively_model: MakeModel, prompts: MakeBatch
) -> None:
    model = lively_model(seed, tie_word_embeddings=seed % 2 == 0)
    batch = prompts()
    ours = generate(model, batch, GenerationConfig(max_new_tokens=12, **options))
    twin = to_transformers(model)
    theirs = twin.generate(
        input_ids=batch.ids_BL,
        attention_mask=batch.mask_BL,
        max_new_tokens=12,
        output_scores=True,
        return_dict_in_generate=True,
        **options,
    )
    for ids, expected in zip(flat(ours), theirs.sequences[:, 1:].tolist(), strict=True):
        length = expected.index(EOS) + 1 if EOS in expected else len(expected)
        assert ids[:length] == expected[:length]
        assert len(ids) == length
    if options["num_beams"] > 1:
        scores = [score for row in ours.scores for score in row]
        assert scores == pytest.approx(theirs.sequences_scores.tolist(), abs=1e-4)


def test_generation_with_inputs_embeds_in_transformers(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(2, num_layers=1), prompts((4, 4))
    twin = to_transformers(model)
    embeds = model.t5_model.shared(batch.ids_BL).detach()
    theirs = twin.generate(inputs_embeds=embeds, max_new_tokens=6, min_new_tokens=6)[:, 1:].tolist()
    without_eos = [i for i in range(40) if i != EOS]
    ours = generate(model, batch, GenerationConfig(max_new_tokens=6, allowed_ids=without_eos))
    assert flat(ours) == theirs


@pytest.mark.parametrize("beams", [1, 3])
def test_rows_generate_alike_alone_and_together(beams: int, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(1), prompts()
    config = GenerationConfig(max_new_tokens=15, num_beams=beams)
    together = generate(model, batch, config)
    for row in range(4):
        alone = generate(model, part(batch, [row]), config)
        assert alone.ids_list[0][0].tolist() == together.ids_list[row][0].tolist()
        assert alone.scores[0] == pytest.approx(together.scores[row], abs=1e-4)


@pytest.mark.parametrize("beams", [1, 4])
def test_only_allowed_ids_are_produced(beams: int, lively_model: MakeModel, prompts: MakeBatch) -> None:
    allowed = np.array([31, 9, EOS, 22])
    generated = generate(lively_model(), prompts(), GenerationConfig(num_beams=beams, allowed_ids=allowed))
    assert {i for ids in flat(generated) for i in ids} <= set(allowed.tolist())


def test_samples_follow_the_seed_and_the_row(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(), prompts(row_ids=("a", "b", "c", "d"))
    config = GenerationConfig(max_new_tokens=10, do_sample=True, num_return_sequences=3, seed=4)
    first = generate(model, batch, config)
    assert flat(generate(model, batch, config)) == flat(first)
    moved = generate(model, part(batch, [2, 0]), config)
    assert [ids.tolist() for ids in moved.ids_list[1]] == [ids.tolist() for ids in first.ids_list[0]]
    assert [ids.tolist() for ids in moved.ids_list[0]] == [ids.tolist() for ids in first.ids_list[2]]
    assert flat(generate(model, batch, replace(config, seed=5))) != flat(first)
    assert len({tuple(ids.tolist()) for ids in first.ids_list[0]}) > 1


@pytest.mark.parametrize("rows", [(0,), (0, 1, 2, 3)], ids=["one row", "several rows"])
def test_sequences_that_end_early_leave_the_others_as_they_are(
    rows: tuple[int, ...], lively_model: MakeModel, prompts: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = lively_model(), part(prompts(row_ids=("a", "b", "c", "d")), list(rows))
    config = GenerationConfig(
        max_new_tokens=25, do_sample=True, num_return_sequences=8, seed=1, allowed_ids=[EOS, 7, 8, 9]
    )
    kept: list[int] = []
    original = DecodingState.keep_rows
    monkeypatch.setattr(DecodingState, "keep_rows", lambda state, rows: (kept.append(len(rows)), original(state, rows)))
    dropping = generate(model, batch, config)
    assert kept and max(kept) < 8 * len(rows), "no sequence ended early, so the test shows nothing"
    monkeypatch.setattr(search, "_KEEP_ABOVE", 0.0)
    monkeypatch.setattr(search, "_KEEP_ABOVE_COPIED", 0.0)
    kept.clear()
    whole = generate(model, batch, config)
    assert not kept and flat(dropping) == flat(whole)
    for ours, theirs in zip(dropping.scores, whole.scores, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_samples_have_the_model_s_frequencies(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(), prompts((5,))
    config = GenerationConfig(max_new_tokens=1, do_sample=True, num_return_sequences=4000, allowed_ids=[7, 8, 9])
    generated = generate(model, batch, config)
    drawn = np.array([ids[0] for ids in generated.ids_list[0]])
    for token in (7, 8, 9):
        scores = {ids[0]: score for ids, score in zip(generated.ids_list[0], generated.scores[0], strict=True)}
        assert (drawn == token).mean() == pytest.approx(np.exp(scores.get(token, -np.inf)), abs=0.04)


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_narrow_sampling_is_greedy(options: dict, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(3), prompts()
    sampled = generate(model, batch, GenerationConfig(do_sample=True, **options))
    assert flat(sampled) == flat(generate(model, batch))


@pytest.mark.parametrize("mode", ["greedy", "sampling"])
def test_scores_are_the_likelihood_of_the_ids(mode: str, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(), prompts()
    allowed = torch.arange(3, 20)
    config = GenerationConfig(max_new_tokens=8, do_sample=mode == "sampling", allowed_ids=allowed)
    generated = generate(model, batch, config)
    likelihood = sequence_log_likelihood(model, with_targets(batch, flat(generated), allowed))
    assert likelihood.tolist() == pytest.approx([row[0] for row in generated.scores], abs=1e-4)


def with_targets(batch: Batch, targets: list[list[int]], candidates: torch.Tensor | None) -> Batch:
    longest = max(map(len, targets))
    labels = torch.full((len(targets), longest), IGNORE)
    for row, ids in enumerate(targets):
        labels[row, : len(ids)] = torch.tensor(ids)
    start = torch.full((len(targets), 1), 16)
    decoder_ids = torch.cat([start, labels[:, :-1]], dim=1).clamp(min=0)
    read = torch.arange(longest).expand_as(labels).masked_fill(labels == IGNORE, -1)
    return replace(
        batch,
        wants=("logits",),
        read_DR=read,
        labels_DR=labels,
        decoder_ids_DT=decoder_ids,
        decoder_mask_DT=labels != IGNORE,
        candidates_V=candidates,
    )


def test_a_target_outside_the_candidates_is_refused(lively_model: MakeModel, prompts: MakeBatch) -> None:
    batch = with_targets(prompts((3,)), [[7, 35]], torch.arange(3, 20))
    with pytest.raises(ConfigError, match="35"):
        sequence_log_likelihood(lively_model(), batch)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}])
def test_generated_scalars_carry_the_value_that_the_decoder_would_give(
    options: dict, lively_model: MakeModel, prompts: MakeBatch
) -> None:
    model = lively_model(decoder_scalars=True, support_input_scalars=True)
    batch = prompts((5, 2))
    config = GenerationConfig(max_new_tokens=6, allowed_ids=[SCALAR, 8, 9], scalar_id=SCALAR, **options)
    generated = generate(model, batch, config)
    for row, (ids, values) in enumerate(zip(generated.ids_list, generated.values_list, strict=True)):
        assert np.array_equal(ids[0] == SCALAR, ~np.isnan(values[0]))
        again = with_targets(part(batch, [row]), [ids[0].tolist()], None)
        fed = torch.from_numpy(np.concatenate([[np.nan], values[0][:-1]])).float().unsqueeze(0)
        teacher = replace(
            again,
            wants=("values",),
            decoder_values_DT=fed.nan_to_num(),
            decoder_has_value_DT=~fed.isnan(),
        )
        with torch.inference_mode():
            expected = model(teacher).values_DR[0].numpy()
        places = ids[0] == SCALAR
        assert values[0][places] == pytest.approx(expected[places], abs=1e-4)
    assert (np.concatenate([ids for row in generated.ids_list for ids in row]) == SCALAR).any()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"num_return_sequences": 2}, "do_sample"),
        ({"num_beams": 2, "num_return_sequences": 3}, "num_beams"),
        ({"num_beams": 2, "do_sample": True}, "exclude"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"allowed_ids": []}, "allowed"),
    ],
)
def test_wrong_options_are_refused(options: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        GenerationConfig(**options)


def test_allowed_ids_outside_the_vocabulary_are_refused(lively_model: MakeModel, prompts: MakeBatch) -> None:
    with pytest.raises(ConfigError, match="39"):
        generate(lively_model(), prompts(), GenerationConfig(allowed_ids=[40]))
