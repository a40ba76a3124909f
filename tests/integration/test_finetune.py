"""Fine-tuning from Python: a data frame trains a bundle that predicts, with the same run as the command line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.configuration.arguments import Arguments
from mammal.configuration.compose import compose
from mammal.errors import ConfigError
from mammal.inference.api import Mammal
from mammal.training.run import train

ROWS = [{"structure": "C" * n + end, "p_np": str(int(end == "N"))} for n in range(1, 31) for end in "ON"]
SETTINGS = ["trainer.max_steps=3", "task.data.split=random", "test=false"]


@pytest.fixture
def start(tmp_path: Path) -> Mammal:
    from mammal.bundle.folder import save_bundle
    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel
    from mammal.tokenization import Tokenizer

    tokenizer = Tokenizer.load(None)
    sizes = {"d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}
    made = save_bundle(tmp_path / "base", MammalModel(ModelConfig(tokenizer.vocab_rows, **sizes)), tokenizer)
    return mammal.load(made, device="cpu")


@pytest.mark.slow
def test_a_frame_teaches_a_model(start: Mammal, tmp_path: Path) -> None:
    before = start.model.t5_model.shared.weight.clone()
    task = {**_task(), "data": {"source": "file", "columns": {"smiles": "structure"}}}

    learnt = start.finetune(task, tmp_path / "run", data=pd.DataFrame(ROWS), overrides=SETTINGS)

    assert start.model.t5_model.shared.weight.equal(before)
    assert not learnt.model.t5_model.shared.weight.equal(before)
    answered = mammal.load(tmp_path / "run" / "bundle").predict([{"structure": "CCO"}])
    assert answered.prediction[0] in ("0", "1") and answered.error.isna().all()
    with pytest.raises(ConfigError, match="not empty"):
        start.finetune(task, tmp_path / "run")


@pytest.mark.slow
def test_training_can_start_from_smaller_weights(start: Mammal, tmp_path: Path) -> None:
    task = {**_task(), "data": {"source": "file", "columns": {"smiles": "structure"}}}
    still = [*SETTINGS, "optim.lr=1e-12", "optim.weight_decay=0", "adapt.shrink=0.5"]
    learnt = start.finetune(task, tmp_path / "run", data=pd.DataFrame(ROWS), overrides=still).model.cpu()
    before = dict(start.model.named_parameters())
    scales = {
        name: float((weight / before[name]).median())
        for name, weight in learnt.named_parameters()
        if name in before and before[name].abs().min() > 0
    }
    halved = {name for name, scale in scales.items() if scale == pytest.approx(0.5, abs=1e-4)}
    assert all(scale == pytest.approx(1, abs=1e-4) for name, scale in scales.items() if name not in halved)
    assert halved == {name for name in scales if "Attention." in name or "DenseReluDense." in name} - {
        name for name in scales if "relative_attention_bias" in name
    }


@pytest.mark.slow
def test_training_can_start_with_a_deeper_decoder(start: Mammal, tmp_path: Path) -> None:
    task = {**_task(), "data": {"source": "file", "columns": {"smiles": "structure"}}}
    start.finetune(task, tmp_path / "run", data=pd.DataFrame(ROWS), overrides=[*SETTINGS, "adapt.decoder_layers=3"])
    again = mammal.load(tmp_path / "run" / "bundle")
    assert again.model.config.num_decoder_layers == 3 == len(again.model.t5_model.decoder.block)
    assert again.predict([{"structure": "CCO"}]).error.isna().all()


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (["adapt.shrink=0"], "above 0 and at most 1"),
        (["adapt.shrink=1.5"], "above 0 and at most 1"),
        (["adapt.shrink=0.5"], "there is none"),
        (["adapt=lora", "adapt.shrink=0.5"], "adapt=full has it"),
        (["adapt.decoder_layers=4"], "there is none"),
        (["adapt.decoder_layers=0", "init=mammal-tiny"], "must be 1 or more"),
        (["adapt.decoder_layers=1", "init=mammal-tiny"], "has 2 layers"),
        (["adapt.decoder_layers=4", "init=mammal-tiny"], "no task of this run uses the decoder"),
    ],
)
def test_changes_of_the_first_weights_that_can_not_work_are_refused(
    words: list[str], reported: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=reported):
        train(compose("train", Arguments(overrides=["task=esol", f"output={tmp_path / 'run'}", *words])))


def _task() -> dict:
    return {
        "name": "ends_in_nitrogen",
        "kind": "classification",
        "prompt": {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {p_np:label}"},
        "labels": ["0", "1"],
        "metrics": ["auroc"],
    }
