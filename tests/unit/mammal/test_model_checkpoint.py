"""Checkpoints are restored as saved; corrupt, foreign or dangerous files are refused with a reason."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mammal.errors import BundleError
from mammal.model.checkpoint import load_checkpoint, save_checkpoint
from mammal.model.config import ModelConfig, ScalarHeadConfig
from mammal.model.lora import LowRank
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch

SIZES = {"d_model": 16, "d_ff": 24, "d_kv": 4, "num_layers": 1, "num_decoder_layers": 2, "num_heads": 2}
SHARED = "t5_model.decoder.embed_tokens.weight"
ALIASES = ("t5_model.shared.weight", "t5_model.encoder.embed_tokens.weight")

CONFIGS = {
    "bare": ModelConfig(vocab_size=30, **SIZES),
    "heads": ModelConfig(
        vocab_size=30,
        encoder_head_layers=(8,),
        encoder_head_dropout=0.2,
        scalars_prediction_head=ScalarHeadConfig((6,), 0.1, 1, True),
        support_input_scalars=True,
        **SIZES,
    ),
    "tied relu": ModelConfig(vocab_size=30, tie_word_embeddings=True, feed_forward_proj="relu", **SIZES),
    "scaled by transformers 5": ModelConfig(vocab_size=30, scale_decoder_outputs=True, **SIZES),
    "own parts": ModelConfig(
        vocab_size=30, cross_attention_num_buckets=8, decoder_scalars=True, external_embeddings={"esm2": 7}, **SIZES
    ),
}


def small_model(config: ModelConfig) -> MammalModel:
    torch.manual_seed(0)
    return MammalModel(config).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(small_model(CONFIGS["heads"]), tmp_path / "model")
    return tmp_path / "model"


def change_config(folder: Path, change: Callable[[dict], object]) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    file = folder / "model.safetensors"
    weights = {name: tensor.clone() for name, tensor in load_file(file).items()}
    change(weights)
    save_file(weights, file)


@pytest.mark.parametrize("kind", CONFIGS)
def test_save_and_load_give_the_same_bits(kind: str, tmp_path: Path) -> None:
    model = small_model(CONFIGS[kind])
    save_checkpoint(model, tmp_path)
    again, _ = load_checkpoint(tmp_path)
    assert again.config == model.config
    assert not again.training
    expected = model.state_dict()
    assert again.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())


def test_published_content_is_in_published_places(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert "mammal" not in config
    head = {"layers": [6], "dropout": 0.1, "num_classes": 1, "predict_error": True}
    assert config["scalars_prediction_head"] == head
    names = set(load_file(folder / "model.safetensors"))
    assert SHARED in names
    assert not names & set(ALIASES)
    assert {"encoder_head.classifier.3.weight", "scalars_prediction_head.classifier.3.weight"} <= names


def test_what_only_we_have_stands_under_its_own_block(tmp_path: Path) -> None:
    save_checkpoint(small_model(CONFIGS["own parts"]), tmp_path, extra={"mammal": {"tokenizer": "abc"}})
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["mammal"] == {
        "model": {"cross_attention_num_buckets": 8, "decoder_scalars": True, "external_embeddings": {"esm2": 7}},
        "tokenizer": "abc",
    }


@pytest.mark.parametrize("kept", [ALIASES[:1], ALIASES[1:], (SHARED, *ALIASES)])
def test_any_alias_of_the_embedding_is_accepted(kept: tuple[str, ...], folder: Path) -> None:
    before = load_checkpoint(folder)[0].t5_model.shared.weight
    change_weights(folder, lambda w: w.update({name: w[SHARED].clone() for name in kept}))
    if SHARED not in kept:
        change_weights(folder, lambda w: w.pop(SHARED))
    assert torch.equal(load_checkpoint(folder)[0].t5_model.shared.weight, before)


def test_aliases_that_differ_are_refused(folder: Path) -> None:
    change_weights(folder, lambda w: w.update({ALIASES[0]: w[SHARED] + 1}))
    with pytest.raises(BundleError, match="differ"):
        load_checkpoint(folder)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_number_formats_are_converted_while_reading(dtype: torch.dtype, folder: Path) -> None:
    exact = load_checkpoint(folder)[0].state_dict()
    converted = load_checkpoint(folder, dtype=dtype)[0].state_dict()
    assert all(torch.equal(tensor, exact[name].to(dtype)) for name, tensor in converted.items())


def test_loading_leaves_the_file_alone_and_free(folder: Path) -> None:
    model, _ = load_checkpoint(folder)
    before = (folder / "model.safetensors").read_bytes()
    with torch.no_grad():
        model.t5_model.shared.weight.zero_()
    assert (folder / "model.safetensors").read_bytes() == before
    save_checkpoint(model, folder)
    assert load_checkpoint(folder)[0].t5_model.shared.weight.count_nonzero() == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c.update(use_loar=True), "use_lora"),
        (lambda c: c.pop("t5_config"), "t5_config"),
        (lambda c: c["t5_config"].pop("vocab_size"), "shape"),
        (lambda c: c["t5_config"].update(d_ff=25), "shape"),
        (lambda c: c["t5_config"].update(num_layers="one"), "wrong type"),
        (lambda c: c["t5_config"].update(num_layers=2), "missing"),
        (lambda c: c.update(encoder_head_layers=None), "fit no part"),
        (lambda c: c["scalars_prediction_head"].update(classes=2), "num_classes"),
        (lambda c: c.update(mammal={"model": {"decoder_scalar": True}}), "decoder_scalars"),
        (lambda c: c.update(encoder_head_dropout=0.0), "encoder_head"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(change: Callable[[dict], object], named: str, folder: Path) -> None:
    change_config(folder, change)
    with pytest.raises(BundleError, match=named) as caught:
        load_checkpoint(folder)
    assert caught.value.exit_code == 1


def test_unknown_keys_can_be_allowed(folder: Path) -> None:
    change_config(folder, lambda c: c.update(peer_extra=1))
    with pytest.raises(BundleError, match="peer_extra"):
        load_checkpoint(folder)
    assert load_checkpoint(folder, allow_extra=True)[1]["peer_extra"] == 1


def test_missing_files_are_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"config\.json"):
        load_checkpoint(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        load_checkpoint(folder)
    (folder / "best.ckpt").touch()
    with pytest.raises(BundleError, match=r"best\.ckpt"):
        load_checkpoint(folder)


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_truncated_weights_are_refused(keep: int, folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(BundleError, match="truncated"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "junk",
    [b"PK\x03\x04 not this", struct.pack("<Q", 1 << 40) + b"{}", bytes(range(100, 164))],
    ids=["zip", "huge header", "noise"],
)
def test_corrupt_weights_are_refused(junk: bytes, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(junk)
    with pytest.raises(BundleError):
        load_checkpoint(folder)


def test_integer_weights_are_refused(folder: Path) -> None:
    change_weights(folder, lambda w: w.update({SHARED: w[SHARED].long()}))
    with pytest.raises(BundleError, match="I64"):
        load_checkpoint(folder)


def test_broken_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"t5_config": ')
    with pytest.raises(BundleError, match="JSON"):
        load_checkpoint(folder)


def write_ckpt(folder: Path, extra: dict[str, object] | None = None) -> Path:
    state = {f"_model.{name}": tensor for name, tensor in load_checkpoint(folder)[0].state_dict().items()}
    file = folder / "last.ckpt"
    torch.save({"state_dict": state, "epoch": 3, **(extra or {})}, file)
    return file


def test_a_lightning_checkpoint_loads(folder: Path) -> None:
    expected = load_checkpoint(folder)[0].state_dict()
    loaded = load_checkpoint(write_ckpt(folder))[0].state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.items())


class Payload:
    """Runs a command when unpickled."""

    def __init__(self, witness: Path):
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_payload_is_refused_and_not_run(zipped: bool, folder: Path, tmp_path: Path) -> None:
    witness = tmp_path / "executed"
    file = write_ckpt(folder, {"callbacks": Payload(witness)})
    if not zipped:
        file.write_bytes(pickle.dumps(Payload(witness), protocol=2))
    with pytest.raises(BundleError, match="could run code"):
        load_checkpoint(file)
    assert not witness.exists()


def test_a_pickled_config_is_refused(folder: Path) -> None:
    file = write_ckpt(folder, {"config": Payload(folder / "executed")})
    (folder / "config.json").unlink()
    with pytest.raises(BundleError):
        load_checkpoint(file)
    assert not (folder / "executed").exists()


def test_a_checkpoint_without_config_says_what_to_do(folder: Path) -> None:
    file = write_ckpt(folder)
    (folder / "config.json").unlink()
    with pytest.raises(BundleError, match=r"put the model's config\.json"):
        load_checkpoint(file)


@pytest.mark.parametrize("keep", [0, 100, -50])
def test_a_truncated_ckpt_is_refused(keep: int, folder: Path) -> None:
    file = write_ckpt(folder)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(BundleError):
        load_checkpoint(file)


def test_a_failed_save_leaves_the_old_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("mammal.model.checkpoint.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(small_model(CONFIGS["bare"]), folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def adapted_folder(tmp_path: Path, rank: int, alpha: float) -> tuple[Path, torch.Tensor]:
    """A model adapted by peft, saved; and what it computed before saving."""
    from peft import LoraConfig, get_peft_model

    model = small_model(CONFIGS["heads"])
    model.t5_model = get_peft_model(model.t5_model, LoraConfig(r=rank, lora_alpha=alpha, target_modules=["q", "v"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
        output = model.eval()(probe()).values_DR
    save_checkpoint(model, tmp_path / "adapted")
    return tmp_path / "adapted", output


def probe() -> Batch:
    ids = torch.tensor([[3, 4, 5], [6, 7, 8]])
    return Batch("encoder", ("values",), ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([[0], [2]]))


@pytest.mark.parametrize(("rank", "alpha"), [(8, 8), (4, 8), (2, 16)])
def test_lora_is_merged_for_use_and_saved_as_lora(rank: int, alpha: float, tmp_path: Path) -> None:
    folder, expected = adapted_folder(tmp_path, rank, alpha)
    assert ("mammal" in json.loads((folder / "config.json").read_text())) == (alpha != 8)
    model, config = load_checkpoint(folder)
    assert config["use_lora"]
    with torch.no_grad():
        assert torch.allclose(model(probe()).values_DR, expected, atol=1e-5)
    save_checkpoint(model, tmp_path / "again")
    first, second = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_adapters_folded_by_hand_keep_their_scale(tmp_path: Path) -> None:
    model = small_model(CONFIGS["heads"])
    name = "t5_model.encoder.block.0.layer.0.SelfAttention.q.weight"
    weight = model.get_parameter(name)
    adapter = LowRank(weight.detach().clone(), torch.randn(2, 16), torch.randn(8, 2), scale=1.5)
    weight.data.copy_(adapter.merged())
    model.adapters = {name: adapter}
    save_checkpoint(model, tmp_path)
    again, config = load_checkpoint(tmp_path)
    assert config["mammal"]["model"]["lora_alpha"] == 3.0
    assert torch.equal(again.get_parameter(name), weight)


def test_lora_trained_further_is_saved_merged(tmp_path: Path) -> None:
    model, _ = load_checkpoint(adapted_folder(tmp_path, 8, 8)[0])
    with torch.no_grad():
        model.t5_model.encoder.block[0].layer[0].SelfAttention.q.weight.add_(0.5)
        expected = model(probe()).values_DR
    save_checkpoint(model, tmp_path / "further")
    again, config = load_checkpoint(tmp_path / "further")
    assert not config["use_lora"]
    with torch.no_grad():
        assert torch.equal(again(probe()).values_DR, expected)


def test_lora_weights_without_the_flag_are_refused(tmp_path: Path) -> None:
    folder, _ = adapted_folder(tmp_path, 8, 8)
    change_config(folder, lambda c: c.update(use_lora=False))
    with pytest.raises(BundleError, match="use_lora"):
        load_checkpoint(folder)


def test_weights_can_be_read_by_whoever_may_read_other_new_files(tmp_path: Path) -> None:
    save_checkpoint(MammalModel(ModelConfig(vocab_size=30, **SIZES)), tmp_path / "saved")
    (tmp_path / "other").touch()
    modes = {file.stat().st_mode for file in (tmp_path / "saved").glob("*.*")} | {(tmp_path / "other").stat().st_mode}
    assert len(modes) == 1
