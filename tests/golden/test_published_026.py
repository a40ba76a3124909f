"""Checkpoints that biomed-multi-alignment 0.2.6 writes under transformers 5 give the numbers which it computes itself.

That version saves every head as untied, and keeps in `scale_decoder_outputs` whether the model was made as tied.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mammal.decoding.generate_batch import GenerationConfig, generate
from mammal.model.checkpoint import load_checkpoint, save_checkpoint
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

FOLDER = Path(__file__).parent / "published_026"
TOLERANCE = 1e-4


@pytest.fixture(params=["tied", "untied"])
def case(request: pytest.FixtureRequest) -> tuple[MammalModel, dict[str, torch.Tensor]]:
    model, _ = load_checkpoint(FOLDER / request.param)
    with np.load(FOLDER / request.param / "outputs.npz") as arrays:
        return model, {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def batch(mode: str, wants: tuple[str, ...], read_DR: torch.Tensor, arrays: dict, **fields: torch.Tensor) -> Batch:
    fields = {"values_BL": arrays["values"], "has_value_BL": arrays["has_value"], **fields}
    return Batch(mode, wants, arrays["ids"], arrays["mask"], read_DR, **fields)


@torch.inference_mode()
def test_scores_of_the_decoder(case: tuple[MammalModel, dict]) -> None:
    model, arrays = case
    target = arrays["target"]
    read = torch.arange(target.shape[1]).expand_as(target)
    logits = model(batch("decoder", ("logits",), read, arrays, decoder_ids_DT=target)).logits_DRV
    assert torch.allclose(logits, arrays["logits"], atol=TOLERANCE)


@torch.inference_mode()
def test_heads_of_the_encoder(case: tuple[MammalModel, dict]) -> None:
    model, arrays = case
    mask = arrays["mask"]
    read = torch.arange(mask.shape[1]).expand(mask.shape).masked_fill(~mask, -1)
    output = model(batch("encoder", ("logits", "values"), read, arrays))
    assert torch.allclose(output.logits_DRV[mask], arrays["encoder_logits"][mask], atol=TOLERANCE)
    assert torch.allclose(output.values_DR[mask], arrays["scalars"][mask], atol=TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize("name, beams", [("greedy", 1), ("beams", 3)])
def test_generated_ids(name: str, beams: int, case: tuple[MammalModel, dict]) -> None:
    model, arrays = case
    start = torch.zeros(len(arrays["ids"]), 1, dtype=torch.long)
    prompts = batch("decoder", ("logits",), start, arrays)
    found = generate(model, prompts, GenerationConfig(max_new_tokens=8, num_beams=beams)).ids_list
    for (ours,), theirs in zip(found, arrays[name], strict=True):
        assert ours.tolist() == theirs[: len(ours)].tolist()
        assert set(theirs[len(ours) :].tolist()) <= {model.config.pad_token_id}


def test_the_flag_survives_saving(case: tuple[MammalModel, dict], tmp_path: Path) -> None:
    model, _ = case
    save_checkpoint(model, tmp_path)
    assert load_checkpoint(tmp_path)[0].config == model.config
    assert model.config.scale_decoder_outputs is not None
