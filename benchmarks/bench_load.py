"""Time and memory to load a checkpoint, compared with reading its file and with the published loader.

Every memory page of the weights is read before the clock stops, so lazy loading is counted, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from common import MEASURED, PUBLISHED, Options, Row, at_most, run_as_script, take_turns
from models import checkpoint
from peer import clean_environment, find_peer

READ_FACTOR, EXTRA_SECONDS, MEMORY_FACTOR = 1.2, 1.0, 1.3
PUBLISHED_LOAD, PUBLISHED_PEAK = 3.3, 4.5e9  # seconds, bytes

OURS = """
import json, resource, sys, time
import torch
from mammal.inference.api import load
start = time.perf_counter()
model = load(sys.argv[1])
for weight in model.model.parameters():
    weight.detach().flatten()[::1024].sum()
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""
THEIRS = """
import contextlib, io, json, resource, sys, time
from fuse.data.tokenizers.modular_tokenizer.op import ModularTokenizerOp
from mammal.model import Mammal
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    model = Mammal.from_pretrained(sys.argv[1]).eval()
    tokenizer = ModularTokenizerOp.from_pretrained(sys.argv[1] + "/tokenizer")
for weight in model.parameters():
    weight.detach().flatten()[::1024].sum()
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def measure(chosen: Options) -> list[Row]:
    """Loads model and tokenizer in a new process. Libraries are imported before timing starts; the file is cached."""
    folder = checkpoint(chosen, "smoke" if chosen.smoke else "458M")
    file = folder / "model.safetensors"
    size = file.stat().st_size
    python, ours, theirs = find_peer(chosen), Loads(sys.executable, OURS, folder), None
    sides = {"read": lambda _: read_seconds(file), "ours": ours}
    if python is not None:
        sides["theirs"] = theirs = Loads(str(python), THEIRS, folder)
    read_seconds(file)  # into the page cache
    turns = take_turns(chosen.rounds, sides)
    read, seconds = turns.median("read"), turns.median("ours")
    peak, their_seconds, their_peak = ours.peak, PUBLISHED_LOAD, PUBLISHED_PEAK
    if theirs is not None:
        their_seconds, their_peak = turns.median("theirs"), theirs.peak
    source = MEASURED if python else PUBLISHED
    return [
        Row(
            f"loading a checkpoint of {size / 1e9:.2f} GB; reading its file takes {read:.2f} s",
            **at_most(seconds, READ_FACTOR * read + EXTRA_SECONDS, "s"),
            theirs=f"{their_seconds:.2f} s",
            source=source,
        ),
        Row(
            "peak memory of that process, interpreter and libraries included",
            measured=f"{peak / size:.2f} × the file",
            target=f"≤ {MEMORY_FACTOR} ×",
            met=peak <= MEMORY_FACTOR * size,
            ours=f"{peak / 1e9:.2f} GB",
            theirs=f"{their_peak / 1e9:.1f} GB",
            source=source,
        ),
    ]


def read_seconds(file: Path) -> float:
    """Returns the seconds to read a file into allocated memory."""
    buffer = memoryview(bytearray(file.stat().st_size))
    with file.open("rb", buffering=0) as stream:
        start = time.perf_counter()
        while buffer and (count := stream.readinto(buffer)):
            buffer = buffer[count:]
        return time.perf_counter() - start


class Loads:
    """Loads in a new process at each call, and keeps the highest peak memory of all calls."""

    def __init__(self, python: str, code: str, folder: Path):
        self.command = [python, "-c", code, str(folder)]
        self.peak = 0

    def __call__(self, _: int) -> float:
        environment = clean_environment(os.cpu_count() or 1)
        root = Path.cwd().anchor  # away from folders that Python would import from
        done = subprocess.run(self.command, check=True, capture_output=True, text=True, cwd=root, env=environment)
        answer = json.loads(done.stdout.splitlines()[-1])
        self.peak = max(self.peak, answer["peak"])
        return answer["seconds"]


if __name__ == "__main__":
    run_as_script(__doc__, measure)
