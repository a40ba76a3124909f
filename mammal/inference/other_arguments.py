"""Arguments that a method does not have: an error of ours, with the name that is meant, in place of a TypeError."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from mammal.errors import ConfigError, did_you_mean
from mammal.generation.other_names import DIFFERENT

P = ParamSpec("P")
R = TypeVar("R")

ELSEWHERE = {
    "batch_size": DIFFERENT["batch_size"],
    "max_length": ("leave it out", "the task file says how many tokens are read (max_len)"),
    "truncation": ("leave it out", "the task file says what happens to long rows (too_long: cut or refuse)"),
    "padding": ("leave it out", "rows are never padded"),
    "return_tensors": ("leave it out", "predict returns a data frame, embed a NumPy array"),
    "device": ("use model.to(DEVICE), or mammal.load(..., device=DEVICE)", None),
    "convert_to_numpy": ("leave it out", "embed returns a NumPy array"),
    "normalize_embeddings": ("use normalize=", None),
    "show_progress_bar": ("use progress=", "a function that is called with the number of finished rows"),
}
"""Name in other libraries -> what to use here, and why it is not taken for the same."""


def explained(method: Callable[P, R]) -> Callable[P, R]:
    """Makes a method refuse arguments that it does not have with a `ConfigError`.

    Args:
        method: with named arguments only, without `**`.
    """
    known = list(inspect.signature(method).parameters)

    @wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise _unknown(name, method.__name__, known[1:])
        return method(*args, **kwargs)

    return checked


def _unknown(name: str, method: str, known: list[str]) -> ConfigError:
    what = f"{method} has no argument {name!r}"
    if name in ELSEWHERE:
        use, why = ELSEWHERE[name]
        return ConfigError(what, hint=f"{use}; {why}" if why else use)
    return ConfigError(what, hint=did_you_mean(name, known, noun="argument"))
