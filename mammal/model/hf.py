"""Converts a model into a `transformers` model with the same weights, for tools that use that library."""

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
    """Converts the encoder-decoder into a `T5ForConditionalGeneration` in eval mode, with a copy of the weights.

    Its logits and the results of `generate` agree with those of this package. Heads on the encoder and the projection
    of scalars are not converted. Prompts with scalars can be passed as `inputs_embeds`, computed with
    `MammalModel.embed`.

    Args:
        model: the model.

    Raises:
        ConfigError: the model has an adapter that is not merged, or position biases in attention to the encoder, which
            T5 in `transformers` does not have.
    """
    from transformers import T5ForConditionalGeneration

    if hasattr(model.t5_model, "peft_config"):
        hint = "save_checkpoint, then load_checkpoint, merges it"
        raise ConfigError("a model with an unmerged adapter can't become a transformers model", hint=hint)
    if model.config.cross_attention_num_buckets:
        raise ConfigError("transformers has no T5 with position biases in attention to the encoder")
    with torch.device("meta"):
        theirs = T5ForConditionalGeneration(_t5_config(model.config))
    parameters = model.t5_model.state_dict(keep_vars=True)
    copies = {id(parameter): parameter.detach().clone() for parameter in parameters.values()}
    theirs.load_state_dict({name: copies[id(parameter)] for name, parameter in parameters.items()}, assign=True)
    for stack in (theirs.encoder, theirs.decoder):
        stack.embed_tokens.weight = theirs.shared.weight
    if model.config.tie_word_embeddings:
        theirs.lm_head.weight = theirs.shared.weight
    else:
        _mark_untied(theirs)
    # transformers 5 sizes the cache of generate by the number of encoder layers
    theirs.generation_config.use_cache = model.config.num_decoder_layers <= model.config.num_layers
    return theirs.eval()


def _mark_untied(theirs: T5ForConditionalGeneration) -> None:
    """Prevents transformers 5 from tying this head later: it ties every T5 head, regardless of the config."""
    theirs.config.tie_word_embeddings = False
    theirs.all_tied_weights_keys.pop(_HEAD, None)
    theirs._tied_weights_keys = {name: source for name, source in theirs._tied_weights_keys.items() if name != _HEAD}


def _t5_config(config: ModelConfig) -> T5Config:
    from transformers import T5Config

    values = asdict(config)
    shape = {name: values[name] for name in _SHAPE_KEYS}
    # transformers 5 derives the flag from tie_word_embeddings unless it is given; it is not in the signature
    shape["scale_decoder_outputs"] = config.scales_decoder_outputs
    return T5Config(**shape)
