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


def run(argv: Sequence[str]) -> int:
    return run_verb("pack", argv, _work)


def _work(config: DictConfig, config_dirs: Sequence[Path]) -> int:
    from mammal.corpus.pack import PACKED, pack_task
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
    for task in build.build_tasks(declared, tokenizer).values():
        data = load_task_data(task, paths, limits)
        total = sum(len(data.rows[part]) for part in PACKED)
        with console.Progress(f"pack {task.name}", total) as shown:
            how = {"views": options["views"], "workers": options["workers"]}
            where = pack_task(data, output, **how, progress=lambda rows, shown=shown: shown.advance(rows, rows=rows))
        content = read_json(where / "pack.json")
        rows = ", ".join(f"{count:,} {part}" for part, count in content["encoded"].items())
        bad = f"; {len(content['left_out']):,} left out" if content["left_out"] else ""
        console.note(f"{task.name}: {rows} rows, {content['stamp']['views']} views{bad}; {where}")
    return 0
