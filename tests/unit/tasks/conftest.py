"""Shared by the tests of tasks: the tokenizer of the package, and short declarations of tasks."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from mammal.tasks.declaration.registry import load_task
from mammal.tasks.kinds.build import build_task
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

# Timings of a busy machine are no property of ours.
settings.register_profile("mammal", deadline=None)
settings.load_profile("mammal")


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


@pytest.fixture
def make(tokenizer: Tokenizer) -> Callable[..., Task]:
    """A task from its kind, prompt and whatever else is declared."""

    def make_task(kind: str, input: str, target: str | None = None, **declared: Any) -> Task:
        mode = declared.pop("mode", "encoder" if kind == "regression" else "decoder")
        prompt = {"input": input, "target": target, "raw": declared.pop("raw", False)}
        config = load_task({"name": "t", "kind": kind, "mode": mode, "prompt": prompt, **declared})
        return build_task(config, tokenizer)

    return make_task


@pytest.fixture(scope="session")
def esm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ESM-2 checkpoint as fair-esm publishes them, with random weights and two layers."""
    import torch
    from esm import ESM2, Alphabet

    torch.manual_seed(0)
    model = ESM2(num_layers=2, embed_dim=320, attention_heads=20, alphabet=Alphabet.from_architecture("ESM-1b"))
    weights = {
        f"encoder.{'' if n.startswith('lm_head') else 'sentence_encoder.'}{n}": w for n, w in model.state_dict().items()
    }
    settings = Namespace(encoder_layers=2, encoder_embed_dim=320, encoder_attention_heads=20, token_dropout=True)
    folder = tmp_path_factory.mktemp("esm")
    torch.save({"cfg": {"model": settings}, "model": weights}, folder / "esm2_t6_8M_UR50D.pt")
    return folder
