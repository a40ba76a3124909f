"""Fixtures of the tests that compare a CUDA device with the CPU.

MAMMAL_TEST_DEVICE=cpu runs the same tests on the CPU, which finds mistakes in the tests themselves on a machine without
a GPU.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from omegaconf import DictConfig

DEVICE = os.environ.get("MAMMAL_TEST_DEVICE", "cuda")
ATOMS = ("C", "N", "O", "C(=O)", "c1ccccc1", "C1CCCC1", "CC")


@pytest.fixture(scope="session")
def device() -> str:
    """The device that is compared with the CPU: "cuda", or MAMMAL_TEST_DEVICE."""
    import torch

    if DEVICE.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("no CUDA device; MAMMAL_TEST_DEVICE=cpu runs these tests on the CPU")
    return DEVICE


def molecules(count: int, seed: int = 0) -> list[str]:
    """Different molecules of 2 to 8 fragments."""
    source = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found["C" + "".join(source.choices(ATOMS, k=source.randint(1, 7)))] = None
    return list(found)


@pytest.fixture(scope="session", name="molecules")
def _molecules() -> Callable[..., list[str]]:
    return molecules


@pytest.fixture
def toy(toy_runs: Callable[..., Callable[..., DictConfig]], device: str) -> Callable[..., DictConfig]:
    """Composes runs over 64 molecules on the device: `toy("task=toy_regression", "model=debug", …)`."""
    lines = [f"{text},{len(text) / 10},{'yes' if 'N' in text else 'no'},{text}" for text in molecules(64)]
    return toy_runs(lines, "trainer.accelerator=" + ("cpu" if device == "cpu" else "gpu"))
