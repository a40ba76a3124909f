"""A CUDA device computes what the CPU computes: outputs, losses, gradients, steps of optimisers, saved weights."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mammal.model.attention import FUSED_KERNEL_LENGTH, attend, attend_fused, relative_buckets
from mammal.model.checkpoint import load_checkpoint, save_checkpoint
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.training.muon import muon
from mammal.training.optim import adamw

pytestmark = pytest.mark.gpu

VOCABULARY = 60
LONG = FUSED_KERNEL_LENGTH + 45
SIZES = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 3}
PARTS = {
    "encoder_head_layers": (24,),
    "scalars_prediction_head": {"layers": [8], "predict_error": True, "num_classes": 1},
    "support_input_scalars": True,
    "decoder_scalars": True,
    "external_embeddings": {"other": 5},
    "vector_heads": {"vector": 4},
}


def make(**changes: object) -> MammalModel:
    torch.manual_seed(0)
    model = MammalModel(ModelConfig(vocab_size=VOCABULARY, dropout_rate=0.0, **{**SIZES, **PARTS, **changes}))
    with torch.no_grad():  # biases start at zero, or alike
        for name, weight in model.named_parameters():
            if "relative_attention_bias" in name or name.endswith(".bias"):
                weight.normal_()
    return model


def padded(lengths: list[int], seed: int) -> tuple[Tensor, Tensor]:
    ids = torch.randint(6, VOCABULARY, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    return ids.masked_fill(~mask, 1), mask


def encoder_batch(lengths: list[int], **changes: object) -> Batch:
    ids, mask = padded(lengths, 1)
    read = torch.tensor([[0, 2]] * len(lengths))
    read[-1, 1] = -1
    values = torch.linspace(-1, 1, ids.numel()).view_as(ids)
    wants = ("logits", "values", "vectors", "pooled", "hidden")
    batch = Batch("encoder", wants, ids, mask, read, values_BL=values, has_value_BL=ids % 7 == 0, vectors=("vector",))
    vectors = torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    return replace(batch, embeddings=((0, 1, "other", vectors),), **changes)


def decoder_batch(lengths: list[int], targets: list[int], rows: list[int] | None = None, **changes: object) -> Batch:
    (ids, mask), (target, target_mask) = padded(lengths, 1), padded(targets, 2)
    read = torch.arange(max(targets)).expand_as(target).masked_fill(~target_mask, -1)
    batch = Batch("decoder", ("logits",), ids, mask, read, decoder_ids_DT=target, decoder_mask_DT=target_mask)
    return replace(batch, decoder_rows_D=None if rows is None else torch.tensor(rows), **changes)


CROSS = {"cross_attention_num_buckets": 8}
CASES: dict[str, tuple[dict[str, object], Batch]] = {
    "encoder, all heads": ({}, encoder_batch([9, 7, 4])),
    "encoder, long rows": ({}, encoder_batch([LONG, LONG - 30, 5])),
    "encoder, no padding": ({}, encoder_batch([16, 16])),
    "candidates": ({}, encoder_batch([9, 7, 4], candidates_V=torch.tensor([3, 17, 40]))),
    "decoder": ({}, decoder_batch([11, 4, 8], [5, 2, 4])),
    "decoder, long rows": ({}, decoder_batch([LONG, 3, LONG - 7], [LONG + 20, 2, 40])),
    "decoder, no padding": ({}, decoder_batch([16, 16], [8, 8])),
    "tied head, relu": ({"tie_word_embeddings": True, "feed_forward_proj": "relu"}, decoder_batch([11, 4], [5, 2])),
    "several targets of a row": ({}, decoder_batch([11, 4], [5, 2, 7, 3], [0, 0, 1, 0])),
    "positions in cross-attention": (CROSS, decoder_batch([11, 4, LONG], [5, 2, 4])),
    "both": (CROSS, decoder_batch([11, 4], [5, 2, 7, 3], [0, 1, 1, 0])),
    "numbers one after the other": ({}, decoder_batch([11, 4, 8], [5, 2, 4], wants=("values",), feeds_back=True)),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[MammalModel, Batch]:
    changes, batch = CASES[request.param]
    return make(**changes), batch


def tensors(output: ModelOutput) -> dict[str, Tensor]:
    found = {name: value for name, value in vars(output).items() if isinstance(value, Tensor)}
    return {**found, **{f"vectors.{name}": value for name, value in output.vectors.items()}}


def loss_of(output: ModelOutput) -> Tensor:
    """A number that depends on every output; one entry of each counts more, so that no direction cancels out."""
    return torch.stack([x.float().square().mean() + x.float().flatten()[0] for x in tensors(output).values()]).sum()


def apart(found: Tensor, expected: Tensor) -> float:
    """Size of the difference, relative to the expected values."""
    expected = expected.detach().float()
    return float((found.detach().float().cpu() - expected).norm() / expected.norm().clamp(min=1e-6))


@torch.inference_mode()
def test_outputs_equal_those_of_the_cpu(case: tuple[MammalModel, Batch], device: str) -> None:
    model, batch = case
    expected = tensors(model.eval()(batch))
    found = tensors(model.to(device)(batch.to(device)))
    assert found.keys() == expected.keys() and all(value.device.type == device for value in found.values())
    assert {name: error for name in found if (error := apart(found[name], expected[name])) > 1e-5} == {}
    half = tensors(model.to(torch.bfloat16)(batch.to(device)))
    assert {name: error for name in half if (error := apart(half[name], expected[name])) > 0.05} == {}


def gradients(
    model: MammalModel, batch: Batch, precision: torch.dtype | None = None
) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    with torch.autocast(model.device.type, torch.bfloat16, enabled=precision is not None):
        loss = loss_of(model(batch.to(model.device)))
    loss.backward()
    return float(loss.detach()), {name: w.grad.cpu() for name, w in model.named_parameters() if w.grad is not None}


def test_loss_and_gradients_equal_those_of_the_cpu(case: tuple[MammalModel, Batch], device: str) -> None:
    model, batch = case
    loss, expected = gradients(model.train(), batch)
    found_loss, found = gradients(copy.deepcopy(model).to(device), batch)
    assert found_loss == pytest.approx(loss, rel=1e-5)
    assert found.keys() == expected.keys()
    assert {name: error for name in found if (error := apart(found[name], expected[name])) > 1e-4} == {}


def test_gradients_in_mixed_precision_point_the_same_way(case: tuple[MammalModel, Batch], device: str) -> None:
    model, batch = case
    loss, expected = gradients(model.train(), batch)
    found_loss, found = gradients(model.to(device), batch, torch.bfloat16)
    assert found_loss == pytest.approx(loss, rel=0.03)
    joined = [torch.cat([grads[name].flatten() for name in expected]) for grads in (found, expected)]
    assert float(torch.cosine_similarity(*joined, dim=0)) > 0.99
    tables = [name for name in expected if "relative_attention_bias" in name]
    assert tables and all(torch.cosine_similarity(found[n].flatten(), expected[n].flatten(), 0) > 0.9 for n in tables)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("keys", [1, 13, 16, 250])
def test_fused_attention_equals_plain_products(keys: int, dtype: torch.dtype, device: str) -> None:
    """With biases that have gradients and are the same for all rows, for any number of keys."""
    source = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 8, generator=source).to(device, dtype) for n in (5, keys, keys))
    table = torch.randn(1, 3, 5, keys, generator=source)
    results = []
    for product, kind in ((attend, torch.float32), (attend_fused, dtype)):
        bias = table.clone().to(device).requires_grad_()
        out = product(q.to(kind), k.to(kind), v.to(kind), bias)
        out.float().square().sum().backward()
        results.append((out.cpu(), bias.grad.cpu()))
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    assert apart(results[1][0], results[0][0]) < tolerance
    if keys > 1:  # one key has all the weight, whatever its bias
        assert apart(results[1][1], results[0][1]) < tolerance


def test_distances_have_the_same_buckets(device: str) -> None:
    for both, buckets in ((True, 32), (False, 32), (True, 64)):
        ask = {"bidirectional": both, "buckets": buckets, "max_distance": 128}
        on_device = relative_buckets(300, 200, device=torch.device(device), **ask)
        assert on_device.device.type == device
        assert torch.equal(on_device.cpu(), relative_buckets(300, 200, **ask))


@pytest.mark.parametrize("optimizer", [adamw, muon])
def test_steps_equal_those_of_the_cpu(optimizer: Callable[..., torch.optim.Optimizer], device: str) -> None:
    models = [make(), make().to(device)]
    before = {name: weight.detach().clone() for name, weight in models[0].named_parameters()}
    optimizers = [optimizer(model, lr=1e-2) for model in models]
    for step in range(4):
        source = torch.Generator().manual_seed(step)
        for weights in zip(*(model.parameters() for model in models), strict=True):
            gradient = torch.randn(weights[0].shape, generator=source)
            for weight in weights:
                weight.grad = gradient.to(weight.device)
        for chosen in optimizers:
            chosen.step()
    expected, found = (dict(model.named_parameters()) for model in models)
    for name, start in before.items():  # Muon orthogonalises in bfloat16 on a GPU
        moved, ought = found[name].detach().cpu() - start, expected[name].detach() - start
        least = 0.98 if optimizer is muon and ".block." in name and start.ndim == 2 else 0.99999
        assert torch.cosine_similarity(moved.flatten(), ought.flatten(), dim=0) > least, name
        assert float(moved.norm()) == pytest.approx(float(ought.norm()), rel=0.05), name
    resumed = optimizer(models[1], lr=1e-2)
    resumed.load_state_dict(copy.deepcopy(optimizers[1].state_dict()))
    assert {v.device.type for state in resumed.state.values() for v in state.values() if v.ndim} == {device}


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_rows_do_not_depend_on_their_batch(dtype: torch.dtype, tolerance: float, device: str) -> None:
    model = make().eval().to(device, dtype)
    batch = decoder_batch([LONG, 3, 40, 17], [6, 2, 5, 3])
    together = model(batch.to(device)).logits_DRV
    for row in range(4):
        names = ("ids_BL", "mask_BL", "read_DR", "decoder_ids_DT", "decoder_mask_DT")
        alone = model(replace(batch, **{n: getattr(batch, n)[row : row + 1] for n in names}).to(device)).logits_DRV
        assert apart(alone[0], together[row].cpu()) < tolerance


@torch.inference_mode()
def test_copies_of_weights_change_nothing_and_follow_changes(device: str) -> None:
    model, batch = make().eval().to(device), decoder_batch([11, 4, 8], [5, 2, 4]).to(device)
    first = model(batch).logits_DRV.cpu()
    for _ in range(40):
        last = model(batch).logits_DRV
    assert apart(last, first) < 1e-5
    for weight in model.parameters():
        weight.mul_(1.1)
    changed = model(batch).logits_DRV
    model.forget_copies()
    assert apart(model(batch).logits_DRV, changed.cpu()) < 1e-5 < apart(changed, first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_are_saved_from_the_device(dtype: torch.dtype, device: str, tmp_path: Path) -> None:
    model = make().to(device, dtype)
    save_checkpoint(model, tmp_path / "model")
    for where in ("cpu", device):
        loaded, _ = load_checkpoint(tmp_path / "model", device=where, dtype=dtype)
        assert loaded.device.type == where
        pairs = zip(loaded.state_dict().items(), model.state_dict().items(), strict=True)
        assert all(a == b and torch.equal(x.cpu(), y.cpu()) for (a, x), (b, y) in pairs)


def test_memory_is_released(device: str) -> None:
    def used() -> int:
        gc.collect()
        return torch.cuda.memory_allocated() if device != "cpu" else 0

    def train_and_infer() -> weakref.ref[MammalModel]:
        model, batch = make().to(device), CASES["decoder, long rows"][1].to(device)
        optimizer = muon(model, lr=1e-3)
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(model(batch)).backward()
            optimizer.step()
        with torch.inference_mode():
            for _ in range(30):
                model.eval()(batch)
        return weakref.ref(model)

    train_and_infer()  # libraries keep workspaces from the first call on
    before = used()
    left = train_and_infer()
    assert used() <= before and left() is None
