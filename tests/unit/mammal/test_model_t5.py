"""Our T5 computes the same values and gradients as transformers' T5, on packed tokens and for any batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mammal.errors import ConfigError
from mammal.model.attention import FUSED_KERNEL_LENGTH, aligned
from mammal.model.config import ModelConfig
from mammal.model.hf import to_transformers
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

KINDS = {
    "gated, own head": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "relu, tied head": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "own head, scaled": {"tie_word_embeddings": False, "scale_decoder_outputs": True},
    "tied head, not scaled": {"tie_word_embeddings": True, "scale_decoder_outputs": False},
}


def tiny_model(**changes: object) -> MammalModel:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 3}
    sizes["dropout_rate"] = 0.0
    config = ModelConfig(vocab_size=60, **{**sizes, **changes})
    model = MammalModel(config)
    with torch.no_grad():  # biases start at zero, or alike; give them something to be compared by
        for name, weight in model.named_parameters():
            if "relative_attention_bias" in name:
                weight.normal_()
    return model


def decoder_batch(lengths: list[int], target_lengths: list[int], seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 60, (len(lengths), max(lengths)), generator=generator)
    target = torch.randint(0, 60, (len(lengths), max(target_lengths)), generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    target_mask = torch.arange(max(target_lengths)) < torch.tensor(target_lengths).unsqueeze(1)
    read = torch.arange(max(target_lengths)).expand_as(target).masked_fill(~target_mask, -1)
    return Batch("decoder", ("logits",), ids, mask, read, decoder_ids_DT=target, decoder_mask_DT=target_mask)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("longest", [11, FUSED_KERNEL_LENGTH + 60])
def test_forward_and_gradients_equal_transformers(kind: str, longest: int) -> None:
    model = tiny_model(**KINDS[kind]).train()
    twin = to_transformers(model).train()
    batch = decoder_batch([longest, longest - 7, longest - 3], [5, 2, 4])
    real = batch.decoder_mask_DT

    ours = model(batch).logits_DRV[real]
    theirs = twin(
        input_ids=batch.ids_BL,
        attention_mask=batch.mask_BL,
        decoder_input_ids=batch.decoder_ids_DT,
        decoder_attention_mask=batch.decoder_mask_DT,
    ).logits[real]
    assert torch.allclose(ours, theirs, atol=1e-5)

    labels = torch.arange(int(real.sum())) % 60
    F.cross_entropy(ours, labels).backward()
    F.cross_entropy(theirs, labels).backward()
    for name, parameter in twin.named_parameters():
        assert torch.allclose(model.t5_model.get_parameter(name).grad, parameter.grad, atol=1e-5), name


@torch.no_grad()
def test_training_and_inference_code_agree() -> None:
    model = tiny_model().eval()
    batch = decoder_batch([9, 4, 7], [3, 3, 1])
    with torch.enable_grad():
        slow = model(batch).logits_DRV.detach()
    for _ in range(60):  # until products are packed
        fast = model(batch).logits_DRV
    assert torch.allclose(slow, fast, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(
    "lengths", [[3, 9, 6, 1], [FUSED_KERNEL_LENGTH + extra for extra in (0, 40, 90, 5)], [4, 300, 5, 6]]
)
def test_outputs_do_not_depend_on_the_rest_of_the_batch(lengths: list[int]) -> None:
    model = tiny_model().eval()
    batch = decoder_batch(lengths, [4, 2, 3, 4])
    together = model(batch).logits_DRV
    for row in range(len(lengths)):
        alone = model(rows_of(batch, [row])).logits_DRV
        assert torch.allclose(together[row], alone[0], atol=1e-5)
    order = [2, 0, 3, 1]
    assert torch.allclose(model(rows_of(batch, order)).logits_DRV, together[order], atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("longest", [9, FUSED_KERNEL_LENGTH + 60])
def test_attention_to_the_encoder_may_know_positions(longest: int) -> None:
    model = tiny_model(cross_attention_num_buckets=16).eval()
    batch = decoder_batch([longest, longest - 4], [4, 3])
    logits = model(batch).logits_DRV
    assert torch.allclose(model(rows_of(batch, [1])).logits_DRV, logits[1:], atol=1e-5), "whatever the batch"

    table = model.t5_model.decoder.blocks[0].cross.EncDecAttention.relative_attention_bias.weight
    table.zero_()
    plain = tiny_model().eval()
    weights = model.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    assert torch.allclose(model(batch).logits_DRV, plain(batch).logits_DRV, atol=1e-5), "without biases there are none"
    assert not torch.allclose(model(batch).logits_DRV, logits, atol=1e-3)
    with pytest.raises(ConfigError, match="position biases"):
        to_transformers(model)


@torch.inference_mode()
def test_padding_changes_nothing() -> None:
    model = tiny_model(cross_attention_num_buckets=8).eval()
    batch = decoder_batch([5, 3], [2, 2])
    padded = replace(batch, ids_BL=F.pad(batch.ids_BL, (0, 4), value=7), mask_BL=F.pad(batch.mask_BL, (0, 4)))
    assert torch.allclose(model(batch).logits_DRV, model(padded).logits_DRV, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("positions", [0, 16])
def test_decoder_rows_share_an_encoder_row(positions: int) -> None:
    model = tiny_model(cross_attention_num_buckets=positions).eval()
    owners = torch.tensor([1, 0, 1, 1])
    encoded, decoded = decoder_batch([6, 4], [1, 1]), decoder_batch([1] * 4, [3, 1, 2, 3], seed=2)
    shared = replace(
        decoded, ids_BL=encoded.ids_BL, mask_BL=encoded.mask_BL, decoder_rows_D=owners, candidates_V=torch.arange(9)
    )
    copied = replace(shared, ids_BL=encoded.ids_BL[owners], mask_BL=encoded.mask_BL[owners], decoder_rows_D=None)
    assert torch.allclose(model(shared).logits_DRV, model(copied).logits_DRV, atol=1e-5)


@torch.inference_mode()
def test_a_row_without_tokens_stays_finite() -> None:
    model = tiny_model().eval()
    batch = decoder_batch([4, 2], [2, 2])
    batch.mask_BL[1] = False
    logits = model(batch).logits_DRV
    assert torch.isfinite(logits).all()
    assert torch.allclose(logits[:1], model(rows_of(batch, [0])).logits_DRV, atol=1e-5)


def test_a_new_model_attends_to_what_is_near() -> None:
    sizes = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4}
    model = MammalModel(ModelConfig(vocab_size=30, cross_attention_num_buckets=16, **sizes)).t5_model
    decoder = model.decoder.position_bias(300, torch.float32)[:, -1]
    assert (decoder.diff(dim=1) >= 0).all() and (decoder.diff(dim=1) > 0).any(dim=1).all()
    for bias_HQK in (model.encoder.position_bias(60, torch.float32), model.decoder.cross_bias(60, 60, torch.float32)):
        assert torch.equal(bias_HQK, bias_HQK.transpose(1, 2)), "as far ahead as behind"
        assert (bias_HQK[:, 0].diff(dim=1) <= 0).all() and (bias_HQK[:, 0, 0] == 0).all()
        steepness_H = -bias_HQK[:, 0, 1]
        assert (steepness_H[:-1] > steepness_H[1:]).all(), "each head in its own way"


def test_dropout_acts_in_training_only() -> None:
    model = tiny_model(dropout_rate=0.5)
    batch = decoder_batch([8, 8], [3, 3])
    with torch.no_grad():
        model.train()
        assert not torch.allclose(model(batch).logits_DRV, model(batch).logits_DRV)
        model.eval()
        assert torch.equal(model(batch).logits_DRV, model(batch).logits_DRV)


@torch.inference_mode()
def test_bfloat16_stays_near_float32() -> None:
    model = tiny_model().eval()
    batch = decoder_batch([8, 5], [3, 2])
    exact = model(batch).logits_DRV
    rounded = model.to(torch.bfloat16)(batch).logits_DRV
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("longest", [9, FUSED_KERNEL_LENGTH + 20])
def test_mixed_precision_trains_and_infers(longest: int) -> None:
    model = tiny_model()
    batch = decoder_batch([longest, longest - 4], [3, 2])
    exact = model(batch).logits_DRV
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model.train()(batch).logits_DRV
        with torch.no_grad():
            inferred = [model.eval()(batch).logits_DRV for _ in range(3)][-1]
    mixed.float().square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.t5_model.parameters())
    for output in (mixed, inferred):
        assert (output.float() - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("keys", [1, 8, 13])
def test_biases_in_aligned_memory_are_the_same(keys: int) -> None:
    bias = torch.randn(2, 3, 5, keys, requires_grad=True)
    found = aligned(bias)
    assert torch.equal(found, bias) and all(stride % 8 == 0 for stride in found.stride()[:-1])
    found.square().sum().backward()
    assert torch.allclose(bias.grad, 2 * bias.detach())


def test_vectors_of_other_models_are_read_in_mixed_precision() -> None:
    model = tiny_model(external_embeddings={"other": 5})
    batch = replace(decoder_batch([8, 5], [3, 2]), embeddings=((1, 2, "other", torch.ones(2, 5)),))
    exact = model(batch).logits_DRV
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(batch).logits_DRV
    assert (mixed.float() - exact).abs().max() < 0.05 * exact.abs().max()
    mixed.float().square().mean().backward()
    assert model.project_external_embeddings["other"].weight.grad.abs().max() > 0


def rows_of(batch: Batch, rows: list[int]) -> Batch:
    names = ("ids_BL", "mask_BL", "read_DR", "decoder_ids_DT", "decoder_mask_DT")
    return replace(batch, **{name: getattr(batch, name)[rows] for name in names})
