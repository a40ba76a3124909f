"""Shared by all tests: no network access, and the fixtures that are kept outside the repository."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MAMMAL_DESCRIPTOR_CACHE"] = "off"  # tests leave nothing in the user's cache


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
