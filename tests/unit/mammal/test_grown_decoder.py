"""A decoder with more layers: the same answers at first, all layers can learn, and no layers are taken away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mammal.decoding.generate_batch import Generated, GenerationConfig, generate
from mammal.errors import ConfigError
from mammal.model.grown import grow_decoder
from mammal.model.hf import to_transformers
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

MakeModel = Callable[..., MammalModel]
MakeBatch = Callable[..., Batch]
SETTINGS = GenerationConfig(max_new_tokens=12, num_beams=3)


def flat(generated: Generated) -> list[list[int]]:
    return [ids.tolist() for beams in generated.ids_list for ids in beams]


@pytest.mark.parametrize("changes", [{}, {"feed_forward_proj": "relu"}, {"cross_attention_num_buckets": 8}])
@pytest.mark.parametrize("layers", [2, 3, 4, 7])
def test_a_grown_decoder_answers_as_before(
    layers: int, changes: dict, lively_model: MakeModel, prompts: MakeBatch
) -> None:
    model, batch = lively_model(**changes), prompts()
    before = generate(model, batch, SETTINGS)
    grow_decoder(model, layers)
    after = generate(model, batch, SETTINGS)

    assert model.config.num_decoder_layers == layers == len(model.t5_model.decoder.block)
    assert flat(before) == flat(after)
    assert before.scores == after.scores


def test_new_layers_follow_the_layer_they_copy(lively_model: MakeModel) -> None:
    trained = lively_model().t5_model.decoder.blocks
    model = lively_model()
    grow_decoder(model, 5)
    order = [block.own.SelfAttention.q.weight for block in model.t5_model.decoder.blocks]
    for found, place in zip(order, [0, 0, 0, 1, 1], strict=True):
        assert torch.equal(found, trained[place].own.SelfAttention.q.weight)


def test_a_grown_model_that_learns_uses_all_layers(lively_model: MakeModel, prompts: MakeBatch) -> None:
    model = lively_model().train()
    grow_decoder(model, 5)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    ids = {"decoder_ids_DT": torch.arange(8, 20).reshape(4, 3), "decoder_mask_DT": torch.ones(4, 3).bool()}
    batch = prompts(wants=("logits",), read_DR=torch.arange(3).repeat(4, 1), **ids)
    for _ in range(2):  # a layer that adds zero passes no gradient to its other weights in the first step
        optimiser.zero_grad()
        model(batch).logits_DRV.pow(2).mean().backward()
        optimiser.step()
    for name, weight in model.t5_model.decoder.block.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name
    twin, inputs = to_transformers(model.eval()), {"input_ids": batch.ids_BL, "attention_mask": batch.mask_BL}
    theirs = twin(**inputs, decoder_input_ids=batch.decoder_ids_DT).logits
    torch.testing.assert_close(model(batch).logits_DRV, theirs, atol=1e-4, rtol=1e-4)


def test_layers_are_not_taken_away(lively_model: MakeModel) -> None:
    with pytest.raises(ConfigError, match="has 2 layers"):
        grow_decoder(lively_model(), 1)
