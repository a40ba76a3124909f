"""Heads read the positions of the batch, numbers enter at the tokens that carry them, nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mammal.errors import BundleError, ConfigError
from mammal.model.config import ModelConfig, ScalarHeadConfig
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

SIZES = {"d_model": 16, "d_ff": 24, "d_kv": 4, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}


def small_model(**changes: object) -> MammalModel:
    torch.manual_seed(0)
    heads = {"encoder_head_layers": (8,), "scalars_prediction_head": {"layers": ()}, "support_input_scalars": True}
    return MammalModel(ModelConfig(vocab_size=40, **{**SIZES, **heads, **changes})).eval()


def encoder_batch(**changes: object) -> Batch:
    ids = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    read = torch.tensor([[0, 3], [1, -1]])
    return replace(Batch("encoder", ("logits", "values"), ids, mask, read), **changes)


@torch.inference_mode()
def test_reads_pick_positions_and_leave_zeros_where_nothing_is_read() -> None:
    model = small_model()
    everywhere = torch.tensor([[0, 1, 2, 3], [0, 1, -1, -1]])
    full, some = model(encoder_batch(read_DR=everywhere)), model(encoder_batch())
    assert some.logits_DRV.shape == (2, 2, 40)
    assert torch.allclose(some.logits_DRV[0], full.logits_DRV[0, [0, 3]], atol=1e-6)
    assert torch.allclose(some.values_DR[1, 0], full.values_DR[1, 1], atol=1e-6)
    assert some.logits_DRV[1, 1].count_nonzero() == 0
    assert some.values_DR[1, 1] == 0


@torch.inference_mode()
@pytest.mark.parametrize("mode", ["encoder", "decoder"])
def test_candidates_slice_the_vocabulary(mode: str) -> None:
    model, candidates = small_model(), torch.tensor([2, 9, 31])
    batch = encoder_batch(mode=mode, wants=("logits",), decoder_ids_DT=torch.tensor([[16, 5, 5, 5], [16, 6, 6, 6]]))
    full = model(batch).logits_DRV
    sliced = model(replace(batch, candidates_V=candidates)).logits_DRV
    read = batch.read_DR >= 0
    assert torch.allclose(sliced[read], full[read][:, candidates], atol=1e-6)


@torch.inference_mode()
def test_only_what_is_wanted_is_computed() -> None:
    output = small_model()(encoder_batch(wants=("hidden",)))
    assert output.logits_DRV is None
    assert output.values_DR is None
    assert output.hidden_BLW.shape == (2, 4, 16)
    assert output.hidden_BLW[1, 2:].count_nonzero() == 0


@torch.inference_mode()
def test_values_move_their_own_tokens_only() -> None:
    model = small_model(num_layers=1)
    has_value = torch.tensor([[False, True, False, False], [False] * 4])
    values = torch.tensor([[99.0, 2.0, 99.0, 99.0], [99.0] * 4])
    plain = model(encoder_batch(wants=("hidden",))).hidden_BLW
    carried = model(encoder_batch(wants=("hidden",), values_BL=values, has_value_BL=has_value)).hidden_BLW
    other_filler = values.masked_fill(~has_value, -1000.0)
    refilled = model(encoder_batch(wants=("hidden",), values_BL=other_filler, has_value_BL=has_value)).hidden_BLW
    assert not torch.allclose(plain[0], carried[0])
    assert torch.equal(plain[1], carried[1])
    assert torch.equal(carried, refilled)


@torch.inference_mode()
def test_a_model_without_scalar_input_ignores_values() -> None:
    model = small_model(support_input_scalars=False)
    carried = encoder_batch(values_BL=torch.ones(2, 4), has_value_BL=torch.ones(2, 4, dtype=torch.bool))
    assert torch.equal(model(encoder_batch()).values_DR, model(carried).values_DR)


@torch.inference_mode()
def test_error_estimates_come_beside_the_values() -> None:
    output = small_model(scalars_prediction_head=ScalarHeadConfig((6,), 0.1, 1, True))(encoder_batch())
    assert output.values_DR.shape == output.spreads_DR.shape == (2, 2)
    assert not torch.equal(output.values_DR, output.spreads_DR)


@torch.inference_mode()
def test_decoder_reads_and_gives_values() -> None:
    model = small_model(decoder_scalars=True)
    decoder_ids = torch.tensor([[16, 30], [16, 30]])
    fields = {"mode": "decoder", "wants": ("values",), "read_DR": torch.tensor([[0, 1], [0, 1]])}
    fields |= {"decoder_ids_DT": decoder_ids, "decoder_has_value_DT": decoder_ids == 30}
    low = model(encoder_batch(**fields, decoder_values_DT=torch.tensor([[0.0, 0.5], [0.0, 0.5]]))).values_DR
    high = model(encoder_batch(**fields, decoder_values_DT=torch.tensor([[0.0, 7.5], [0.0, 0.5]]))).values_DR
    assert torch.equal(low[:, 0], high[:, 0])  # a value is seen from its token on
    assert low[0, 1] != high[0, 1]
    assert low[1, 1] == high[1, 1]


@torch.inference_mode()
def test_external_embeddings_are_projected_and_added_in_place() -> None:
    model = small_model(external_embeddings={"esm2": 5})
    vectors = torch.randn(2, 5)
    plain = model(encoder_batch(wants=("hidden",))).hidden_BLW
    added = model(encoder_batch(wants=("hidden",), embeddings=((0, 1, "esm2", vectors),))).hidden_BLW
    assert not torch.allclose(plain[0], added[0])
    assert torch.equal(plain[1], added[1])


def test_external_embeddings_of_another_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="width 5"):
        small_model()(encoder_batch(embeddings=((0, 1, "other", torch.randn(1, 5)),)))


@pytest.mark.parametrize(
    ("changes", "batch", "named"),
    [
        ({"encoder_head_layers": None}, {"wants": ("logits",)}, "encoder_head_layers"),
        ({"scalars_prediction_head": None}, {"wants": ("values",)}, "scalars_prediction_head"),
        ({}, {"mode": "decoder", "wants": ("values",), "decoder_ids_DT": torch.full((2, 4), 16)}, "decoder_scalars"),
    ],
)
def test_a_missing_head_is_named(changes: dict, batch: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        small_model(**changes)(encoder_batch(**batch))


def test_wrong_configs_are_refused() -> None:
    with pytest.raises(ConfigError, match="gated-gelu"):
        ModelConfig(vocab_size=10, feed_forward_proj="gated-gelo")
    with pytest.raises(ConfigError, match="d_model"):
        ModelConfig(vocab_size=10, d_model=0)
    with pytest.raises(BundleError, match="num_classes"):
        ModelConfig(vocab_size=10, scalars_prediction_head={"num_clases": 1})
