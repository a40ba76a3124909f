"""A `transformers` model with the same weights, for whatever is built on that library."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from mammal.errors import ConfigError
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel

if TYPE_CHECKING:
    from transformers import T5Config, T5ForConditionalGeneration

_HEAD = "lm_head.weight"
_SHAPE_KEYS = (
    *("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "feed_forward_proj"),
    *("relative_attention_num_buckets", "relative_attention_max_distance", "dropout_rate", "layer_norm_epsilon"),
    *("tie_word_embeddings", "decoder_start_token_id", "eos_token_id", "pad_token_id"),
)


def to_transformers(model: MammalModel) -> T5ForConditionalGeneration:
    """The encoder-decoder as `T5ForConditionalGeneration`, in eval mode, with weights of its own.

    Its logits and `generate` agree with ours. Heads on the encoder and the projection of scalars have no place there;
    prompts with scalars can go in as `inputs_embeds`, made with `MammalModel.embed`.

    Raises:
        ConfigError: the model wears an adapter, which has to be merged first, or its attention to the encoder knows
            positions, which no model there does.
    """
    from transformers import T5ForConditionalGeneration

    if hasattr(model.t5_model, "peft_config"):
        hint = "save_checkpoint, then load_checkpoint, merges it"
        raise ConfigError("a model that wears an adapter can't become a transformers model", hint=hint)
    if model.config.cross_attention_num_buckets:
        raise ConfigError("transformers has no T5 with position biases in attention to the encoder")
    with torch.device("meta"):
        twin = T5ForConditionalGeneration(_t5_config(model.config))
    parameters = model.t5_model.state_dict(keep_vars=True)
    copies = {id(parameter): parameter.detach().clone() for parameter in parameters.values()}
    twin.load_state_dict({name: copies[id(parameter)] for name, parameter in parameters.items()}, assign=True)
    for stack in (twin.encoder, twin.decoder):
        stack.embed_tokens.weight = twin.shared.weight
    if model.config.tie_word_embeddings:
        twin.lm_head.weight = twin.shared.weight
    else:
        _mark_untied(twin)
    # transformers 5 makes room in generate's cache for as many layers as the encoder has
    twin.generation_config.use_cache = model.config.num_decoder_layers <= model.config.num_layers
    return twin.eval()


def _mark_untied(twin: T5ForConditionalGeneration) -> None:
    """Keeps transformers 5, which ties every T5 head whatever its config says, from tying this one later."""
    twin.config.tie_word_embeddings = False
    twin.all_tied_weights_keys.pop(_HEAD, None)
    twin._tied_weights_keys = {name: source for name, source in twin._tied_weights_keys.items() if name != _HEAD}


def _t5_config(config: ModelConfig) -> T5Config:
    from transformers import T5Config

    values = asdict(config)
    shape = {name: values[name] for name in _SHAPE_KEYS}
    # transformers 5 derives the flag from tie_word_embeddings unless it is given, and its signature does not name it
    shape["scale_decoder_outputs"] = config.scales_decoder_outputs
    return T5Config(**shape)
