"""Every published kind of checkpoint gives the numbers that the published code gave, as the shared fixtures record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mammal.decoding.generate_batch import GenerationConfig, generate
from mammal.model.checkpoint import load_checkpoint
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

TOLERANCE = 1e-4
MODELS = {
    "gated": "gated",
    "relu_tied": "relu_tied",
    "plain_nohead": "plain_nohead",
    "lora": "lora",
    "ckpt": "finetune_dir/best_epoch.ckpt",
}
WITH_HEADS = [name for name in MODELS if name != "plain_nohead"]


@pytest.fixture(scope="module")
def golden(shared: Path) -> SimpleNamespace:
    folder = shared / "compat" / "fixtures"
    arrays = np.load(folder / "golden_outputs.npz")
    records = json.loads((folder / "golden_outputs.json").read_text())
    return SimpleNamespace(folder=folder, arrays=arrays, cols=records["cols"], results=records["results"])


@pytest.fixture(scope="module")
def load(golden: SimpleNamespace) -> Callable[[str], MammalModel]:
    loaded: dict[str, MammalModel] = {}

    def load_once(name: str) -> MammalModel:
        if name not in loaded:
            loaded[name], _ = load_checkpoint(golden.folder / "checkpoints" / MODELS[name])
        return loaded[name]

    return load_once


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.int64) if array.dtype == np.int16 else array)


def encoder_fields(golden: SimpleNamespace, rows: slice = slice(None)) -> dict[str, torch.Tensor]:
    arrays = golden.arrays
    return {
        "ids_BL": tensor(arrays["input_ids"][rows]),
        "mask_BL": tensor(arrays["attention_mask"][rows]),
        "values_BL": tensor(arrays["scalars_values"][rows]),
        "has_value_BL": tensor(arrays["scalars_valid_mask"][rows]),
    }


def encoder_batch(golden: SimpleNamespace, wants: tuple[str, ...], rows: slice = slice(None)) -> Batch:
    fields = encoder_fields(golden, rows)
    positions_BL = torch.arange(fields["mask_BL"].shape[1]).expand_as(fields["mask_BL"])
    read_DR = positions_BL.masked_fill(~fields["mask_BL"], -1)
    return Batch(mode="encoder", wants=wants, read_DR=read_DR, **fields)


def decoder_batch(golden: SimpleNamespace, ids_DT: torch.Tensor, mask_DT: torch.Tensor | None = None) -> Batch:
    read_DR = torch.arange(ids_DT.shape[1]).expand_as(ids_DT)
    read_DR = read_DR if mask_DT is None else read_DR.masked_fill(~mask_DT, -1)
    fields = encoder_fields(golden)
    return Batch("decoder", ("logits",), read_DR=read_DR, decoder_ids_DT=ids_DT, decoder_mask_DT=mask_DT, **fields)


def close(ours: torch.Tensor, theirs: np.ndarray, where: torch.Tensor | None = None) -> None:
    difference = (ours - torch.from_numpy(theirs)).abs()
    assert float(difference.max() if where is None else difference[where].max()) < TOLERANCE


def check_logits(golden: SimpleNamespace, key: str, logits: torch.Tensor, real: torch.Tensor, rows: list[int]) -> None:
    """Chosen columns of some rows, and summaries of every position."""
    arrays = golden.arrays
    if f"{key}.cols" in arrays:
        close(logits[rows][..., golden.cols], arrays[f"{key}.cols"], real[rows])
    close(logits.logsumexp(-1), arrays[f"{key}.logsumexp"], real)
    close(logits.max(-1).values, arrays[f"{key}.max"], real)
    assert torch.equal(logits.argmax(-1)[real], tensor(arrays[f"{key}.argmax"])[real])


@torch.inference_mode()
@pytest.mark.parametrize("name", WITH_HEADS)
def test_encoder_mode(name: str, golden: SimpleNamespace, load: Callable[[str], MammalModel]) -> None:
    batch = encoder_batch(golden, ("logits", "values", "hidden"))
    output = load(name)(batch)
    real = batch.mask_BL
    scalars = output.values_DR if output.spreads_DR is None else torch.stack([output.values_DR, output.spreads_DR], -1)
    close(scalars, golden.arrays[f"{name}.enc.scalars"], real)
    if name == "ckpt":
        return
    check_logits(golden, f"{name}.enc.logits", output.logits_DRV, real, [0, 4, 11, 12])
    hidden = golden.arrays[f"{name}.enc.hidden"]
    positions = hidden.shape[1]
    close(output.hidden_BLW[:, :positions], hidden, real[:, :positions])


@torch.inference_mode()
@pytest.mark.parametrize("name", ["gated", "relu_tied", "lora"])
@pytest.mark.parametrize("row", [0, 4, 11, 15])
def test_single_unpadded_prompt(
    name: str, row: int, golden: SimpleNamespace, load: Callable[[str], MammalModel]
) -> None:
    output = load(name)(encoder_batch(golden, ("values", "hidden"), slice(row, row + 1)))
    hidden = golden.arrays[f"{name}.enc1.{row}.hidden"]
    close(output.hidden_BLW[:, : hidden.shape[1]], hidden)
    scalars = output.values_DR if output.spreads_DR is None else torch.stack([output.values_DR, output.spreads_DR], -1)
    close(scalars[:, : hidden.shape[1]], golden.arrays[f"{name}.enc1.{row}.scalars"])


@torch.inference_mode()
@pytest.mark.parametrize("name", MODELS)
def test_teacher_forcing(name: str, golden: SimpleNamespace, load: Callable[[str], MammalModel]) -> None:
    arrays = golden.arrays
    mask = tensor(arrays["decoder_attention_mask"])
    logits = load(name)(decoder_batch(golden, tensor(arrays["decoder_input_ids"]), mask)).logits_DRV
    labels = tensor(arrays["labels"])
    results = golden.results[name]
    assert loss(logits, labels) == pytest.approx(results["dec_loss"], abs=TOLERANCE)
    if name == "ckpt":
        assert torch.equal(logits.argmax(-1)[mask], tensor(arrays["ckpt.dec.logits.argmax"])[mask])
    else:
        check_logits(golden, f"{name}.dec.logits", logits, mask, list(range(16)))


@torch.inference_mode()
@pytest.mark.parametrize("name", ["gated", "relu_tied", "plain_nohead", "lora"])
def test_decoder_inputs_from_labels(name: str, golden: SimpleNamespace, load: Callable[[str], MammalModel]) -> None:
    model = load(name)
    labels = tensor(golden.arrays["labels"])
    start = torch.full((len(labels), 1), model.config.decoder_start_token_id)
    shifted = torch.cat([start, labels[:, :-1]], dim=1).clamp(min=-1)
    shifted = shifted.masked_fill(shifted < 0, model.config.pad_token_id)
    logits = model(decoder_batch(golden, shifted)).logits_DRV
    everywhere = torch.ones_like(labels, dtype=torch.bool)
    check_logits(golden, f"{name}.decshift.logits", logits, everywhere, [0])
    assert loss(logits, labels) == pytest.approx(golden.results[name]["decshift_loss"], abs=TOLERANCE)


def loss(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float(F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100))


def generated_ids(model: MammalModel, batch: Batch, config: GenerationConfig, length: int) -> list[list[int]]:
    """As the published code gives them: a row for each sequence, cut or filled with the pad id to one length."""
    rows = [ids.tolist() for returns in generate(model, batch, config).ids_list for ids in returns]
    return [row[:length] + [model.config.pad_token_id] * (length - len(row)) for row in rows]


GENERATION = {
    "greedy": (slice(None), GenerationConfig(max_new_tokens=12)),
    "greedy_no_dict": (slice(0, 4), GenerationConfig(max_new_tokens=6)),
    "greedy_with_labels_pad_to_label_len": (slice(0, 4), GenerationConfig(max_new_tokens=3)),
    "greedy_with_labels_truncated": (slice(0, 4), GenerationConfig(max_new_tokens=12)),
    "greedy_default_len": (slice(0, 1), GenerationConfig()),
    "beam4": (slice(None), GenerationConfig(max_new_tokens=12, num_beams=4)),
    "beam4_ret4": (slice(0, 4), GenerationConfig(max_new_tokens=8, num_beams=4, num_return_sequences=4)),
    "beam4_early": (
        slice(0, 6),
        GenerationConfig(max_new_tokens=12, num_beams=4, early_stopping=True, length_penalty=0.6),
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("case", GENERATION)
def test_generation(case: str, name: str, golden: SimpleNamespace, load: Callable[[str], MammalModel]) -> None:
    rows, config = GENERATION[case]
    batch = encoder_batch(golden, (), rows)
    expected = golden.results[name][case]
    ids = generated_ids(load(name), batch, config, len(expected["cls_pred"][0]))
    assert ids == expected["cls_pred"]
    if expected["seq_scores"] is not None:
        scores = generate(load(name), batch, config).scores
        assert [score for row in scores for score in row] == pytest.approx(expected["seq_scores"], abs=TOLERANCE)


@pytest.mark.parametrize("name", MODELS)
def test_single_unpadded_generation(name: str, golden: SimpleNamespace, load: Callable[[str], MammalModel]) -> None:
    for row, expected in golden.results[name]["greedy_single_unpadded"].items():
        batch = encoder_batch(golden, (), slice(int(row), int(row) + 1))
        length = len(expected["cls_pred"][0])
        assert generated_ids(load(name), batch, GenerationConfig(max_new_tokens=length), length) == expected["cls_pred"]
