"""Start-up time of `import mammal` and `mammal --help`, compared with importing the published model module."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from common import MEASURED, PUBLISHED, Options, Row, at_most, run_as_script, take_turns
from peer import clean_environment, find_peer

IMPORT_TARGET, HELP_TARGET = 0.3, 0.4  # seconds
PUBLISHED_IMPORT = 5.7  # seconds, 2 threads


def measure(chosen: Options) -> list[Row]:
    """Measures wall-clock seconds of whole processes. The start of the interpreter is included."""
    rounds = 2 if chosen.smoke else 3 * chosen.rounds
    python = find_peer(chosen)
    sides = {
        "import": lambda _: seconds_of(sys.executable, "-c", "import mammal"),
        "help": lambda _: seconds_of(command_line(), "--help"),
    }
    if python is not None:
        seconds_of(str(python), "-c", "import mammal.model")  # writes its byte code
        sides["theirs"] = lambda _: seconds_of(str(python), "-c", "import mammal.model")
    turns = take_turns(rounds, sides)
    theirs = turns.median("theirs") if python else PUBLISHED_IMPORT
    return [
        Row(
            "`import mammal`, whole process",
            **at_most(turns.median("import"), IMPORT_TARGET, "s"),
            theirs=f"{theirs:.1f} s (its model module)",
            source=MEASURED if python else PUBLISHED,
        ),
        Row("`mammal --help`, whole process", **at_most(turns.median("help"), HELP_TARGET, "s")),
    ]


def command_line() -> str:
    """Returns the path of the installed `mammal` command of this Python."""
    return str(Path(sysconfig.get_path("scripts")) / "mammal")


def seconds_of(*command: str) -> float:
    """Returns the wall-clock seconds of a process that must succeed."""
    environment = clean_environment(os.cpu_count() or 1)
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=Path.cwd().anchor, env=environment)
    return time.perf_counter() - start


if __name__ == "__main__":
    run_as_script(__doc__, measure)
