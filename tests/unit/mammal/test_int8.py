"""Decoding with 8-bit weights: close to float32, and the same for a row in any company."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mammal
from mammal.errors import ConfigError
from mammal.jobs.loaded_model import model_options
from mammal.model import int8, products
from mammal.model.int8 import Int8Weights
from mammal.model.layers import Linear
from mammal.model.products import Product

PROMPTS = ["CCO", "c1ccccc1C(=O)O", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "N"]
TASK: dict[str, Any] = {
    "name": "again",
    "kind": "generation",
    "data": {"source": "file", "path": "none.csv"},
    "prompt": {"input": "<SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {answer:smiles}"},
    "generation": {"max_new_tokens": 12},
}


@pytest.fixture(autouse=True)
def small_matrices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "LEAST_WEIGHTS", 1)


def linear(inputs: int, outputs: int, bias: bool = False) -> Linear:
    layer = Linear(inputs, outputs, bias=bias)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


@pytest.mark.parametrize("vnni", [True, False])
def test_products_are_close_and_each_row_is_on_its_own(vnni: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "_levels", lambda: 127 if vnni else 63)
    torch.manual_seed(0)
    weight, rows = torch.randn(70, 48), torch.randn(9, 48) * torch.logspace(-6, 6, 9)[:, None]
    rows[4] = 0.0
    found, exact = Int8Weights(weight)(rows), rows @ weight.T
    assert found[4].eq(0).all()
    errors = (found - exact).norm(dim=1) / exact.norm(dim=1).clamp(min=1e-9)
    assert errors.max() < (0.02 if vnni else 0.04)
    alone = torch.cat([Int8Weights(weight)(row[None]) for row in rows])
    assert torch.equal(alone, found)


@torch.no_grad()
def test_a_product_is_in_8_bits_from_the_first_call_and_follows_its_weights() -> None:
    torch.manual_seed(0)
    layers, x = [linear(32, 24), linear(32, 40)], torch.randn(5, 32)
    product = Product("relu", int8=True)
    first = product(x, *layers)
    assert all(torch.equal(a, b) for a, b in zip(first, product(x, *layers), strict=True))
    for found, layer in zip(first, layers, strict=True):
        exact = layer(x).relu()
        assert 0 < (found - exact).norm() / exact.norm() < 0.02
    layers[0].weight.mul_(3.0)
    assert torch.allclose(product(x, *layers)[0], 3.0 * first[0], rtol=1e-5, atol=1e-5)
    assert copy.deepcopy(product).int8
    empty = product(x[:0], *layers)
    assert [part.shape for part in empty] == [(0, 24), (0, 40)]


@torch.no_grad()
def test_a_bias_and_values_that_are_not_finite_are_kept() -> None:
    torch.manual_seed(0)
    layer, x = linear(16, 8, bias=True), torch.randn(3, 16)
    x[1, 3] = torch.nan
    (found,) = Product(int8=True)(x, layer)
    assert torch.allclose(found[[0, 2]], layer(x)[[0, 2]], atol=0.3) and found[1].isnan().all()


def test_gradients_are_those_of_the_layers() -> None:
    torch.manual_seed(0)
    layer, x = linear(16, 8), torch.randn(3, 16)
    (found,) = Product(int8=True)(x, layer)
    assert torch.equal(found, layer(x))
    found.sum().backward()
    assert layer.weight.grad is not None


@pytest.fixture
def folder(small_bundle: Callable[..., Path]) -> Path:
    return small_bundle()


def test_answers_are_close_and_do_not_depend_on_company(folder: Path) -> None:
    exact, small = mammal.load(folder, device="cpu"), mammal.load(folder, device="cpu", dtype="int8")
    assert small.model.number_format == "int8" and small.model.dtype == torch.float32
    assert "int8 on cpu" in repr(small) and "float32 on cpu" in repr(exact)
    rows = [{"smiles": a, "answer": b} for a, b in zip(PROMPTS, reversed(PROMPTS), strict=True)]
    scores = [model.score(rows, task=TASK)["log_likelihood"].to_numpy() for model in (exact, small)]
    np.testing.assert_allclose(scores[1], scores[0], rtol=0.02)
    assert not np.array_equal(*scores)
    together = small.predict(PROMPTS, task=TASK)
    alone = [small.predict([prompt], task=TASK) for prompt in PROMPTS]
    assert together["text"].tolist() == [frame["text"][0] for frame in alone]


def test_a_job_is_not_resumed_with_another_number_format(folder: Path) -> None:
    formats = [model_options(mammal.load(folder, device="cpu", dtype=dtype))["dtype"] for dtype in ("float32", "int8")]
    assert formats == ["torch.float32", "int8"]


def test_other_devices_and_builds_of_torch_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="for CPUs"):
        int8.require_int8(torch.device("cuda"))
    monkeypatch.setattr(int8, "_ENGINE", "none")
    with pytest.raises(ConfigError, match="no kernels"):
        mammal.load(folder, device="cpu", dtype="int8")
