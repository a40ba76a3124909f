"""Make clean tables for pretraining from files: molecules, names, proteins, DNA.

    mammal corpus recipe=pretrain output=corpus paths.data=DATA
    mammal corpus recipe=mine output=corpus --config-dir configs

Texts get one spelling, repeats are left out, and so are texts that tasks of the catalogue validate or test on. The
recipe (`configs/recipe/`) lists files and settings. `corpus.json` in the output counts what was left out, and why. To
continue a build that was interrupted, run the same command again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(argv: Sequence[str]) -> int:
    return run_verb("corpus", argv, _work)


def _work(config: DictConfig, config_dirs: Sequence[Path]) -> int:
    from mammal.corpus.build import build_corpus
    from mammal.corpus.recipe import read_recipe

    options = plain(config)
    recipe, output = read_recipe(options["recipe"]), Path(str(options["output"])).expanduser()
    paths = {"data": options["paths"]["data"]} if options["paths"]["data"] else None
    manifest = build_corpus(
        recipe, output, paths, workers=options["workers"], config_dirs=config_dirs, progress=_Told()
    )
    console.note(summary(manifest))
    console.note(f"corpus in {output}")
    return 0


class _Told:
    """Prints a line for each file, and how many of its rows are cleaned."""

    def __init__(self) -> None:
        self.name, self.rows = "", 0

    def __call__(self, name: str, rows: int) -> None:
        self.rows = self.rows + rows if name == self.name else rows
        if name != self.name or self.rows % 100_000 < rows:
            console.note(f"{name}: {self.rows:,} rows" if self.rows else name)
        self.name = name


def summary(manifest: Mapping[str, Any]) -> str:
    """Returns a table of the rows of each file: how many were read, left out and kept.

    Args:
        manifest: result of `mammal.corpus.build.build_corpus`.
    """
    lines = []
    for name, made in manifest["sets"].items():
        lines.append(f"{name}: {made['rows']['train']:,} train, {made['rows']['valid']:,} valid")
        for file in made["files"]:
            out = ", ".join(f"{count:,} {reason}" for reason, count in file["left_out"].items())
            lines.append(f"  {file['name']}: {file['kept']:,} of {file['read']:,}" + (f" ({out})" if out else ""))
    if missing := manifest["held_out"]["missing"]:
        lines.append(f"not left out, because their data is not here: {', '.join(missing)}")
    return "\n".join(lines)
