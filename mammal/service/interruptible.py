"""Ends the work of a model between two of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mammal.model.model import MammalModel


@contextmanager
def interruptible(model: MammalModel, check: Callable[[], None]) -> Iterator[None]:
    """Calls a function in each step of the encoder and of the decoder, which can raise an error to end the work.

    Args:
        model: the network.
        check: the function.
    """
    stacks = (model.t5_model.encoder, model.t5_model.decoder)
    hooks = [stack.final_layer_norm.register_forward_pre_hook(lambda *_: check()) for stack in stacks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
