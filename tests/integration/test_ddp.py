"""Two processes learn the same as one process with batches of twice the size."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from mammal.training.run import train
from mammal.training.sampler import BatchIndex, MixtureSampler

WORDS = (
    "task=toy_regression",
    "task.data.fractions=[0.75,0.25,0.0]",
    "data.max_rows=4",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "optim.lr=0.01",
    "test=false",
)


def logged(folder: Path, column: str) -> list[float]:
    return pd.read_csv(folder / "metrics.csv")[column].dropna().tolist()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch(toy, tmp_path, monkeypatch):
    toy()  # writes the tasks
    two, one = tmp_path / "two", tmp_path / "one"
    spread = ["model=debug", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", f"output={two}"]
    job = subprocess.run(
        [sys.executable, "-m", "mammal.cli", "train", *WORDS, *spread],
        env={**os.environ, "MAMMAL_CONFIGS": str(tmp_path / "configs")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert job.returncode == 0, job.stderr
    assert job.stderr.count("M parameters") == 1 and job.stderr.count("done in") == 1

    plan = MixtureSampler._plan

    def twice_the_batch(self: MixtureSampler) -> list[BatchIndex]:
        batches = plan(self)
        return [(name, rows + more) for (name, rows), (_, more) in zip(batches[::2], batches[1::2], strict=True)]

    monkeypatch.setattr(MixtureSampler, "_plan", twice_the_batch)
    monkeypatch.setattr(MixtureSampler, "__len__", lambda self: sum(self.quota.values()) // 2)
    train(toy(*WORDS, f"output={one}"))

    assert len(logged(one, "train/loss")) == 2 * 24 // 8
    assert logged(two, "train/loss") == pytest.approx(logged(one, "train/loss"), rel=1e-4)
    for figure in ("valid/loss", "valid/toy_regression/pearson"):
        assert logged(two, figure) == pytest.approx(logged(one, figure), rel=1e-4)
    expected = weights(one)
    assert all(torch.allclose(found, expected[name], atol=1e-4) for name, found in weights(two).items())
