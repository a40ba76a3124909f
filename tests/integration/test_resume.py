"""A run that was stopped and taken up again gives the losses of a run that was not."""

import signal
from pathlib import Path

import pandas as pd
import pytest
import torch

from mammal.training.run import train

MIXTURE = (
    "++mixture.tasks={toy_regression: {rate: 1.0}, toy_classification: {rate: 2.0}, toy_generation: {rate: 1.0}}",
    "data.tokens_per_batch=120",
    "model.dropout_rate=0.1",
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=1",
    "test=false",
)


def losses(folder: Path) -> pd.Series:
    logged = pd.read_csv(folder / "metrics.csv")
    return logged.dropna(subset=["train/loss"]).set_index("step")["train/loss"]


def weights(file: Path) -> dict[str, torch.Tensor]:
    return torch.load(file, weights_only=True)["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [7, "epoch end"])
def test_resumed_equals_straight(toy, tmp_path, monkeypatch, stop_after):
    straight = toy(*MIXTURE, f"output={tmp_path / 'straight'}")
    train(straight)
    expected = losses(tmp_path / "straight")
    per_epoch = len(expected) // 3
    stop = per_epoch if stop_after == "epoch end" else stop_after
    assert stop_after == "epoch end" or stop % per_epoch, "this stop is to fall into the middle of an epoch"

    stopped = [*MIXTURE, f"output={tmp_path / 'stopped'}"]
    _press_ctrl_c_at(stop, monkeypatch)
    with pytest.raises(KeyboardInterrupt, match=r"step .* is kept in .*last\.ckpt.*resume=auto"):
        train(toy(*stopped))
    assert losses(tmp_path / "stopped").tolist() == expected[:stop].tolist()
    monkeypatch.undo()
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path / "configs"))
    train(toy(*stopped, "resume=auto"))
    resumed = losses(tmp_path / "stopped")
    assert resumed.index.tolist() == expected.index.tolist()
    assert resumed.tolist() == expected.tolist()
    last, last_expected = (weights(tmp_path / name / "checkpoints/last.ckpt") for name in ("stopped", "straight"))
    assert all(torch.equal(last[name], last_expected[name]) for name in last_expected)


def _press_ctrl_c_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from mammal.training.module import TrainingModule

    original = TrainingModule.training_step

    def training_step(self, batch, batch_idx):
        if self.trainer.global_step == step - 1:
            signal.raise_signal(signal.SIGINT)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)


def test_nothing_to_resume_begins_afresh(toy):
    result = train(toy("task=toy_regression", "resume=auto", "trainer.max_epochs=1", "test=false"))
    assert result.steps == 1
