"""Code shared by all benchmarks: options, inputs, paired timing, and the rows of the table.

Timings are paired: the two sides of a ratio run alternately in one session, and the ratio is that of their medians. A
machine whose speed drifts then slows both sides equally. On a shared machine, `MAMMAL_BENCH_CLOCK=cpu` with
`OMP_NUM_THREADS=1` measures the processor time of one thread in place of wall-clock time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "MAMMAL_BENCH_CACHE"
INPUTS_VARIABLE = "MAMMAL_BENCH_INPUTS"
TOKENIZER_VARIABLE = "MAMMAL_BENCH_TOKENIZER"
CLOCK_VARIABLE = "MAMMAL_BENCH_CLOCK"
DATA_VARIABLE = "MAMMAL_DATA"

MEASURED = "side by side"
PUBLISHED = "published figure, another machine"


@dataclass(frozen=True)
class Options:
    """The options of a benchmark.

    Attributes:
        cache: folder for checkpoints and the second environment; about 5 GB.
        inputs: JSON file with the lists `dti` (pairs), `bbbp` and `loop` (SMILES); None: inputs made from a seed.
        tokenizer: folder in the published format; None: our own vocabulary.
        peer: "auto" (install the published package if that works), "none", or the path of a Python that has it.
        data: folder of local copies of data sets, as the tasks read them; None: made from a seed.
        smoke: tiny shapes and few inputs, to test that a script runs.
        rounds: how often each side of a ratio runs.
        rows: also write the rows to this file, as JSON.
    """

    cache: Path
    inputs: Path | None = None
    tokenizer: Path | None = None
    peer: str = "auto"
    data: Path | None = None
    smoke: bool = False
    rounds: int = 3
    rows: Path | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: the job, with the number of items measured.
        ours, theirs: results as text with units; `theirs` may be empty.
        measured, target: the measured value and its target, as text.
        met: whether the target is met; None if it does not apply to this machine.
        equal: the difference between the two outputs.
        source: `MEASURED`, `PUBLISHED`, or another origin of the result of the published side.
    """

    what: str
    measured: str
    target: str = ""
    met: bool | None = None
    ours: str = ""
    theirs: str = ""
    equal: str = ""
    source: str = ""


@dataclass
class Turns:
    """Seconds of each side by name, one entry per round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, side: str) -> float:
        return statistics.median(self.seconds[side])

    def ratio(self, slow: str, quick: str) -> float:
        """Returns how many times faster `quick` is than `slow`."""
        return self.median(slow) / self.median(quick)


def options(description: str) -> Options:
    """Reads the command line of a benchmark script."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = os.environ.get(CACHE_VARIABLE) or Path(tempfile.gettempdir()) / "mammal-bench"
    parser.add_argument("--cache", type=Path, default=cache, help=f"folder for checkpoints (or {CACHE_VARIABLE})")
    parser.add_argument("--inputs", type=Path, default=_path(INPUTS_VARIABLE), help=f"JSON file (or {INPUTS_VARIABLE})")
    parser.add_argument("--tokenizer", type=Path, default=_path(TOKENIZER_VARIABLE), help=f"or {TOKENIZER_VARIABLE}")
    parser.add_argument("--peer", default="auto", help="auto, none, or a Python with the published package")
    parser.add_argument("--data", type=Path, default=_path(DATA_VARIABLE), help=f"data folder (or {DATA_VARIABLE})")
    parser.add_argument("--smoke", action="store_true", help="tiny shapes, to test that it runs")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs")
    parser.add_argument("--rows", type=Path, help="also write the rows to this file, as JSON")
    chosen = parser.parse_args()
    for name in ("inputs", "tokenizer", "data"):
        given = getattr(chosen, name)
        if given is not None and not given.exists():
            parser.error(f"--{name}: {given} does not exist")
    chosen.cache.mkdir(parents=True, exist_ok=True)
    return Options(**vars(chosen))


def run_as_script(description: str, measure: Callable[[Options], list[Row]]) -> None:
    """The `main` of one benchmark: measures, then prints its rows."""
    chosen = options(description)
    rows = measure(chosen)
    print(markdown(rows))
    if chosen.rows is not None:
        chosen.rows.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns the seconds that `work` took, and its result."""
    clock = time.process_time if counts_processor_time() else time.perf_counter
    start = clock()
    result = work()
    return clock() - start, result


def counts_processor_time() -> bool:
    """Whether jobs are timed by processor time. Start-up and loading always use the wall clock."""
    return os.environ.get(CLOCK_VARIABLE) == "cpu"


def take_turns(rounds: int, sides: Mapping[str, Callable[[int], float]]) -> Turns:
    """Runs every side once per round, in the given order. A side gets the round's number and returns its seconds."""
    turns = Turns({name: [] for name in sides})
    for number in range(rounds):
        for name, side in sides.items():
            turns.seconds[name].append(side(number))
        progress(", ".join(f"{name} {values[-1]:.4f} s" for name, values in turns.seconds.items()))
    return turns


def largest_difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Returns the largest absolute difference of the items that both sides have."""
    return max((abs(a - b) for a, b in zip(ours, theirs, strict=False)), default=float("nan"))


def at_least(measured: float, target: float) -> dict[str, Any]:
    """Returns the measured cells of a row whose ratio must reach a target."""
    return {"measured": f"{measured:.1f}×", "target": f"≥ {target:g}×", "met": measured >= target}


def at_most(measured: float, target: float, unit: str) -> dict[str, Any]:
    """Returns the measured cells of a row whose value must stay below a target."""
    return {"measured": f"{measured:.2f} {unit}", "target": f"≤ {target:.2f} {unit}", "met": measured <= target}


def load_inputs(chosen: Options) -> dict[str, list[Any]]:
    """Returns pairs and molecules to predict: those of `--inputs`, or made from a seed, as long as real ones."""
    if chosen.inputs is not None:
        return json.loads(chosen.inputs.read_text(encoding="utf-8"))
    draw = random.Random(0)
    molecules = ["".join(draw.choices(FRAGMENTS, k=draw.randint(4, 14))) for _ in range(400)]
    proteins = ["".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=draw.randint(330, 400))) for _ in range(200)]
    pairs = [[protein, draw.choice(molecules)] for protein in proteins]
    return {"dti": pairs, "bbbp": molecules, "loop": molecules[:200]}


def markdown(rows: Sequence[Row]) -> str:
    """Returns the rows as a Markdown table."""
    marks = {True: "yes", False: "**no**", None: "–"}
    lines = [
        "| job | measured | target | met | ours | published implementation | outputs | compared |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = marks[row.met] if row.target else ""
        cells = [row.what, row.measured, row.target, met, row.ours, row.theirs, row.equal, row.source]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def progress(text: str) -> None:
    """Reports the progress of a long measurement on standard error; the table goes to standard output."""
    print(text, file=sys.stderr, flush=True)


FRAGMENTS = (
    "C",
    "CC",
    "c1ccccc1",
    "C(=O)N",
    "N1CCNCC1",
    "C(F)(F)F",
    "OC",
    "c1ccncc1",
    "S(=O)(=O)",
    "C#N",
    "[C@@H](C)",
)


def _path(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None
