"""A run that was stopped and resumed has the same losses as an uninterrupted one."""

import signal
from pathlib import Path

import pandas as pd
import pytest
import torch

from mammal.errors import ConfigError
from mammal.training.module import TrainingModule
from mammal.training.run import train

TASKS = "toy_regression: {rate: 1.0}, toy_classification: {rate: 2.0}, toy_generation: {rate: 1.0}, toy_denoising: {}"
MIXTURE = (
    f"++mixture={{tasks: {{{TASKS}}}, temperature: 2.0, max_passes: 2}}",
    "data.tokens_per_batch=120",
    "model.dropout_rate=0.1",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "test=false",
)
EVERYTHING = ("callbacks=ema", "trainer.accumulate_grad_batches=3", "data.num_workers=2", "optim.layer_decay=0.8")


def losses(folder: Path) -> pd.Series:
    logged = pd.read_csv(folder / "metrics.csv")
    return logged.dropna(subset=["train/loss"]).set_index("step")["train/loss"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Of the last checkpoint; with averaged weights, those that learn too."""
    stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    learning = {f"learning.{name}": weight for name, weight in stored.get("current_model_state", {}).items()}
    return stored["state_dict"] | learning


def require_equal(resumed: Path, straight: Path) -> None:
    expected = losses(straight)
    assert losses(resumed).index.tolist() == expected.index.tolist()
    assert losses(resumed).tolist() == expected.tolist()
    here, there = weights(resumed), weights(straight)
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in there)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop_after", "words"),
    [((0, 7), ()), ((1, 3), ()), ((1, 0), ()), ((1, 2), EVERYTHING)],
    ids=["first epoch", "second epoch", "between them", "averaged, accumulated, workers"],
)
def test_resumed_equals_straight(toy, tmp_path, monkeypatch, stop_after, words):
    train(toy(*MIXTURE, *words, f"output={tmp_path / 'straight'}"))
    expected = losses(tmp_path / "straight")
    per_epoch = len(expected) // 2
    epochs, steps = stop_after
    assert steps < per_epoch, "this stop is to fall into the middle of an epoch"
    stop = epochs * per_epoch + steps

    stopped = [*MIXTURE, *words, f"output={tmp_path / 'stopped'}"]
    press_ctrl_c_at(stop, monkeypatch)
    with pytest.raises(KeyboardInterrupt, match=r"step .* is kept in .*last\.ckpt.*resume=auto"):
        train(toy(*stopped))
    assert losses(tmp_path / "stopped").tolist() == expected[:stop].tolist()
    monkeypatch.undo()
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path / "configs"))
    train(toy(*stopped, "resume=auto"))
    require_equal(tmp_path / "stopped", tmp_path / "straight")


@pytest.mark.slow
def test_a_checkpoint_between_the_batches_of_a_step_keeps_their_gradients(toy, tmp_path, monkeypatch):
    words = ["task=toy_classification", "data.max_rows=4", "trainer.max_epochs=2", "trainer.log_every_n_steps=1"]
    words += ["trainer.accumulate_grad_batches=2", "trainer.val_check_interval=3", "test=false"]
    train(toy(*words, f"output={tmp_path / 'straight'}"))

    original = TrainingModule.training_step

    def crash_after_validation(self, batch, batch_idx):
        if self.current_epoch == 1 and batch_idx == 3:
            raise RuntimeError("the machine goes down")
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", crash_after_validation)
    with pytest.raises(RuntimeError, match="goes down"):
        train(toy(*words, f"output={tmp_path / 'crashed'}"))
    going_on = torch.load(tmp_path / "crashed/checkpoints/last.ckpt", weights_only=True)["going_on"]
    assert going_on["gradients"]
    monkeypatch.undo()
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path / "configs"))
    train(toy(*words, f"output={tmp_path / 'crashed'}", "resume=auto"))
    require_equal(tmp_path / "crashed", tmp_path / "straight")


def press_ctrl_c_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original = TrainingModule.training_step

    def training_step(self, batch, batch_idx):
        if self.trainer.global_step == step - 1 and not self.accumulating:
            signal.raise_signal(signal.SIGINT)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)


def test_nothing_to_resume_begins_afresh(toy, tmp_path, capsys):
    result = train(toy("task=toy_regression", "resume=auto", "trainer.max_epochs=1", "test=false"))
    assert result.steps == 1
    assert f"{tmp_path / 'run'} holds no checkpoint, so training begins with step 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["task=toy_regression", "model.d_ff=64"], r"of another model: .*wi_0.* is \[128, 64\] there, \[64, 64\]"),
        (["task=toy_regression", "adapt=lora"], "of another model"),
        (["task=toy_classification"], "other tasks"),
        (["task=toy_regression", "optim.layer_decay=0.5"], "another optimiser"),
        (["task=toy_regression", "callbacks=ema"], "holds no averaged weights"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(toy, tmp_path, words, what):
    quick = ["trainer.max_epochs=1", "test=false"]
    train(toy("task=toy_regression", *quick))
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    before = checkpoint.read_bytes()
    with pytest.raises(ConfigError, match=what) as reported:
        train(toy(*words, *quick, "trainer.max_epochs=2", f"output={tmp_path / 'other'}", f"resume={checkpoint}"))
    assert reported.value.hint
    assert checkpoint.read_bytes() == before


def test_a_new_run_never_leaves_the_checkpoint_of_an_earlier_one_to_be_resumed(toy, tmp_path, monkeypatch, capsys):
    words = ("task=toy_regression", "trainer.max_epochs=1")
    train(toy(*words))
    folder, before = tmp_path / "run", weights(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(TrainingModule, "training_step", cut_off)
        with pytest.raises(RuntimeError, match="went away"):
            train(toy(*words, "seed=2"))
    assert "holds an earlier run: its checkpoints and evaluation are in" in capsys.readouterr().err
    assert not (folder / "checkpoints" / "last.ckpt").exists() and not (folder / "evaluation").exists()
    kept = torch.load(folder / "earlier" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(kept[name], before[name]) for name in before)
    assert (folder / "earlier" / "evaluation" / "evaluation.json").is_file()
    assert (folder / "bundle" / "config.json").is_file(), "until a new one takes its place"

    train(toy(*words, "test=false"))
    train(toy("task=toy_regression", "trainer.max_epochs=2", "test=false", "resume=auto"))
    reported = capsys.readouterr().err
    assert "earlier run" not in reported, "what is resumed stays where it is"
    assert f"resumes from step 1, kept in {folder / 'checkpoints' / 'last.ckpt'}" in reported
    assert "train: 2 steps" in reported


def cut_off(*_: object) -> None:
    raise RuntimeError("the machine went away")
