"""Muon: orthogonal updates of matrices, AdamW for the rest, one optimiser for schedules and checkpoints."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mammal.errors import ConfigError
from mammal.training.muon import Muon, muon, orthogonal


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def number_format(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.dtype:
    """The number format of the iteration, on a CPU with and without matrix instructions for bfloat16."""
    monkeypatch.setattr("mammal.training.muon.has_bf16_matrix_units", lambda: request.param == torch.bfloat16)
    return request.param


@pytest.mark.usefixtures("number_format")
@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 5, 12), (4, 12, 5)])
def test_updates_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape) * torch.tensor([10.0**-number for number in range(shape[0])])[:, None, None]
    found = orthogonal(matrices).float()
    values = torch.linalg.svdvals(found)
    assert found.shape == matrices.shape
    assert float(values.min()) > 0.3 and float(values.max()) < 1.3
    for matrix, update in zip(matrices, found, strict=True):  # the directions of the singular vectors stay
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        assert torch.allclose((u.mT @ update @ v.mT).diagonal(), torch.linalg.svdvals(update).flip(0), atol=0.6)


def test_matrices_together_move_as_alone(number_format: torch.dtype) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(5, 6, 9)
    alone = torch.cat([orthogonal(matrix[None]) for matrix in matrices])
    assert alone.dtype == number_format
    assert torch.allclose(orthogonal(matrices), alone, atol=1e-5 if number_format == torch.float32 else 0.02)


class Blocks(nn.Module):
    """Names as in the model: matrices in blocks, and an embedding, a norm, a position table and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(11, 8)
        self.block = nn.ModuleList(nn.ModuleDict({"wi": nn.Linear(8, 16, bias=False)}) for _ in range(2))
        self.stack = nn.Module()
        self.stack.block = nn.ModuleList(
            nn.ModuleDict(
                {
                    "wo": nn.Linear(16, 8, bias=False),
                    "wi": nn.Linear(8, 16, bias=False),
                    "layer_norm": nn.LayerNorm(8),
                    "relative_attention_bias": nn.Embedding(4, 2),
                }
            )
            for _ in range(2)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.shared(ids)
        for block in self.stack.block:
            x = (
                x
                + block["wo"](torch.relu(block["wi"](block["layer_norm"](x))))
                + block["relative_attention_bias"].weight.sum()
            )
        return self.head(x)


def trained(model: Blocks, optimizer: torch.optim.Optimizer, steps: int, first: int = 0) -> list[float]:
    losses = []
    for step in range(first, first + steps):
        ids = torch.randint(0, 11, (32,), generator=torch.Generator().manual_seed(step))
        loss = nn.functional.cross_entropy(model(ids), ids % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.fixture
def model() -> Blocks:
    torch.manual_seed(0)
    return Blocks()


def test_only_matrices_of_blocks_are_orthogonalised(model: Blocks) -> None:
    optimizer = muon(model, lr=0.01)
    names = {id(weight): name for name, weight in model.named_parameters()}
    chosen = {names[id(w)] for group in optimizer.param_groups if group["matrices"] for w in group["params"]}
    assert chosen == {f"stack.block.{layer}.{part}.weight" for layer in (0, 1) for part in ("wo", "wi")}
    everything = [names[id(weight)] for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(everything) == sorted(names.values())


def test_an_update_has_the_size_of_adamw(model: Blocks) -> None:
    """0.2 of the learning rate, as root mean square, for a gradient of full rank."""
    weight = model.stack.block[0]["wi"].weight
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    muon(model, lr=0.01, weight_decay=0.0).step()
    assert float((weight.detach() - before).square().mean().sqrt()) == pytest.approx(0.01 * 0.2, rel=0.2)


def test_it_learns_and_weights_without_gradients_stay(model: Blocks) -> None:
    before = model.block[0]["wi"].weight.detach().clone()
    losses = trained(model, muon(model, lr=0.02), 60)
    assert losses[-1] < 0.2 < losses[0]
    assert torch.equal(model.block[0]["wi"].weight, before)


def test_a_resumed_run_goes_on_to_the_same_bits(model: Blocks) -> None:
    other = copy.deepcopy(model)
    straight = muon(model, lr=0.02)
    trained(model, straight, 12)
    begun = muon(other, lr=0.02)
    trained(other, begun, 5)
    resumed = muon(other, lr=0.02)
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    trained(other, resumed, 7, first=5)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_schedule_moves_both_rates(model: Blocks) -> None:
    optimizer = muon(model, lr=0.02, adamw_lr=0.005)
    rates = {group["matrices"]: group["lr"] for group in optimizer.param_groups}
    assert rates == {True: 0.02, False: 0.005}
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0)
    before = [weight.detach().clone() for weight in model.parameters()]
    trained(model, optimizer, 1)
    schedule.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("wrong", [{"momentum": 1.0}, {"lr": -1.0}, {"layer_decay": 2.0}])
def test_wrong_settings_are_refused(model: Blocks, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        muon(model, **{"lr": 0.01, **wrong})
    assert isinstance(muon(model, lr=0.01), Muon)
