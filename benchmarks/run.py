"""Runs every benchmark and writes the tables of speed and of vocabularies to `docs/benchmarks.md`.

    python benchmarks/run.py                  installs the published package in a second environment, measures both
    python benchmarks/run.py --peer none      does not install it; compares with its published figures
    python benchmarks/run.py --smoke          tiny shapes, to test that everything runs; does not write the page

Takes about 15 minutes on two cores, 6 GB of disk and 12 GB of memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import Row, counts_processor_time, markdown, options, progress
from machine import describe

SPEED = ("bench_start", "bench_tokenizer", "bench_load", "bench_dti", "bench_classify", "bench_generate")
DNA_AND_NAMES = ("bench_dna", "bench_names")
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"

HEADING = """# Benchmarks

`make bench` writes this page. To measure a ratio, our implementation and the other one run alternately in one session,
each in its own process, with the same random weights of the published shapes and the same inputs. The result is the
ratio of the medians of {rounds} rounds. The column *outputs* gives the difference between the two results. The target
of a ratio counts as met only if the results agree to 1e-4. The text at the top of each script in `benchmarks/`
describes exactly what both sides do.

Machine: {machine} Jobs are timed by {clock}.

Inputs: {inputs}; tokenizer: {tokenizer}.

"""
SECOND_HEADING = """

## DNA and names

This table compares the number of tokens for DNA with variants and for IUPAC names with the published vocabularies, and
gives the speed of cutting windows from a variant file. Windows: {windows}.

"""


def main() -> int:
    chosen = options(__doc__)
    (speed, failed), (vocabularies, failed_too) = run_scripts(SPEED), run_scripts(DNA_AND_NAMES)
    heading = HEADING.format(
        rounds=chosen.rounds,
        machine=describe(),
        clock="processor time" if counts_processor_time() else "the wall clock",
        inputs="given with `--inputs`" if chosen.inputs else "made from a seed",
        tokenizer="the published one" if chosen.tokenizer else "our own vocabulary",
    )
    second = SECOND_HEADING.format(windows="public sets in `--data`" if chosen.data else "made from a seed")
    page = heading + markdown(speed) + second + markdown(vocabularies)
    print(page)
    complete = not failed and not failed_too
    if complete and not chosen.smoke:
        PAGE.write_text(page + "\n", encoding="utf-8")
        progress(f"Written to {PAGE}")
    return 0 if complete else 1


def run_scripts(scripts: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Returns the rows of some benchmarks, and the names of the benchmarks that failed."""
    rows: list[Row] = []
    failed: list[str] = []
    for script in scripts:
        progress(f"== {script}")
        try:
            rows += (measured := run_script(script))
            progress(markdown(measured))
        except subprocess.CalledProcessError as error:
            progress(f"{script} failed with code {error.returncode}")
            failed.append(script)
    return rows, failed


def run_script(script: str) -> list[Row]:
    """Returns the rows of one benchmark. It runs in a process of its own, so its memory starts empty."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        path = str(Path(__file__).with_name(f"{script}.py"))
        arguments = [*sys.argv[1:], f"--rows={file}"]
        subprocess.run([sys.executable, path, *arguments], check=True, stdout=subprocess.DEVNULL)
        return [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))]


if __name__ == "__main__":
    sys.exit(main())
