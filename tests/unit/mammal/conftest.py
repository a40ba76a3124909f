"""A bundle small enough to be made anew: random weights, our own tokenizer, three tasks."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classification (`bbbp`), a regression (`melting_point`) and a generation task (`molecules`)."""
    import torch

    from mammal.bundle import save_bundle
    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel
    from mammal.tasks import build_task, load_task
    from mammal.tokenization import Tokenizer

    torch.manual_seed(0)
    tokenizer = Tokenizer.load(None)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_rows,
        d_model=32,
        d_ff=64,
        d_kv=8,
        num_heads=4,
        num_layers=2,
        num_decoder_layers=1,
        encoder_head_layers=(),
        scalars_prediction_head={"layers": []},
        support_input_scalars=True,
    )
    tasks = [build_task(load_task(name), tokenizer) for name in ("bbbp", "melting_point", "molecules")]
    tasks[1].fit([{"smiles": "CCO", "tm": "150"}, {"smiles": "CCC", "tm": "250"}])
    figures = {"bbbp": {"test": {"split": "scaffold", "MAMMAL": {"auroc": [0.71, 0.6, 0.8]}}}, "seed": 1}
    return save_bundle(tmp_path_factory.mktemp("bundles") / "tiny", MammalModel(config), tokenizer, tasks, figures)


@pytest.fixture(scope="session")
def dna_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights and the task `dna_denoising`."""
    import torch

    from mammal.bundle import save_bundle
    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel
    from mammal.tasks import build_task, load_task
    from mammal.tokenization import Tokenizer

    torch.manual_seed(0)
    tokenizer = Tokenizer.load(None)
    config = ModelConfig(
        tokenizer.vocab_rows, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1
    )
    task = build_task(load_task("dna_denoising"), tokenizer)
    return save_bundle(tmp_path_factory.mktemp("bundles") / "dna", MammalModel(config), tokenizer, [task])
