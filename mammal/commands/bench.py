"""Run the benchmarks. They print tables, and need a checkout of the repository.

mammal bench            list the scripts and what they measure
mammal bench tokenizer  run benchmarks/bench_tokenizer.py; further arguments are passed on to it
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import mammal
from mammal import console
from mammal.errors import ConfigError, did_you_mean


def run(argv: Sequence[str]) -> int:
    scripts = _scripts()
    if not argv:
        console.table([(name, _purpose(file)) for name, file in scripts.items()], ("benchmark", "measures"))
        return 0
    if argv[0] not in scripts:
        hint = did_you_mean(argv[0], scripts, noun="benchmark")
        raise ConfigError(f"there is no benchmark {argv[0]!r}", where="mammal bench", hint=hint)
    return 1 if subprocess.call([sys.executable, str(scripts[argv[0]]), *argv[1:]]) else 0


OTHERS = ("round_trips.py", "run.py")
"""Further scripts that are benchmarks. The other files of the folder contain shared code."""


def _scripts() -> dict[str, Path]:
    """Returns the benchmarks by name, without `bench_`.

    Raises:
        ConfigError: this installation is not a checkout of the repository.
    """
    folder = Path(mammal.__file__).parent.parent / "benchmarks"
    files = sorted([*folder.glob("bench_*.py"), *(folder / name for name in OTHERS if (folder / name).is_file())])
    if not files:
        raise ConfigError(
            "an installed package contains no benchmarks",
            where="mammal bench",
            hint="clone the repository and run it there",
        )
    return {file.stem.removeprefix("bench_"): file for file in files}


def _purpose(file: Path) -> str:
    doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return doc.splitlines()[0] if doc else ""
