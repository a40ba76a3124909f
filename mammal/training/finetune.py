"""Fine-tuning from Python: the same run as `mammal train init=…`, composed from the same configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mammal.bundle.folder import save_bundle
from mammal.errors import ConfigError
from mammal.inference.api import Mammal, load
from mammal.rows.input_data import input_data
from mammal.rows.task_choice import TaskLike, find_task

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig

_OPTION = "of_this_run"
"""Name of the declaration among the configs. No shipped task has this name; shipped tasks would be found first."""


def finetune(
    model: Mammal, task: TaskLike, output: str | os.PathLike[str], *, data: Any = None, overrides: Sequence[str] = ()
) -> Mammal:
    """Trains a copy of a model on a task, evaluates it, and saves it in `output/bundle`.

    `Mammal.finetune` does the same. The run is the same as `mammal train init=…`.

    Args:
        model: start of the training. It does not change.
        task: what to learn: name of a task, a YAML file or a declaration.
        output: new or empty folder for all files of the run.
        data: rows with the columns of the task: a data frame, a list of mappings, or the path of a file. Default: the
            data that the task declares.
        overrides: settings as on the command line, such as `["adapt=lora", "trainer.max_time=00:10:00"]`.

    Returns:
        The trained model, on the device and in the number format of `model`. The task is its default task.

    Raises:
        ConfigError: the output folder is not empty, or a setting is wrong.
        TaskError: the task does not exist, or it does not fit the tokenizer.
        DataError: the data can't be read.
        TrainingError: training can't continue, for example because the loss is not a number.
    """
    from mammal.configuration.arguments import Arguments
    from mammal.configuration.compose import compose
    from mammal.training.run import train

    folder = Path(output).expanduser().resolve()
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError("the output folder is not empty", where=str(folder), hint="choose a new one")
    start = save_bundle(folder / "start", model.model, model.tokenizer, pretraining=model.pretraining)
    config = find_task(task, model.tasks, model.tokenizer, model.config_dirs).config
    _declare(config, _write_data(data, folder), folder / "configs" / "task" / f"{_OPTION}.yaml")
    words = [f"task={_OPTION}", f"init='{start}'", f"output='{folder}'", *overrides]
    dirs = [folder / "configs", *map(Path, model.config_dirs)]
    result = train(compose("train", Arguments(overrides=words, config_dirs=dirs)), dirs)
    return load(
        result.bundle, task=config.name, device=str(model.device), dtype=str(model.model.dtype).removeprefix("torch.")
    )


def _write_data(data: Any, folder: Path) -> Path | None:
    """Writes the given rows to a file for training; None if the task's own data are used."""
    if data is None or isinstance(data, str | os.PathLike):
        return None if data is None else Path(data).expanduser().resolve()
    import pandas as pd

    file = folder / "data.parquet"
    pd.DataFrame(input_data(data)).to_parquet(file, index=False)
    return file


def _declare(config: TaskConfig, data: Path | None, file: Path) -> None:
    """Writes the declaration of the task, with these rows as its data, to the file that the run reads."""
    declared = asdict(config)
    if data is not None:
        declared["data"] |= {"source": "file", "name": None, "path": str(data), "files": {}, "encoding": None}
        declared["data"]["columns"] = _columns_of(data, declared["data"]["columns"])
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"defaults": ["schema", "_self_"], **declared}, sort_keys=False), encoding="utf-8")


def _columns_of(data: Path, columns: Mapping[str, str]) -> dict[str, str]:
    """Those of the declared columns that the rows have: the others have the names of the prompt."""
    if not columns:
        return {}
    from mammal.tasks.tables.readers import read_table

    there = {str(name) for name in read_table(data, limit=1, keep_damaged=True).columns}
    return {column: name for column, name in columns.items() if name in there}
