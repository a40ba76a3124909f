"""Checkpoints of random weights in the published format. Made once, kept in the cache, read by both sides."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from common import Options, progress
from torch import nn

from mammal.model.checkpoint import save_checkpoint
from mammal.model.config import ModelConfig, ScalarHeadConfig
from mammal.model.model import MammalModel
from mammal.tokenization import Tokenizer

VOCABULARY = 100_001
SEED = 0
DECODER_START, SENTINEL = 16, 57  # ids of the published vocabulary, which ours keeps

SHAPES: dict[str, dict[str, Any]] = {
    "458M": {"encoder_head_layers": (2048, 1024)},
    "small": {"d_model": 256, "d_ff": 1024, "num_heads": 4, "num_layers": 4, "num_decoder_layers": 4},
    "smoke": {"d_model": 32, "d_ff": 64, "num_heads": 2, "d_kv": 16, "num_layers": 2, "num_decoder_layers": 2},
}


def shape_of(name: str) -> ModelConfig:
    """Returns the published shape ("458M"), a small or a tiny one for smoke runs; with the published vocabulary."""
    common = {
        "vocab_size": VOCABULARY,
        "encoder_head_layers": (32,),
        "encoder_head_dropout": 0.2,
        "scalars_prediction_head": ScalarHeadConfig(dropout=0.2),
        "support_input_scalars": True,
    }
    return ModelConfig(**{**common, **SHAPES[name]})


def checkpoint(chosen: Options, name: str) -> Path:
    """Returns the folder of a checkpoint: `config.json`, `model.safetensors`, `tokenizer/`. Made if it is missing."""
    kind = "given" if chosen.tokenizer else "own"
    folder = chosen.cache / f"{name}-{kind}-tokenizer"
    if (folder / ".complete").exists():
        return folder
    progress(f"Making random weights of shape {name} in {folder}")
    model = MammalModel(shape_of(name), init=False)
    randomise(model)
    save_checkpoint(model, folder)
    shutil.rmtree(folder / "tokenizer", ignore_errors=True)
    Tokenizer.load(chosen.tokenizer).save(folder / "tokenizer")
    (folder / ".complete").touch()
    return folder


@torch.no_grad()
def randomise(model: nn.Module) -> None:
    """Sets random weights that keep every state of order one, so outputs vary like those of a trained model.

    Norms are 1, biases and position biases of order 0.1; matrices have standard deviation 1/sqrt(inputs), queries a
    further 1/sqrt(d_kv) in place of T5's missing scale. Our own initialisation starts heads near zero, which
    would hide errors.

    One part is not random: the decoder generates `<SENTINEL_ID_0>` after `<DECODER_START>`, like a trained classifier.
    The published loop reads the class after the first generated token, whatever it is.
    """
    draw = torch.Generator().manual_seed(SEED)
    for name, weight in model.named_parameters():
        if name.endswith("norm.weight"):
            weight.fill_(1.0)
        elif name.endswith("shared.weight"):
            weight.normal_(0.0, 1.0, generator=draw)
        elif weight.dim() < 2 or "relative_attention_bias" in name:
            weight.normal_(0.0, 0.1, generator=draw)
        else:
            std = weight.shape[1] ** -0.5
            weight.normal_(0.0, std / 8 if ".q." in name else std, generator=draw)
    shared, head = model.get_parameter("t5_model.shared.weight"), model.get_parameter("t5_model.lm_head.weight")
    shared[DECODER_START] *= 8
    head[SENTINEL] = 4 * shared[DECODER_START] / shared[DECODER_START].norm()
