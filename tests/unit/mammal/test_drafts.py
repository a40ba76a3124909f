"""Drafts copied from the prompt: the same sequences and likelihoods as token by token, with fewer passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import mammal
from mammal.decoding import generate_stream
from mammal.decoding.ages import Ages
from mammal.decoding.decoder_cache import DecodingState
from mammal.decoding.drafts import DraftCost
from mammal.decoding.generate_batch import Generated, GenerationConfig, generate
from mammal.decoding.generate_stream import Room, generate_each
from mammal.decoding.prompt_keys import PromptKeys
from mammal.decoding.random_numbers import Draw
from mammal.decoding.slots import Finished
from mammal.decoding.waiting import Prompts
from mammal.errors import ConfigError
from mammal.model.config import ScalarHeadConfig
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

MakeModel = Callable[..., MammalModel]
MakeBatch = Callable[..., Batch]
EOS, SCALAR = 5, 30
WAYS: list[dict[str, Any]] = [
    {},
    {"min_new_tokens": 8},
    {"allowed_ids": [EOS, *range(7, 28)]},
    {"stop_ids": [9, 12, 20]},
    {"repetition_penalty": 1.4},
    {"no_repeat_ngram_size": 2, "min_new_tokens": 5},
    {"guidance": 1.5, "repetition_penalty": 1.2},
    {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "seed": 4},
    {"do_sample": True, "num_return_sequences": 2},
    {"num_beams": 3, "num_return_sequences": 2},
]


class Thirds:
    """A grammar: no token of `ids_V` comes three times in a row; the state is the last column and how often it came."""

    ids_V = np.array([EOS, *range(7, 28)])
    least_new_tokens = 2

    def __init__(self) -> None:
        self._masks: dict[tuple[Any, bool], np.ndarray] = {}

    def start(self) -> tuple[int, int]:
        return -1, 0

    def mask(self, state: tuple[int, int], left: int) -> np.ndarray:
        column, times = state
        key = (column if times == 2 else None if column >= 0 else "first", left == 1)
        if key not in self._masks:
            mask_V = np.ones(len(self.ids_V), dtype=bool)
            if key[0] == "first":
                mask_V[0] = False
            elif key[0] is not None:
                mask_V[key[0]] = False
            if left == 1:
                mask_V[1:] = False
            self._masks[key] = mask_V
        return self._masks[key]

    def advance(self, state: tuple[int, int], column: int) -> tuple[int, int]:
        return column, state[1] + 1 if state[0] == column else 1


@pytest.fixture(scope="module")
def copying_model(lively_model: MakeModel) -> MakeModel:
    """Makes models that copy their prompt: step t of the decoder reads the embedding of token t of the prompt.

    The other weights are noise, which makes other tokens win now and then.
    """

    def make(seed: int = 0, noise: float = 0.1, **changes: Any) -> MammalModel:
        sizes = {"d_model": 24, "d_kv": 8, "num_heads": 3, "num_decoder_layers": 1, "cross_attention_num_buckets": 16}
        model = lively_model(seed, **{**sizes, **changes})
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(noise / 0.4)
            embedding_VW = torch.nn.functional.normalize(torch.randn(40, 24), dim=1) * 5
            model.t5_model.shared.weight.copy_(embedding_VW)
            model.t5_model.lm_head.weight.copy_(embedding_VW)
            for stack in (model.t5_model.encoder, model.t5_model.decoder):
                stack.final_layer_norm.weight.fill_(1.0)
            reads = model.t5_model.decoder.blocks[0].cross.EncDecAttention
            for projection, scale in ((reads.v, 1.0), (reads.o, 20.0)):
                projection.weight.add_(torch.eye(24) * scale)
            reads.relative_attention_bias.weight[0] += 30.0
        return model

    return make


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of tokens that each pass of the decoder feeds to a row."""
    seen: list[int] = []
    run = DecodingState._run

    def counted(state: DecodingState, x_NW: torch.Tensor, tokens: int) -> torch.Tensor:
        seen.append(tokens)
        return run(state, x_NW, tokens)

    monkeypatch.setattr(DecodingState, "_run", counted)
    return seen


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drafts cost nothing, so that each has its full length, whether guesses are correct or not."""
    monkeypatch.setattr(generate_stream, "ON_CPU", DraftCost(0.0, 1e-12))


def prompt(length: int = 24, seed: int = 0, *, ends: bool = True) -> Batch:
    """One prompt without special tokens, except `<EOS>` at its end."""
    ids_1L = torch.randint(7, 28, (1, length), generator=torch.Generator().manual_seed(seed))
    if ends:
        ids_1L[0, -1] = EOS
    return Batch("decoder", (), ids_1L, torch.ones_like(ids_1L, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.long))


def made(model: MammalModel, batch: Batch, config: GenerationConfig, **how: Any) -> Generated:
    if config.guidance != 1:
        how["without"] = replace(batch, mask_BL=torch.arange(batch.ids_BL.shape[1]).unsqueeze(0) < 3)
    return generate(model, batch, config, **how)


def same(model: MammalModel, batch: Batch, config: GenerationConfig, **how: Any) -> Generated:
    """Generates with and without drafts, compares both, and returns what was generated."""
    plain = made(model, batch, replace(config, drafts=False), **how)
    drafted = made(model, batch, config, **how)
    for with_drafts, without in zip(drafted.ids_list, plain.ids_list, strict=True):
        assert [ids.tolist() for ids in with_drafts] == [ids.tolist() for ids in without]
    for name in ("scores", "log_likelihoods"):
        for found, expected in zip(getattr(drafted, name), getattr(plain, name), strict=True):
            assert found == pytest.approx(expected, rel=1e-5, abs=2e-5)
    assert drafted.lifted == plain.lifted
    return drafted


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("way", WAYS)
def test_the_same_sequences_as_token_by_token(way: dict[str, Any], lively_model: MakeModel) -> None:
    for seed in range(6):
        same(lively_model(seed), prompt(seed=seed), GenerationConfig(max_new_tokens=30, **way))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("way", WAYS)
def test_the_same_copies_as_token_by_token(way: dict[str, Any], copying_model: MakeModel) -> None:
    for seed in range(4):
        for noise in (0.1, 0.35):
            same(copying_model(seed, noise), prompt(seed=seed), GenerationConfig(max_new_tokens=40, **way))


@pytest.mark.parametrize("way", [{}, {"no_repeat_ngram_size": 3}, {"do_sample": True}])
@pytest.mark.parametrize("make", ["lively_model", "copying_model"])
def test_a_grammar_is_followed_inside_drafts(
    make: str, way: dict[str, Any], passes: list[int], request: pytest.FixtureRequest
) -> None:
    for seed in range(4):
        batch = prompt(seed=seed)
        batch.ids_BL[0, 5:9] = 11  # a copy has 11 four times, which the grammar forbids
        model = request.getfixturevalue(make)(seed)
        found = same(model, batch, GenerationConfig(max_new_tokens=26, **way), grammar=Thirds())
        ids = found.ids_list[0][0].tolist()
        assert all(ids[place : place + 3] != [token] * 3 for place, token in enumerate(ids)) and len(ids) > 1
    assert max(passes) > 1 or make == "lively_model"


def test_a_copy_needs_few_passes(copying_model: MakeModel, passes: list[int]) -> None:
    batch = prompt(40)
    found = same(copying_model(), batch, GenerationConfig(max_new_tokens=60))
    assert found.ids_list[0][0].tolist() == batch.ids_BL[0].tolist()
    assert passes[:40] == [1] * 40 and len(passes) - 40 <= 7
    assert sum(passes[40:]) >= 40, "each token of the prompt is fed"


def test_the_number_is_the_longest_draft(copying_model: MakeModel, passes: list[int]) -> None:
    for drafts, longest in ((3, 4), (True, 11), (0, 1), (False, 1)):
        passes.clear()
        generate(copying_model(), prompt(40), GenerationConfig(max_new_tokens=60, drafts=drafts))
        assert max(passes) == longest


def test_drafts_stop_if_the_prompt_is_not_copied(lively_model: MakeModel, passes: list[int]) -> None:
    """Sampling makes almost any token of the prompt follow any other."""
    batch = prompt(40, ends=False)
    drafted, tokens = 0, 0
    for seed in range(8):
        hot = {"do_sample": True, "temperature": 30.0}
        config = GenerationConfig(60, min_new_tokens=59, allowed_ids=[EOS, *range(7, 28)], **hot)
        passes.clear()
        made(lively_model(seed), batch, config)
        drafted, tokens = drafted + sum(fed > 1 for fed in passes), tokens + len(passes)
    assert tokens > 300 and 0 < drafted < 0.1 * tokens


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("most", range(1, 14))
def test_the_most_new_tokens_end_inside_a_draft(most: int, copying_model: MakeModel) -> None:
    batch = prompt(20)
    found = same(copying_model(), batch, GenerationConfig(max_new_tokens=most))
    assert found.ids_list[0][0].tolist() == batch.ids_BL[0, :most].tolist()


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("way", "ends"), [({}, EOS), ({"stop_ids": [3]}, 3)])
def test_an_end_inside_the_prompt_ends_the_copy(
    way: dict[str, Any], ends: int, copying_model: MakeModel, passes: list[int]
) -> None:
    batch = prompt(20)
    batch.ids_BL[0, 6] = ends
    found = same(copying_model(), batch, GenerationConfig(max_new_tokens=40, **way))
    assert found.ids_list[0][0].tolist() == batch.ids_BL[0, :7].tolist()
    assert len(passes) == 7 + 2


@pytest.mark.usefixtures("always")
def test_the_end_comes_late_enough(copying_model: MakeModel) -> None:
    batch = prompt(20)
    batch.ids_BL[0, 6] = EOS
    found = same(copying_model(), batch, GenerationConfig(max_new_tokens=40, min_new_tokens=10))
    assert len(found.ids_list[0][0]) > 10


@pytest.mark.usefixtures("always")
def test_values_are_fed_with_their_tokens(copying_model: MakeModel, passes: list[int]) -> None:
    heads = {"scalars_prediction_head": ScalarHeadConfig(), "support_input_scalars": True, "decoder_scalars": True}
    for seed in range(4):
        model, batch = copying_model(seed, **heads), prompt(20, seed)
        with torch.no_grad():
            model.decoder_scalars_head.last.weight.normal_(0.0, 1.0)
        batch.ids_BL[0, [4, 11]] = SCALAR
        passes.clear()
        config = GenerationConfig(max_new_tokens=40, scalar_id=SCALAR)
        found = same(model, batch, config)
        assert len(passes) < 1.6 * len(found.ids_list[0][0]), "fewer passes with drafts than without"
        ((values,),) = found.values_list or [[np.zeros(0)]]
        assert np.isfinite(values[[4, 11]]).all() and np.isnan(values).sum() == len(values) - 2
        plain = made(model, batch, replace(config, drafts=False))
        ((expected,),) = plain.values_list or [[np.zeros(0)]]
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("way", [{}, {"do_sample": True, "num_return_sequences": 3}])
def test_each_prompt_has_drafts_of_its_own(way: dict[str, Any], copying_model: MakeModel, passes: list[int]) -> None:
    """Prompts that are computed one after the other in a batch of one sequence."""
    model, config = copying_model(), GenerationConfig(max_new_tokens=30, **way)
    batches = [prompt(length, seed) for seed, length in enumerate((20, 9, 26, 14))]
    found: dict[object, list[Finished]] = {}
    source = [Prompts(batch, [number]) for number, batch in enumerate(batches)]
    keep = {"draw": lambda name, number: Draw(0, name, number), "room": Room(1, 40)}
    generate_each(model, source, config, lambda one: found.setdefault(one.name, []).append(one), **keep)
    assert max(passes) > 1 or way
    for number, batch in enumerate(batches):
        if not way:
            assert found[number][0].ids.tolist() == batch.ids_BL[0].tolist()
    assert [len(found[number]) for number in range(4)] == [config.num_return_sequences] * 4


def test_several_rows_are_computed_without_drafts(copying_model: MakeModel, passes: list[int]) -> None:
    batch = prompt(20)
    twice = replace(batch, ids_BL=batch.ids_BL.repeat(2, 1), mask_BL=batch.mask_BL.repeat(2, 1))
    same(copying_model(), twice, GenerationConfig(max_new_tokens=30, drafts=True))
    assert set(passes) == {1}


@torch.inference_mode()
@pytest.mark.parametrize("buckets", [0, 8])
@pytest.mark.parametrize("copies", [1, 3])
def test_tokens_fed_at_once_give_the_same_states(
    buckets: int, copies: int, lively_model: MakeModel, prompts: MakeBatch
) -> None:
    """Also of rows that go on after a part of the tokens."""
    model, batch = lively_model(cross_attention_num_buckets=buckets), prompts((7, 3))
    ids_DT = torch.randint(0, 40, (2 * copies, 9), generator=torch.Generator().manual_seed(0))

    def fresh() -> DecodingState:
        keys = PromptKeys.of(model, model.encode(batch))
        return DecodingState(model, keys, copies, Ages(2 * copies, 9, model.device))

    def fed(state: DecodingState, tokens: slice) -> torch.Tensor:
        states = []
        for ids_D in ids_DT[:, tokens].T:
            states.append(state.step(ids_D))
            state.ages.advance()
        return torch.stack(states, dim=1)

    one_by_one, at_once = fresh(), fresh()
    expected = fed(one_by_one, slice(9))
    torch.testing.assert_close(fed(at_once, slice(2)), expected[:, :2])
    wrong_DT = ids_DT.clone()
    wrong_DT[:, 4:] = 17
    states = at_once.step_ahead(wrong_DT[:, 2:8])
    torch.testing.assert_close(states[:, :2], expected[:, 2:4])
    at_once.ages.advance()
    at_once.ages.advance()  # two tokens are accepted, the others are discarded
    torch.testing.assert_close(at_once.step_ahead(ids_DT[:, 4:9]), expected[:, 4:9])


@pytest.mark.parametrize("drafts", [-1, 1.5, "yes"])
def test_wrong_settings_are_refused(drafts: Any) -> None:
    with pytest.raises(ConfigError, match="drafts must be"):
        GenerationConfig(drafts=drafts)


def test_one_row_of_a_task_is_drafted(small_bundle: Callable[..., Any], passes: list[int]) -> None:
    model = mammal.load(
        small_bundle(
            {
                "name": "edited",
                "kind": "generation",
                "prompt": {"input": "{smiles:smiles}", "target": "<SENTINEL_ID_0> {product:smiles}"},
                "generation": {"constraint": "alphabet", "max_new_tokens": 40, "min_new_tokens": 30},
            }
        ),
        device="cpu",
    )
    rows = [{"smiles": "CCOC(=O)c1ccccc1CCOC(=O)c1ccccc1"}]
    found = model.generate(rows)
    assert max(passes) > 1
    passes.clear()
    plain = model.generate(rows, drafts=False)
    assert set(passes) == {1} and found["text"].tolist() == plain["text"].tolist()
