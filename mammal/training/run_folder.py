"""Refuses a folder of a run in which a file that the run reads would be replaced or moved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.configuration.plain import plain
from mammal.overwriting import refuse_overwriting

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.tasks.declaration.schema import TaskConfig

_FILES = ("splits.json", "set_aside.csv", "metrics.csv", "metrics.earlier.csv")
_FOLDERS = ("bundle", "checkpoints", "evaluation", "members", "earlier", "config")
"""Folders that a run writes or moves to `earlier/` with everything in them."""


def check_run_folder(config: DictConfig, tasks: Mapping[str, TaskConfig]) -> None:
    """Compares what a run writes with the files that it reads, before anything is touched.

    Args:
        config: configuration of the run: `output`, `init`, `tokenizer`, `paths` and `data.packed` are read.
        tasks: declarations of its tasks, by name.

    Raises:
        ConfigError: names the two that coincide.
        BundleError: there is no model at `init`.
        DataError: `paths.data` names a folder that does not exist.
    """
    from mammal.evaluation.input_files import input_files

    output = Path(str(config.output)).expanduser()
    if not output.is_dir():
        return
    written = {f"file of the run {name}": output / name for name in _FILES}
    written |= {f"folder of the run {name}": output / name for name in _FOLDERS}
    written |= {f"split of the task {name}": output / "splits" / f"{name}.json.gz" for name in tasks}
    refuse_overwriting(written, {**input_files(tasks, plain(config.paths)), **_started_from(config)})


def _started_from(config: DictConfig) -> dict[str, Path]:
    """The model at `init`, the tokenizer and the packs."""
    from mammal.bundle.locate import locate

    read = {key: Path(str(value)) for key, value in (("tokenizer", config.tokenizer),) if value}
    if config.data.packed:
        read["packs"] = Path(str(config.data.packed))
    if config.init:
        source = locate(config.init)
        read |= {"model at init": source.folder, "weights at init": source.weights}
    return read
