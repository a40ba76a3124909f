"""A bundle with random weights for filling in hidden DNA: the shape of `model=tiny`, our vocabulary."""

from __future__ import annotations

from pathlib import Path

import torch
from common import progress

from mammal.bundle.folder import save_bundle
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tokenization import Tokenizer

TASK = "dna_denoising"
TINY = {"d_model": 256, "d_ff": 1024, "d_kv": 64, "num_heads": 4, "num_layers": 4, "num_decoder_layers": 2}


def dna_bundle(cache: Path) -> Path:
    """Returns the folder of the bundle, which is made once."""
    folder = cache / "tiny-dna"
    if not (folder / "task.yaml").exists():
        progress(f"Making random weights in {folder}")
        torch.manual_seed(0)
        tokenizer = Tokenizer.load(None)
        model = MammalModel(ModelConfig(tokenizer.vocab_rows, **TINY))
        save_bundle(folder, model, tokenizer, [build_task(load_task(TASK), tokenizer)])
    return folder
