"""Encode the rows of tasks once and keep them on disk, for long training runs.

    mammal pack mixture=pretrain output=packs paths.data=DATA workers=2
    mammal train mixture=pretrain data.packed=packs

Training then starts at once, reads rows by memory map, and needs neither the data files nor RDKit. Tasks of the mixture
without a pack are loaded as usual. To continue after an interruption, run the same command again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain
from mammal.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.task_data import TaskData


def run(argv: Sequence[str]) -> int:
    return run_verb("pack", argv, _work)


def _work(config: DictConfig, config_dirs: Sequence[Path]) -> int:
    from mammal.corpus.identities import copy_identities
    from mammal.evaluation.task_data import load_task_data
    from mammal.files import read_json
    from mammal.training import build

    options = plain(config)
    if options["views"] < 1:
        raise ConfigError(f"views must be at least 1, not {options['views']}", where="mammal pack")
    declared = build.task_configs(config, config_dirs)
    tokenizer = build.build_tokenizer(config, declared)
    paths = {"data": options["paths"]["data"]} if options["paths"]["data"] else None
    limits = {"train": options["limit"], "valid": options["valid_limit"]}
    output = Path(str(options["output"])).expanduser()
    tasks = build.build_tasks(declared, tokenizer)
    for task in tasks.values():
        data = load_task_data(task, paths, limits)
        where = _packed(data, output, views=options["views"], workers=options["workers"])
        pack = read_json(where / "pack.json")
        rows = ", ".join(f"{count:,} {part}" for part, count in pack["encoded"].items())
        bad = f"; {len(pack['left_out']):,} left out" if pack["left_out"] else ""
        console.note(f"{task.name}: {rows} rows, {pack['stamp']['views']} views{bad}; {where}")
    copy_identities([task.config for task in tasks.values()], paths, output)
    return 0


def _packed(data: TaskData, output: Path, *, views: int, workers: int) -> Path:
    from mammal.corpus.pack import PACKED, pack_task

    with console.Progress(f"pack {data.task.name}", sum(len(data.rows[part]) for part in PACKED)) as shown:

        def advance(rows: int) -> None:
            shown.advance(rows, rows=rows)

        return pack_task(data, output, views=views, workers=workers, progress=advance)
