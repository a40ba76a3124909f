"""Fixtures of the tests that compare a CUDA device with the CPU.

MAMMAL_TEST_DEVICE=cpu runs the same tests on the CPU, which finds mistakes in the tests themselves on a machine without
a GPU.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


TASKS = {
    "toy_regression": """
defaults: [schema, _regression, _self_]
name: toy_regression
prompt: {input: "<MELTING_POINT><MASK> {smiles:smiles}", target: "{number:scalar}"}
metrics: [pearson]
""",
    "toy_classification": """
defaults: [schema, _classification, _self_]
name: toy_classification
prompt: {input: "<BBBP><SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {label:label}"}
labels: ["no", "yes"]
metrics: [accuracy]
""",
    "toy_generation": """
defaults: [schema, _generation, _self_]
name: toy_generation
prompt: {input: "<SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {smiles:smiles}"}
metrics: [exact_match]
""",
    "toy_denoising": """
defaults: [schema, _denoising, _self_]
name: toy_denoising
prompt: {input: "{smiles:smiles}"}
""",
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> Callable[..., DictConfig]:
    """Composes runs over 64 molecules on the device: `toy("task=toy_regression", "model=debug", …)`."""
    from mammal.configuration.compose import compose, parse_arguments

    rows = [f"{smiles},{len(smiles) / 10},{'yes' if 'N' in smiles else 'no'}" for smiles in molecules(64)]
    data = tmp_path / "toy.csv"
    data.write_text("\n".join(["smiles,number,label", *rows]) + "\n")
    folder = tmp_path / "configs" / "task"
    folder.mkdir(parents=True)
    source = f"data: {{source: file, path: {data}, split: random, fractions: [0.75, 0.125, 0.125]}}\n"
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(text.lstrip() + source)
    monkeypatch.setenv("MAMMAL_CONFIGS", str(folder.parent))
    where = "trainer.accelerator=" + ("cpu" if device == "cpu" else "gpu")

    def configuration(*words: str) -> Any:
        return compose("train", parse_arguments("train", ["model=debug", f"output={tmp_path / 'run'}", where, *words]))

    return configuration
