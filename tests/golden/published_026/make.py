"""Makes the fixtures of this folder with the published package, in an environment of its own.

    python -m venv env && env/bin/pip install biomed-multi-alignment==0.2.6 'transformers>=5.17'
    env/bin/python make.py

Each checkpoint has small random weights, so its files may be shared; `outputs.npz` beside it holds what that package
computes with them: token scores of the decoder and of the encoder's head, the scalar head's numbers, and the ids of
greedy and of beam search.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import T5Config

from mammal.model import Mammal, MammalConfig

SIZES = {
    "vocab_size": 80,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 48,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 2,
}
IDS = {"decoder_start_token_id": 16, "eos_token_id": 5, "pad_token_id": 1}
KINDS = {
    "tied": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "untied": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}
HEADS = {
    "encoder_head_layers": [24],
    "scalars_prediction_head": {"layers": [], "dropout": 0.1, "num_classes": 1},
    "support_input_scalars": True,
}


def make(folder: Path, kind: dict) -> None:
    torch.manual_seed(0)
    model = Mammal(MammalConfig(t5_config=T5Config(**SIZES, **IDS, **kind), **HEADS)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.3)
    folder.mkdir(exist_ok=True)
    model.save_pretrained(folder)
    ids, target = torch.randint(20, 80, (3, 9)), torch.randint(20, 80, (3, 4))
    mask = torch.arange(9) < torch.tensor([[9], [6], [4]])
    values = torch.randn(3, 9)
    has_value = (torch.arange(9) % 4 == 1).expand(3, 9) & mask

    def batch() -> dict:
        return {
            "data.encoder_input_token_ids": ids.clone(),
            "data.encoder_input_attention_mask": mask.clone(),
            "data.encoder_input.scalars.values": values.clone(),
            "data.encoder_input.scalars.valid_mask": has_value.clone(),
            "data.decoder_input_token_ids": target.clone(),
            "data.decoder_input_attention_mask": torch.ones_like(target, dtype=torch.bool),
        }

    with torch.no_grad():
        again = Mammal.from_pretrained(str(folder)).eval()
        decoded, encoded = again.forward_encoder_decoder(batch()), again.forward_encoder_only(batch())
        greedy = again.generate(batch(), max_new_tokens=8)
        beams = again.generate(batch(), max_new_tokens=8, num_beams=3)
    outputs = {
        "ids": ids, "mask": mask, "values": values, "has_value": has_value, "target": target,
        "logits": decoded["model.out"]["logits"],
        "encoder_logits": encoded["model.out.logits"],
        "scalars": encoded["model.out.scalars_prediction_logits"],
        "greedy": greedy["model.out.cls_pred"],
        "beams": beams["model.out.cls_pred"],
    }  # fmt: skip
    np.savez_compressed(folder / "outputs.npz", **{name: tensor.numpy() for name, tensor in outputs.items()})


if __name__ == "__main__":
    here = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, kind in KINDS.items():
        make(here / name, kind)
