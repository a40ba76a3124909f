"""Training on a CUDA device: the loss falls, runs resume, probes and adapters are fitted, and bundles load on a CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import mammal
from mammal.training import run
from mammal.training.module import TrainingModule
from mammal.training.run import train

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

TASKS = "toy_regression: {}, toy_classification: {}, toy_generation: {}, toy_denoising: {}"
EVERY_KIND = (f"++mixture={{tasks: {{{TASKS}}}}}", "trainer.precision=bf16-mixed", "trainer.log_every_n_steps=1")
QUICK = ("trainer.max_epochs=2", "data.tokens_per_batch=200")


def logged(folder: Path, column: str) -> list[float]:
    return pd.read_csv(folder / "metrics.csv")[column].dropna().tolist()


@pytest.mark.parametrize("optim", ["adamw", "muon"])
def test_the_loss_falls_in_mixed_precision(optim: str, toy: Callable[..., Any], device: str, molecules) -> None:
    words = ("task=toy_regression", f"optim={optim}", "optim.lr=0.005", "debug=overfit", "trainer.max_epochs=40")
    result = train(toy(*words, *EVERY_KIND[1:], "task.data.fractions=[1.0,0.0,0.0]", "callbacks=ema"))
    losses = logged(result.bundle.parent, "train/loss")
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])
    models = [mammal.load(result.bundle, device=where, dtype="float32") for where in ("cpu", device)]
    values = [model.predict(molecules(64))["prediction"].astype(float) for model in models]
    assert (values[0] - values[1]).abs().max() < 1e-3
    assert values[0].corr(pd.Series([len(text) / 10 for text in molecules(64)])) > 0.8


def test_every_kind_trains_and_resumes(toy: Callable[..., Any], tmp_path: Path, monkeypatch, device: str) -> None:
    words = (*EVERY_KIND, *QUICK, "model.dropout_rate=0.1", "test=false", "data.num_workers=1", "callbacks=ema")
    straight = train(toy(*words, f"output={tmp_path / 'straight'}"))
    expected = logged(tmp_path / "straight", "train/loss")
    original = TrainingModule.training_step

    def stop_early(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        if self.trainer.global_step == len(expected) // 2:
            signal.raise_signal(signal.SIGINT)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", stop_early)
    with pytest.raises(KeyboardInterrupt, match="resume=auto"):
        train(toy(*words, f"output={tmp_path / 'stopped'}"))
    monkeypatch.setattr(TrainingModule, "training_step", original)
    resumed = train(toy(*words, f"output={tmp_path / 'stopped'}", "resume=auto"))
    assert resumed.steps == straight.steps
    # Sums of gradients have no fixed order on a GPU, so the losses are near, not equal.
    assert logged(tmp_path / "stopped", "train/loss") == pytest.approx(expected, rel=0 if device == "cpu" else 0.05)


def test_a_run_evaluates_on_its_device_and_records_it(toy: Callable[..., Any], monkeypatch, device: str) -> None:
    used = []
    original = run.evaluate_tasks
    monkeypatch.setattr(run, "evaluate_tasks", lambda model, *a, **k: used.append(model) or original(model, *a, **k))
    result = train(toy("task=toy_classification", *QUICK))
    assert [model.device.type for model in used] == [device]
    metrics = (result.bundle / "metrics.json").read_text()
    name = torch.cuda.get_device_name() if device == "cuda" else "thread"
    assert name in metrics and result.results[0].ours.estimates
    on = [mammal.load(result.bundle, device=where, dtype="float32") for where in ("cpu", device)]
    rows = ["CCN", "CCO", "c1ccccc1"]
    shares = [model.predict(rows)["probability"].tolist() for model in on]
    assert shares[0] == pytest.approx(shares[1], abs=1e-4)


ADAPTED = {"adapters": ("adapt=lora", "adapt.save=adapters"), "head": ("adapt=head",), "probe": ("adapt=probe",)}


@pytest.mark.parametrize("words", ADAPTED.values(), ids=ADAPTED)
def test_a_trained_model_is_adapted(words: tuple[str, ...], toy: Callable[..., Any], tmp_path, device, molecules):
    first = train(toy("task=toy_regression", *QUICK, "test=false", f"output={tmp_path / 'first'}")).bundle
    steps = () if words[0] == "adapt=probe" else QUICK
    result = train(toy("task=toy_regression", *steps, *words, f"init={first}", f"output={tmp_path / 'second'}"))
    values = [
        mammal.load(result.bundle, device=where, dtype="float32").predict(molecules(20))["prediction"].astype(float)
        for where in ("cpu", device)
    ]
    assert values[0].notna().all() and (values[0] - values[1]).abs().max() < 1e-3


def test_fine_tuning_starts_from_a_probe(toy: Callable[..., Any], tmp_path: Path) -> None:
    first = train(toy("task=toy_classification", *QUICK, "test=false", f"output={tmp_path / 'first'}")).bundle
    again = ("task=toy_regression", f"init={first}", "adapt.start=probe", *QUICK, f"output={tmp_path / 'second'}")
    assert train(toy(*again)).results[0].ours.estimates


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_one_device_trains_by_the_strategies_for_several(strategy: str, toy, tmp_path: Path, device: str) -> None:
    """Weights that are split, gathered, saved and loaded again, in a process of its own."""
    if device == "cpu" and strategy == "fsdp":
        pytest.skip("Lightning splits weights on GPUs only")
    toy()  # writes the tasks
    where = "cpu" if device == "cpu" else "gpu"
    words = ["task=toy_regression", "model=debug", f"trainer={strategy}", f"trainer.accelerator={where}"]
    words += ["trainer.devices=1", "trainer.precision=bf16-mixed", "optim=adamw", *QUICK, f"output={tmp_path / 'run'}"]
    job = subprocess.run(
        [sys.executable, "-m", "mammal.cli", "train", *words],
        env={**os.environ, "MAMMAL_CONFIGS": str(tmp_path / "configs")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert job.returncode == 0, job.stderr
    assert len(logged(tmp_path / "run", "valid/loss")) == 2
    assert mammal.load(tmp_path / "run/bundle", device="cpu").predict(["CCO"])["error"].isna().all()
