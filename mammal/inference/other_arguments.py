"""Arguments of other libraries, for methods of `Mammal`: used as ours if they mean the same, else refused with ours."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from mammal.errors import ConfigError, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")

_PACE = "batches are cut by tokens: model.pace = replace(model.pace, tokens=16_384); see docs/memory.md"
_DEVICE = 'mammal.load(…, device="cuda"), or model.to("cuda")'
OF_TRANSFORMERS = {"torch_dtype": "dtype", "device_map": "device"}
"""Arguments of `from_pretrained` in transformers -> ours of the same meaning."""

INSTEAD = {
    **dict.fromkeys(("batch_size", "batch_tokens", "max_tokens"), _PACE),
    **dict.fromkeys(("device", "device_map"), _DEVICE),
    **dict.fromkeys(("dtype", "torch_dtype"), 'mammal.load(…, dtype="bfloat16")'),
    "max_length": "leave it out: the task file says how many tokens are read (max_len)",
    "truncation": "leave it out: the task file says what happens to long rows (too_long: cut or refuse)",
    "padding": "leave it out: rows are never padded",
    "convert_to_numpy": "leave it out: embed returns a NumPy array",
    **dict.fromkeys(("return_tensors", "return_dict", "as_tensor"), "results are data frames or arrays of numpy"),
    **dict.fromkeys(("show_progress_bar", "verbose"), "progress= takes a function; `mammal predict` shows progress"),
    **dict.fromkeys(("num_workers", "n_jobs"), "not needed: rows are read in this process"),
    **dict.fromkeys(("normalize_embeddings", "normalise"), "use normalize="),
    **dict.fromkeys(("smiles_column", "column", "smiles_col"), 'use columns=, such as columns="SMILES"'),
    **dict.fromkeys(("trust_remote_code",), "not needed: a bundle contains no code"),
    **dict.fromkeys(("cache_dir", "token", "revision", "local_files_only"), "download the model with huggingface_hub"),
}
"""Argument of other libraries -> what to use here."""


def with_hints(
    same: Mapping[str, str] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a method answer unknown arguments with the ones that it has.

    Args:
        same: arguments of other libraries that mean the same as one of the method -> that one.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        valid = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]

        @functools.wraps(function)
        def with_known_arguments(*args: P.args, **given: P.kwargs) -> R:
            if given.keys() <= set(valid):
                return function(*args, **given)
            return function(*args, **_ours(given, same or {}, valid, function.__name__))

        return with_known_arguments

    return decorate


def _ours(given: Mapping[str, Any], same: Mapping[str, str], valid: list[str], method: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in given.items():
        ours = same.get(name, name)
        if ours not in valid:
            hint = INSTEAD.get(name) or did_you_mean(name, valid, noun="argument")
            raise ConfigError(f"{method} has no argument {name!r}", hint=hint)
        if ours in found or (ours != name and ours in given):
            raise ConfigError(f"{ours} is given twice, also as {name}", hint=f"use {ours}= only")
        found[ours] = value
    return found
