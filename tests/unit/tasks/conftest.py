"""Shared by the tests of tasks: the tokenizer of the package, and short declarations of tasks."""

from __future__ import annotations

from collections.abc import Callable
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
