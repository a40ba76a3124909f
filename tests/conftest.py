"""Shared by all tests: no network access, and the fixtures that are kept outside the repository."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MAMMAL_DESCRIPTOR_CACHE"] = "off"  # tests leave nothing in the user's cache
for variable in ("MAMMAL_DATA", "MAMMAL_CONFIGS", "MAMMAL_API_KEY", "MAMMAL_TRACEBACK"):
    os.environ.pop(variable, None)  # the user's own settings would change what tests expect


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published fixtures: MAMMAL_SHARED, or `shared` beside the checkout."""
    folder = Path(os.environ.get("MAMMAL_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"published fixtures are not at {folder}; set MAMMAL_SHARED to their folder")
    return folder


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes bundles with random weights and these tasks: names, (name, changes), or declarations."""
    import torch

    from mammal.bundle.folder import save_bundle
    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel
    from mammal.tasks import build_task, load_task
    from mammal.tokenization import Tokenizer

    usual = {"d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}

    def make(*tasks: str | tuple[str, Mapping[str, Any]] | Mapping[str, Any], **sizes: Any) -> Path:
        torch.manual_seed(0)
        tokenizer = Tokenizer.load(None)
        model = MammalModel(ModelConfig(tokenizer.vocab_rows, **{**usual, **sizes}))
        loaded = [load_task(*task) if isinstance(task, tuple) else load_task(task) for task in tasks]
        built = [build_task(task, tokenizer) for task in loaded]
        return save_bundle(tmp_path_factory.mktemp("bundles") / "small", model, tokenizer, built)

    return make


TOY_TASKS = {
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
prompt: {input: "<SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {other:smiles}"}
metrics: [exact_match]
""",
    "toy_denoising": """
defaults: [schema, _denoising, _self_]
name: toy_denoising
prompt: {input: "{smiles:smiles}"}
""",
}
"""Tasks that read a table with the columns smiles, number, label and other."""


@pytest.fixture
def toy_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[..., Any]]:
    """Writes `TOY_TASKS` and their table; returns a function that composes runs: `run("task=toy_regression", …)`."""
    from mammal.configuration.compose import compose, parse_arguments

    def write(lines: Iterable[str], *always: str) -> Callable[..., Any]:
        data = tmp_path / "toy.csv"
        data.write_text("\n".join(["smiles,number,label,other", *lines]) + "\n")
        folder = tmp_path / "configs" / "task"
        folder.mkdir(parents=True)
        source = f"data: {{source: file, path: {data}, split: random, fractions: [0.75, 0.125, 0.125]}}\n"
        for name, text in TOY_TASKS.items():
            (folder / f"{name}.yaml").write_text(text.lstrip() + source)
        monkeypatch.setenv("MAMMAL_CONFIGS", str(folder.parent))
        first = ("model=debug", f"output={tmp_path / 'run'}", *always)
        return lambda *words: compose("train", parse_arguments("train", [*first, *words]))

    return write
