"""Less repetition: equals transformers; no dead end with a grammar; off by default; independent of the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mammal.decoding.generate_batch import Generated, GenerationConfig, generate
from mammal.decoding.repeats import Repeats
from mammal.errors import ConfigError
from mammal.model.hf import to_transformers
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

MakeModel = Callable[..., MammalModel]
MakeBatch = Callable[..., Batch]

EOS, START = 5, 16
RULES = [
    {"repetition_penalty": 1.7},
    {"repetition_penalty": 0.6},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 3},
    {"repetition_penalty": 1.2, "no_repeat_ngram_size": 2},
]
BEAMS: list[dict[str, Any]] = [
    {"num_beams": 3, "num_return_sequences": 3},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 0.5, "early_stopping": True},
]
WAYS: list[dict[str, Any]] = [{}, BEAMS[0], {"do_sample": True, "num_return_sequences": 3}]


def flat(generated: Generated) -> list[list[int]]:
    return [ids.tolist() for returns in generated.ids_list for ids in returns]


def theirs(model: MammalModel, batch: Batch, **how: Any) -> Any:
    how = {"do_sample": False, "output_scores": True, "return_dict_in_generate": True, **how}
    return to_transformers(model).generate(input_ids=batch.ids_BL, attention_mask=batch.mask_BL, **how)


def to_the_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(EOS) + 1] if EOS in ids else ids


def runs(ids: list[int], size: int) -> list[tuple[int, ...]]:
    """Every run of this many tokens, the start token counted as one."""
    past = [START, *ids]
    return [tuple(past[i : i + size]) for i in range(len(past) - size + 1)]


# What transformers finds


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("way", [{}, *BEAMS])
def test_ids_equal_transformers(rules: dict, way: dict, seed: int, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(seed, tie_word_embeddings=seed % 2 == 0), prompts()
    ours = generate(model, batch, GenerationConfig(max_new_tokens=14, **rules, **way))
    expected = theirs(model, batch, max_new_tokens=14, **rules, **way)
    assert flat(ours) == [to_the_end(ids) for ids in expected.sequences[:, 1:].tolist()]
    if way:
        scores = [score for row in ours.scores for score in row]
        assert scores == pytest.approx(expected.sequences_scores.tolist(), abs=1e-4)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("way", [{}, BEAMS[0]])
def test_each_rule_changes_something(rules: dict, way: dict, lively_model: MakeModel, prompts: MakeBatch) -> None:
    """Else equal ids above would show nothing."""
    plain, ruled = (
        [
            flat(generate(lively_model(seed), prompts(), GenerationConfig(max_new_tokens=14, **way, **how)))
            for seed in range(4)
        ]
        for how in ({}, rules)
    )
    assert plain != ruled


def test_ids_equal_transformers_among_allowed_ids(lively_model: MakeModel, prompts: MakeBatch) -> None:
    """Columns of a sliced head are not ids; the start token may be among them or not."""
    for allowed in ([EOS, 7, 9, 16, 22, 31, 38], [EOS, 6, 8, 23, 30, 39]):
        for seed in range(4):
            for rules in RULES:
                if rules.get("no_repeat_ngram_size") == 1:
                    continue
                model, batch = lively_model(seed), prompts()
                others = [token for token in range(40) if token not in allowed]
                config = GenerationConfig(max_new_tokens=12, allowed_ids=allowed, **rules)
                expected = theirs(model, batch, max_new_tokens=12, suppress_tokens=others, **rules)
                made = flat(generate(model, batch, config))
                assert made == [to_the_end(ids) for ids in expected.sequences[:, 1:].tolist()]


def test_samples_have_the_frequencies_of_transformers(lively_model: MakeModel, prompts: MakeBatch) -> None:
    """The third token after two given ones: the penalty comes before the temperature, the ban rules tokens out."""
    from transformers import LogitsProcessorList, NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

    model, batch = lively_model(1), prompts((5,))
    how = {"temperature": 1.5, "repetition_penalty": 1.8, "no_repeat_ngram_size": 2}
    config = GenerationConfig(max_new_tokens=3, do_sample=True, num_return_sequences=6000, **how)
    made = generate(model, batch, config)
    counts: dict[tuple[int, ...], int] = {}
    for ids in flat(made):
        if len(ids) == 3:
            counts[tuple(ids[:2])] = counts.get(tuple(ids[:2]), 0) + 1
    past = max(counts, key=counts.__getitem__)
    third = [ids[2] for ids in flat(made) if tuple(ids[:2]) == past and len(ids) == 3]
    decoder = torch.tensor([[START, *past]])
    with torch.no_grad():
        logits = to_transformers(model)(
            input_ids=batch.ids_BL, attention_mask=batch.mask_BL, decoder_input_ids=decoder
        ).logits[:, -1]
    processors = LogitsProcessorList([RepetitionPenaltyLogitsProcessor(1.8), NoRepeatNGramLogitsProcessor(2)])
    wanted = torch.softmax(processors(decoder, logits) / 1.5, dim=1)[0].numpy()
    found = np.bincount(third, minlength=40) / len(third)
    assert len(third) > 150 and np.abs(found - wanted).sum() / 2 < 3 / np.sqrt(len(third))
    assert found[wanted == 0].sum() == 0


# Runs of tokens


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("way", WAYS)
def test_no_run_occurs_twice(way: dict, size: int, lively_model: MakeModel, prompts: MakeBatch) -> None:
    config = GenerationConfig(max_new_tokens=15, no_repeat_ngram_size=size, allowed_ids=range(3, 24), **way)
    for seed in range(3):
        made = generate(lively_model(seed), prompts(), config)
        assert not made.lifted
        for ids in flat(made):
            assert len(runs(ids, size)) == len(set(runs(ids, size)))


def test_a_ban_of_everything_is_lifted(lively_model: MakeModel, prompts: MakeBatch) -> None:
    """Three tokens can't fill eight places without one occurring twice."""
    model, batch = lively_model(2), prompts()
    config = GenerationConfig(max_new_tokens=8, no_repeat_ngram_size=1, allowed_ids=[7, 8, 9])
    for way in WAYS:
        made = generate(model, batch, replace(config, **way))
        assert made.lifted
        assert all(len(ids) == 8 and set(ids[:3]) == {7, 8, 9} for ids in flat(made))


class Ladder:
    """`7 8 7 8 … 9 <EOS>`: all but one choice is forced, and most forced tokens complete a run a second time."""

    ids_V = np.array([EOS, 7, 8, 9])
    least_new_tokens = 2

    def __init__(self) -> None:
        masks = {"odd": [0, 1, 0, 1], "even": [0, 0, 1, 0], "last": [0, 0, 0, 1], "end": [1, 0, 0, 0]}
        self._masks = {name: np.array(mask, dtype=bool) for name, mask in masks.items()}

    def start(self) -> str:
        return "odd"

    def mask(self, state: str, left: int) -> np.ndarray:
        return self._masks["last" if state == "odd" and left < 4 else state]

    def advance(self, state: str, column: int) -> str:
        return {7: "even", 8: "odd", 9: "end", EOS: "end"}[int(self.ids_V[column])]


@pytest.mark.parametrize("way", WAYS)
def test_a_grammar_goes_before_the_ban(way: dict, lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(3), prompts()
    for size in (1, 2):
        config = GenerationConfig(max_new_tokens=10, no_repeat_ngram_size=size, **way)
        for ids in flat(generate(model, batch, config, grammar=Ladder())):
            assert ids[-2:] == [9, EOS] and len(ids) <= 10
            assert ids[:-2] == [7, 8] * (len(ids[:-2]) // 2)
            if size == 1:
                assert len(ids) <= 4  # where there was a choice, the ban held


def test_a_lifted_ban_has_no_share_of_free_samples(lively_model: MakeModel, prompts: MakeBatch) -> None:
    """Without the grammar such a token is never sampled, so faithful sampling does not keep the sequence."""

    class Forced(Ladder):
        def mask(self, state: str, left: int) -> np.ndarray:
            return self._masks["last" if left < 4 else state] if state == "odd" and left < 7 else self._forced(state)

        def _forced(self, state: str) -> np.ndarray:
            return np.array([0, 1, 0, 0], dtype=bool) if state == "odd" else self._masks[state]

    config = GenerationConfig(max_new_tokens=10, do_sample=True, no_repeat_ngram_size=2, shares=True)
    made = generate(lively_model(3), prompts((4,)), config, grammar=Forced())
    assert made.lifted and made.log_shares == [[-np.inf]]
    plain = generate(lively_model(3), prompts((4,)), replace(config, no_repeat_ngram_size=0), grammar=Forced())
    assert not plain.lifted and np.isfinite(plain.log_shares).all()


# Company, cost, defaults


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("way", WAYS)
def test_rows_generate_alike_alone_and_together(
    way: dict, rules: dict, lively_model: MakeModel, prompts: MakeBatch
) -> None:
    model, batch = lively_model(1), prompts(row_ids=("a", "b", "c", "d"))
    config = GenerationConfig(max_new_tokens=15, **rules, **way)
    together = generate(model, batch, config)
    for row in range(4):
        alone = replace(batch, ids_BL=batch.ids_BL[[row]], mask_BL=batch.mask_BL[[row]], row_ids=(batch.row_ids[row],))
        made = generate(model, alone, config)
        assert flat(made) == [ids.tolist() for ids in together.ids_list[row]]
        assert made.scores[0] == pytest.approx(together.scores[row], abs=1e-4)


def test_the_likelihood_stays_the_models(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model, batch = lively_model(2), prompts((4,))
    for way in ({}, BEAMS[0]):
        config = GenerationConfig(max_new_tokens=10, repetition_penalty=1.6, no_repeat_ngram_size=2, **way)
        made = generate(model, batch, config)
        for ids, found in zip(made.ids_list[0], made.log_likelihoods[0], strict=True):
            decoder = torch.tensor([[START, *ids.tolist()[:-1]]])
            read = torch.arange(len(ids)).unsqueeze(0)
            asked = replace(batch, wants=("logits",), decoder_ids_DT=decoder, read_DR=read)
            with torch.inference_mode():
                log_probs = torch.log_softmax(model(asked).logits_DRV[0], dim=1)
            assert found == pytest.approx(
                log_probs[torch.arange(len(ids)), torch.from_numpy(ids)].sum().item(), abs=1e-4
            )


def test_nothing_is_kept_by_default(
    lively_model: MakeModel, prompts: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Repeats, "__init__", lambda *given: pytest.fail("nobody asked for it"))
    for way in WAYS:
        generate(lively_model(), prompts(), GenerationConfig(repetition_penalty=1.0, no_repeat_ngram_size=0, **way))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"repetition_penalty": 0.0}, "repetition_penalty must be above 0, not 0.0"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty must be a finite number"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size must be 0 or more, not -1"),
    ],
)
def test_wrong_rules_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GenerationConfig(**wrong)
