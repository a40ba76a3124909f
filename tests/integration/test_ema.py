"""Averaged weights are used for validation, in checkpoints and in the bundle."""

import pytest
import torch

import mammal
from mammal.errors import ConfigError
from mammal.training.averaging import MovingAverage
from mammal.training.module import TrainingModule
from mammal.training.run import train

WORDS = ("task=toy_regression", "data.max_rows=6", "trainer.max_epochs=2", "optim.lr=0.01", "test=false")


def test_the_average_is_judged_and_saved(toy, tmp_path, monkeypatch):
    name = "model.t5_model.encoder.final_layer_norm.weight"
    learnt, judged = [], []
    begin_batch, validate = TrainingModule.on_train_batch_start, TrainingModule.validation_step

    def noting_weights(self, batch, batch_idx):
        learnt.append(dict(self.named_parameters())[name].detach().clone())
        return begin_batch(self, batch, batch_idx)

    def judging(self, batch, batch_idx, dataloader_idx=0):
        judged.append(dict(self.named_parameters())[name].detach().clone())
        return validate(self, batch, batch_idx, dataloader_idx)

    monkeypatch.setattr(TrainingModule, "on_train_batch_start", noting_weights)
    monkeypatch.setattr(TrainingModule, "validation_step", judging)
    result = train(toy(*WORDS, "callbacks=ema", "callbacks.ema.decay=0.9", "callbacks.best=null"))

    stored = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    learnt = [*learnt[1:], stored["current_model_state"][name]]  # after each step
    average = learnt[0]
    for step, weight in enumerate(learnt[1:], 1):
        average = torch.lerp(average, weight, 1 - min(0.9, (1 + step) / (10 + step)))
    assert torch.allclose(stored["state_dict"][name], average, atol=1e-6)
    assert not torch.equal(stored["state_dict"][name], stored["current_model_state"][name])
    assert torch.equal(judged[-1], stored["state_dict"][name])
    bundle = mammal.load(result.bundle).model.state_dict()
    assert torch.equal(bundle[name.removeprefix("model.")], stored["state_dict"][name])


def test_a_decay_that_never_forgets_is_refused():
    with pytest.raises(ConfigError, match=r"decay is 1\.0"):
        MovingAverage(decay=1.0)
