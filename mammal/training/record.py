"""What a training run was: its length, its hardware and its validation losses, for the bundle and its model card."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.training.history import METRICS

if TYPE_CHECKING:
    import lightning.pytorch as lightning
    import pandas as pd
    from omegaconf import DictConfig

_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Trained:
    """A finished training run.

    Attributes:
        facts: steps, rows, tokens, seconds, batch size, precision and hardware.
        losses: one row for each validation: column `step`, and one column for the loss of each task. None without
            validation.
    """

    facts: dict[str, Any]
    losses: pd.DataFrame | None


def record_of(trainer: lightning.Trainer, config: DictConfig) -> Trained:
    """The record of a run that has just ended, with what was trained before it was resumed.

    Args:
        trainer: the trainer of the run.
        config: configuration of the run.
    """
    from mammal.training.module import TrainingModule

    module = trainer.lightning_module
    assert isinstance(module, TrainingModule)
    facts = {
        "steps": trainer.global_step,
        "rows": module.rows_seen,
        "tokens": module.tokens_seen,
        "seconds": round(module.seconds_before + module.seconds_now()),
        "tokens_per_batch": config.data.tokens_per_batch,
        "precision": str(trainer.precision),
        "hardware": f"{trainer.world_size} x {_device(trainer.strategy.root_device)}",
    }
    return Trained(facts, validation_losses(Path(config.output) / METRICS))


def validation_losses(file: Path) -> pd.DataFrame | None:
    """The validation losses in the `metrics.csv` of a run.

    Args:
        file: the table that the CSV logger writes.

    Returns:
        One row for each validation: `step`, and `TASK` for each column `valid/TASK/loss`. None: there is no file, or no
        validation in it.
    """
    import pandas as pd

    if not file.is_file() or not file.stat().st_size:
        return None
    table = pd.read_csv(file)
    parts = {name: name.split("/") for name in table}
    columns = {name: found[1] for name, found in parts.items() if len(found) == 3 and found[::2] == ["valid", "loss"]}
    found = table[["step", *columns]].dropna(subset=list(columns), how="all").rename(columns=columns)
    if found.empty:
        return None
    found["step"] = found["step"].astype(int) + 1  # Lightning counts the step that it is in
    return found.groupby("step", as_index=False).last()


def _device(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu()}, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"


def _cpu() -> str:
    """The CPU as the operating system names it."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
