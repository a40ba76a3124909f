"""Fine-tuning from Python: a data frame trains a bundle that predicts, with the same run as the command line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.errors import ConfigError


@pytest.mark.slow
def test_a_frame_teaches_a_model(tmp_path: Path) -> None:
    from mammal.bundle.folder import save_bundle
    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel
    from mammal.tokenization import Tokenizer

    tokenizer = Tokenizer.load(None)
    sizes = {"d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}
    start = mammal.load(
        save_bundle(tmp_path / "base", MammalModel(ModelConfig(tokenizer.vocab_rows, **sizes)), tokenizer)
    )
    rows = [{"structure": "C" * n + end, "p_np": str(int(end == "N"))} for n in range(1, 31) for end in "ON"]
    settings = ["trainer.max_steps=3", "task.data.split=random", "test=false"]
    before = start.model.t5_model.shared.weight.clone()
    task = {**_task(), "data": {"source": "file", "columns": {"smiles": "structure"}}}

    learnt = start.finetune(task, tmp_path / "run", data=pd.DataFrame(rows), overrides=settings)

    assert start.model.t5_model.shared.weight.equal(before)
    assert not learnt.model.t5_model.shared.weight.equal(before)
    answered = mammal.load(tmp_path / "run" / "bundle").predict([{"structure": "CCO"}])
    assert answered.prediction[0] in ("0", "1") and answered.error.isna().all()
    with pytest.raises(ConfigError, match="not empty"):
        start.finetune(task, tmp_path / "run")


def _task() -> dict:
    return {
        "name": "ends_in_nitrogen",
        "kind": "classification",
        "prompt": {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {p_np:label}"},
        "labels": ["0", "1"],
        "metrics": ["auroc"],
    }
