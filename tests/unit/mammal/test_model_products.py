"""Prepared copies of weights are used if they save time, and are deleted when the weights change."""

from __future__ import annotations

import copy
import io
from dataclasses import replace

import pytest
import torch

from mammal.model import products
from mammal.model.config import ModelConfig
from mammal.model.layers import Linear, dropout
from mammal.model.model import MammalModel
from mammal.model.packing import Packing
from mammal.model.products import ACTIVATIONS, Product
from mammal.tasks.batches.batch import Batch

MANY = 600  # tokens that repay a copy at once


@pytest.fixture(autouse=True)
def always_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes copies of weights that are too small to be worth it."""
    monkeypatch.setattr(products, "PAYS_FROM", ((1, 1),))


def layers(count: int, bias: bool = False) -> list[Linear]:
    made = [Linear(12, 8 + i, bias=bias) for i in range(count)]
    for layer in made:
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
    return made


@pytest.mark.parametrize(("count", "bias"), [(1, False), (1, True), (3, False), (2, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@torch.no_grad()
def test_every_call_gives_what_the_layers_give(count: int, bias: bool, dtype: torch.dtype, activation: str) -> None:
    product, linears = Product(activation), [layer.to(dtype) for layer in layers(count, bias)]
    for tokens in (3, MANY, 1, 0, 40):
        x = torch.randn(tokens, 12, dtype=dtype)
        for ours, layer in zip(product(x, *linears), linears, strict=True):
            expected = ACTIVATIONS.get(activation, lambda y: y)(layer(x))
            assert torch.allclose(ours.float(), expected.float(), atol=0.1 if dtype != torch.float32 else 1e-5)


@pytest.mark.parametrize(
    ("rows", "width", "copied"), [(1, 400, False), (2, 400, True), (64, 120, False), (256, 300, True), (1, 1024, True)]
)
@torch.no_grad()
def test_small_weights_are_applied_as_they_are(
    rows: int, width: int, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    product, layer, x = Product(), Linear(width, width, bias=False), torch.randn(rows, width)
    for _ in range(40):
        product(x, layer)
    assert (product._copy is not None) == copied


@torch.no_grad()
def test_changed_weights_are_noticed() -> None:
    product, (layer,) = Product(), layers(1)
    x = torch.randn(MANY, 12)
    product(x, layer)
    layer.weight.mul_(2)
    assert torch.allclose(product(x, layer)[0], layer(x), atol=1e-5)
    product(x, layer)
    layer.weight.data = torch.randn(8, 12)
    assert torch.allclose(product(x, layer)[0], layer(x), atol=1e-5)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("candidates", [None, torch.arange(9)])
def test_validation_between_training_steps_sees_the_trained_weights(
    fused: bool, candidates: torch.Tensor | None
) -> None:
    sizes = {"d_model": 16, "d_ff": 24, "d_kv": 4, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}
    model = MammalModel(ModelConfig(vocab_size=40, dropout_rate=0.0, **sizes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused)
    ids = torch.randint(0, 40, (8, 90))
    mask = torch.ones_like(ids, dtype=torch.bool)
    batch = Batch("decoder", ("logits",), ids, mask, torch.arange(90).expand(8, 90), decoder_ids_DT=ids)
    for _ in range(3):
        with torch.no_grad():
            validated = [model(batch).logits_DRV for _ in range(3)]
        expected = model(batch).logits_DRV
        assert torch.allclose(validated[-1], expected, atol=1e-4)
        model(replace(batch, candidates_V=candidates)).logits_DRV.square().mean().backward()
        optimizer.step()


@torch.no_grad()
def test_copies_can_be_dropped_by_hand() -> None:
    sizes = {"d_model": 16, "d_ff": 24, "d_kv": 4, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}
    model = MammalModel(ModelConfig(vocab_size=40, **sizes)).eval()
    ids = torch.randint(0, 40, (8, 90))
    batch = Batch("encoder", ("hidden",), ids, torch.ones_like(ids, dtype=torch.bool), ids[:, :1])
    model(batch)
    for parameter in model.parameters():
        parameter.data.mul_(1.5)
    model.forget_copies()
    with torch.enable_grad():
        expected = model(batch).hidden_BLW
    assert torch.allclose(model(batch).hidden_BLW, expected, atol=1e-4)


def test_gradients_reach_the_weights() -> None:
    product, linears = Product(), layers(2)
    with torch.no_grad():
        product(torch.randn(MANY, 12), *linears)
    sum(out.sum() for out in product(torch.randn(MANY, 12), *linears)).backward()
    assert all(layer.weight.grad.count_nonzero() for layer in linears)


@torch.no_grad()
def test_subclassed_layers_are_called_themselves() -> None:
    class Doubled(Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    doubled = Doubled(4, 4)
    torch.nn.init.eye_(doubled.weight)
    doubled.bias.zero_()
    x = torch.randn(MANY, 4)
    product = Product()
    assert all(torch.equal(product(x, doubled)[0], 2 * x) for _ in range(2))


@torch.no_grad()
def test_copies_stay_out_of_copies_and_files() -> None:
    product, linears = Product(), layers(2)
    x = torch.randn(MANY, 12)
    expected = product(x, *linears)
    assert torch.equal(copy.deepcopy(product)(x, *linears)[0], expected[0])
    buffer = io.BytesIO()
    torch.save(product, buffer)
    assert buffer.tell() < 2000


def test_packing_and_padding_undo_each_other() -> None:
    mask = torch.tensor([[True, True, False, False], [False] * 4, [True, False, True, False]])
    packing = Packing.of_mask(mask)
    x = torch.arange(12.0).view(3, 4, 1)
    packed = packing.pack(x)
    assert packed.flatten().tolist() == [0, 1, 8, 10]
    assert packing.length == 3
    assert torch.equal(packing.pad(packed), (x * mask.unsqueeze(2))[:, :3])
    assert not packing.splittable


def test_grouping_keeps_tokens_of_a_row_side_by_side() -> None:
    grouped = Packing.by_row(torch.tensor([2, 0, 2, 2]), 3)
    padded = grouped.pad(torch.tensor([[1.0], [2.0], [3.0], [4.0]])).squeeze(2)
    assert padded.tolist() == [[2, 0, 0], [0, 0, 0], [1, 3, 4]]
    assert grouped.pack(padded.unsqueeze(2)).flatten().tolist() == [1, 2, 3, 4]


def test_dropout_keeps_the_mean_and_the_rate() -> None:
    torch.manual_seed(0)
    x = torch.ones(1001, 333, requires_grad=True)
    dropped = dropout(x, 0.3)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped)
    assert dropout(x, 0.3, training=False) is x
    torch.manual_seed(0)
    assert torch.equal(dropout(x, 0.3), dropped)
