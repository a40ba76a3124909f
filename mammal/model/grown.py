"""A deeper decoder for a trained model, which at first computes what it computed before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from mammal.errors import ConfigError
from mammal.model.t5 import Block

if TYPE_CHECKING:
    from mammal.model.model import MammalModel


def grow_decoder(model: MammalModel, layers: int) -> None:
    """Gives the decoder more layers; the answers of the model stay the same until it is trained on.

    Each new layer follows a trained one and is a copy of it, but what it adds to the residual stream is multiplied by
    zero: the output matrices of its attention and feed-forward layers are zero (block expansion, Wu et al. 2024, "LLaMA
    Pro: Progressive LLaMA with Block Expansion"). New layers are spread evenly, the first trained ones before the rest.

    Args:
        model: is changed in place. Adapters of LoRA stay in its weights, and can no longer be saved apart from them.
        layers: number of decoder layers afterwards; at least as many as now.

    Raises:
        ConfigError: there are more layers now.
    """
    decoder = model.t5_model.decoder
    trained = decoder.blocks
    check_layers(len(trained), layers)
    model.config = replace(model.config, num_decoder_layers=layers)
    copies, more = divmod(layers - len(trained), len(trained))
    grown: list[Block] = []
    for place, block in enumerate(trained):
        grown.append(block)
        grown.extend(_silent_copy(block, model) for _ in range(copies + (place < more)))
    decoder.block = nn.ModuleList(grown)
    decoder.config = model.config
    model.adapters = {}
    model.forget_copies()


def check_layers(trained: int, layers: int) -> None:
    """Refuses fewer decoder layers than a model has.

    Args:
        trained: number of decoder layers of the model.
        layers: number of decoder layers that it should get.

    Raises:
        ConfigError: layers would be taken away.
    """
    if layers < trained:
        what = f"the decoder of the model at init has {trained} layers, and layers can't be taken away"
        raise ConfigError(what, where=f"adapt.decoder_layers={layers}", hint=f"{trained} or more, or null")


def _silent_copy(block: Block, model: MammalModel) -> Block:
    """A copy of a decoder layer that adds nothing to the residual stream."""
    copy = Block(model.config, decoder=True, owns_bias=False)
    of_first = "relative_attention_bias"
    copy.load_state_dict({name: weight for name, weight in block.state_dict().items() if of_first not in name})
    copy.to(model.device, model.dtype).train(block.training)
    for last in (copy.own.SelfAttention.o, copy.cross.EncDecAttention.o, copy.feed_forward.DenseReluDense.wo):
        nn.init.zeros_(last.weight)
    return copy
