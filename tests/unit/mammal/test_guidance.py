"""Classifier-free guidance: the formula, no effect at scale 1, both caches in step; and diverse beam groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from mammal.decoding.generate_batch import Generated, GenerationConfig, generate
from mammal.errors import ConfigError
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

MakeModel = Callable[..., MammalModel]
MakeBatch = Callable[..., Batch]

EOS = 5
WAYS = [{}, {"num_beams": 3, "num_return_sequences": 3}, {"do_sample": True, "num_return_sequences": 4}]


def flat(generated: Generated) -> list[list[int]]:
    return [ids.tolist() for returns in generated.ids_list for ids in returns]


def next_log_probs(model: MammalModel, batch: Batch, past: list[int]) -> torch.Tensor:
    """[V], after these tokens, by one pass over all of them."""
    decoder = torch.tensor([[model.config.decoder_start_token_id, *past]])
    asked = replace(batch, wants=("logits",), decoder_ids_DT=decoder, read_DR=torch.tensor([[len(past)]]))
    with torch.inference_mode():
        return torch.log_softmax(model(asked).logits_DRV[0, 0], dim=0)


def guided(model: MammalModel, batch: Batch, without: Batch, past: list[int], scale: float) -> torch.Tensor:
    conditional, free = next_log_probs(model, batch, past), next_log_probs(model, without, past)
    return torch.log_softmax(free + scale * (conditional - free), dim=0)


@pytest.mark.parametrize("way", WAYS)
def test_scale_one_is_no_guidance(way: dict, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch, without = lively_model(), prompts(), prompts((2, 6, 3, 4), seed=8)
    config = GenerationConfig(max_new_tokens=10, guidance=1.0, **way)
    assert flat(generate(model, batch, config, without=without)) == flat(generate(model, batch, config))


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0, 4.0])
def test_the_best_token_of_each_step_is_that_of_the_formula(
    scale: float, lively_model: MakeModel, prompts: MakeBatch
) -> None:
    for seed in range(3):
        model, batch, without = lively_model(seed), prompts((4,)), prompts((6,), seed=8)
        made = generate(model, batch, GenerationConfig(max_new_tokens=8, guidance=scale), without=without)
        total, past = 0.0, []
        for token in made.ids_list[0][0].tolist():
            log_probs = guided(model, batch, without, past, scale)
            assert log_probs.max().item() == pytest.approx(log_probs[token].item(), abs=1e-4)
            total, past = total + log_probs[token].item(), [*past, token]
        assert made.log_likelihoods[0][0] == pytest.approx(total, abs=1e-3)


def test_no_condition_left_is_scale_zero(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch, without = lively_model(), prompts(), prompts((2, 6, 3, 4), seed=8)
    config = GenerationConfig(max_new_tokens=10)
    made = generate(model, batch, replace(config, guidance=0.0), without=without)
    assert flat(made) == flat(generate(model, without, config))


def test_samples_have_the_guided_frequencies(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch, without, allowed = lively_model(1), prompts((5,)), prompts((3,), seed=8), [7, 8, 9]
    config = GenerationConfig(
        max_new_tokens=1, do_sample=True, num_return_sequences=4000, allowed_ids=allowed, guidance=2.0
    )
    drawn = np.array(flat(generate(model, batch, config, without=without)))[:, 0]
    expected = torch.softmax(guided(model, batch, without, [], 2.0)[allowed], dim=0).tolist()
    assert [(drawn == token).mean() for token in allowed] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("way", WAYS)
def test_guided_rows_generate_alike_alone_and_together(way: dict, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, config = lively_model(1), GenerationConfig(max_new_tokens=10, guidance=1.7, **way)
    batch, without = prompts(row_ids=("a", "b", "c", "d")), prompts((2, 6, 3, 4), seed=8)
    together = generate(model, batch, config, without=without)
    for row in range(4):
        one, other = (replace(b, ids_BL=b.ids_BL[[row]], mask_BL=b.mask_BL[[row]]) for b in (batch, without))
        alone = generate(model, replace(one, row_ids=(batch.row_ids[row],)), config, without=other)
        assert flat(alone) == [ids.tolist() for ids in together.ids_list[row]]


def test_guidance_needs_rows_without_conditions(lively_model: MakeModel, prompts: MakeBatch) -> None:
    with pytest.raises(ConfigError, match="without their conditions"):
        generate(lively_model(), prompts(), GenerationConfig(guidance=2.0))


def test_groups_are_those_of_the_paper(lively_model: MakeModel, prompts: MakeBatch) -> None:
    """Beside a search written down plainly, hypothesis by hypothesis."""
    for seed in range(4):
        model, batch = lively_model(seed), prompts((4,))
        config = GenerationConfig(
            max_new_tokens=5, num_beams=4, num_return_sequences=4, num_beam_groups=2, diversity_penalty=1.5
        )
        made = generate(model, batch, config)
        expected = sorted(plain_diverse_search(model, batch, 5, groups=2, size=2, penalty=1.5), reverse=True)
        assert made.scores[0] == pytest.approx([score for score, _ in expected], abs=1e-4)
        assert flat(made) == [ids for _, ids in expected]


def plain_diverse_search(
    model: MammalModel, batch: Batch, steps: int, *, groups: int, size: int, penalty: float
) -> Iterator[tuple[float, list[int]]]:
    running = [[(0.0, 0.0, [])] for _ in range(groups)]
    finished: list[list[tuple[float, float, list[int]]]] = [[] for _ in range(groups)]
    for step in range(1, steps + 1):
        taken = torch.zeros(40)
        for g in range(groups):
            if not running[g]:
                continue
            ways = []
            for searched, likelihood, ids in running[g]:
                log_probs = next_log_probs(model, batch, ids)
                for token, (cost, own) in enumerate(zip(log_probs - penalty * taken, log_probs, strict=True)):
                    ways.append((searched + float(cost), likelihood + float(own), [*ids, token]))
            best = sorted(ways, reverse=True)[: 2 * size]
            ended = [way[2][-1] == EOS or step == steps for way in best]
            new = [(s / step, like, ids) for (s, like, ids), end in zip(best[:size], ended, strict=False) if end]
            finished[g] = sorted([*finished[g], *new], reverse=True)[:size]
            running[g] = [way for way, end in zip(best, ended, strict=True) if not end][:size]
            if len(finished[g]) == size and running[g] and running[g][0][0] / step <= finished[g][-1][0]:
                running[g] = []
            for _, _, ids in running[g]:
                taken[ids[-1]] += 1
    for group in finished:
        yield from ((likelihood / len(ids), ids) for _, likelihood, ids in group)


def test_a_large_penalty_keeps_groups_apart(lively_model: MakeModel, prompts: MakeBatch) -> None:
    how = {"max_new_tokens": 6, "num_beams": 6, "num_return_sequences": 6, "min_new_tokens": 5}
    plain = generate(lively_model(), prompts(), GenerationConfig(**how))
    diverse = generate(lively_model(), prompts(), GenerationConfig(**how, num_beam_groups=6, diversity_penalty=100.0))
    for row in range(4):
        firsts = {ids[0] for ids in diverse.ids_list[row]}
        assert len(firsts) == 6 > len({ids[0] for ids in plain.ids_list[row]})
        assert diverse.scores[row] == sorted(diverse.scores[row], reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_scores_line_up_with_their_sequences(seed: int, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(seed), prompts((3,))
    how = {"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": 6, "length_penalty": 0.7}
    for groups in ({}, {"num_beam_groups": 2, "diversity_penalty": 0.8}):
        made = generate(model, batch, GenerationConfig(**how, **groups))
        for ids, score, likelihood in zip(made.ids_list[0], made.scores[0], made.log_likelihoods[0], strict=True):
            past = ids.tolist()
            total = sum(next_log_probs(model, batch, past[:i])[token].item() for i, token in enumerate(past))
            assert likelihood == pytest.approx(total, abs=1e-4)
            assert score == pytest.approx(total / len(past) ** 0.7, abs=1e-4)
