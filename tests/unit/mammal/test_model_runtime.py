"""Devices and number formats are selected automatically or by name; initial weights let a small model learn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mammal.errors import ConfigError
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.model.runtime import pick_device, pick_dtype, tune_allocator
from mammal.tasks.batches.batch import Batch


def test_devices_are_chosen_or_named() -> None:
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="gpu"):
        pick_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="CUDA"):
            pick_device("cuda:0")


def test_number_formats_are_chosen_or_named() -> None:
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32
    assert pick_dtype("bf16") == pick_dtype("bfloat16") == pick_dtype(torch.bfloat16) == torch.bfloat16
    with pytest.raises(ConfigError, match="float32"):
        pick_dtype("float23")


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is for Linux")
def test_the_allocator_keeps_large_blocks() -> None:
    assert tune_allocator() == tune_allocator()


def test_the_model_is_imported_without_companions() -> None:
    code = "import sys, mammal.model.model, mammal.decoding, mammal.model.hf; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def learner() -> MammalModel:
    torch.manual_seed(0)
    sizes = {"d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
    heads = {"scalars_prediction_head": {"layers": (32,)}, "encoder_head_layers": (32,)}
    return MammalModel(ModelConfig(vocab_size=50, dropout_rate=0.0, tie_word_embeddings=True, **sizes, **heads))


def task_batch(mode: str) -> Batch:
    """Sixteen rows of random ids; the answer is whether id 7 stands in the row."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(8, 40, (16, 9), generator=generator)
    ids[::2, 4] = 7
    decoder_ids = torch.full((16, 1), 16) if mode == "decoder" else None
    mask = torch.ones_like(ids, dtype=torch.bool)
    wants = ("values",) if mode == "encoder" else ("logits",)
    read = torch.zeros(16, 1, dtype=torch.long)
    return Batch(mode, wants, ids, mask, read, decoder_ids_DT=decoder_ids, candidates_V=torch.tensor([44, 45]))


@torch.inference_mode()
@pytest.mark.parametrize("tied", [True, False])
def test_first_predictions_are_modest(tied: bool) -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 3, "num_decoder_layers": 3, "num_heads": 4}
    heads = {"scalars_prediction_head": {"layers": (32,)}, "tie_word_embeddings": tied}
    model = MammalModel(ModelConfig(vocab_size=2000, **sizes, **heads)).eval()
    logits = model(replace(task_batch("decoder"), candidates_V=None)).logits_DRV
    assert 0.3 < logits.std() < 1.5
    assert model(task_batch("encoder")).values_DR.abs().max() < 1


@pytest.mark.parametrize("mode", ["encoder", "decoder"])
def test_a_small_batch_is_learnt_by_heart(mode: str, learner: MammalModel) -> None:
    batch = task_batch(mode)
    answer = torch.tensor([1, 0] * 8)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=2e-3)
    for _ in range(80):
        output = learner(batch)
        if mode == "encoder":
            loss = F.mse_loss(output.values_DR[:, 0], answer.float())
        else:
            loss = F.cross_entropy(output.logits_DRV[:, 0], answer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
