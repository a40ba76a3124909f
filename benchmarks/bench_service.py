"""The service under load: 16 clients that each wait for an answer before they send the next row, compared with one.

`mammal serve` runs in a process of its own with a model of the shape of `model=tiny` and random weights. The clients
run in this process, on the same cores. Each request has one molecule: for the task `bbbp`, which takes one pass of the
model, or for `smiles_to_iupac`, which generates 24 tokens one after the other. `MAMMAL_BENCH_SECONDS` is the time of
each load (60), and `MAMMAL_BENCH_CLIENTS` the number of clients (16). Probabilities are compared with those of
`Mammal.predict`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import FRAGMENTS, Options, Row, at_least, largest_difference, load_inputs, progress, run_as_script
from dna_bundle import TINY

TASKS = ("bbbp", "smiles_to_iupac")
TASK = TASKS[0]
TOKENS = 24
REQUESTS: dict[str, dict[str, Any]] = {
    "predict": {"task": TASK},
    "generate": {
        "task": TASKS[1],
        "constraint": "alphabet",
        "num_beams": 1,
        "min_new_tokens": TOKENS - 1,
        "max_new_tokens": TOKENS,
    },
}
"""Verb -> fields of a request in addition to its row."""
GAIN = 4.0
ALONE_SHARE = 0.25
"""Time of one client, as a share of the time of the load."""


@dataclass
class Load:
    """What clients have measured.

    Attributes:
        seconds: latency of each request.
        errors: requests without an answer.
        answers: SMILES -> probability.
        wall: seconds in all.
    """

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    answers: dict[str, float] = field(default_factory=dict)
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Returns the answers per second."""
        return len(self.seconds) / self.wall

    def quantile(self, share: float) -> float:
        """Returns a latency in milliseconds."""
        ordered = sorted(self.seconds)
        return 1_000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def latencies(self) -> str:
        """Returns the latencies as text."""
        if not self.seconds:
            return "no answer"
        return f"median {1_000 * statistics.median(self.seconds):.1f} ms, 99 % within {self.quantile(0.99):.1f} ms"


def measure(chosen: Options) -> list[Row]:
    """Measures one client, then many, with the same service, for a prediction and for generation."""
    seconds = 3.0 if chosen.smoke else float(os.environ.get("MAMMAL_BENCH_SECONDS", 60))
    clients = int(os.environ.get("MAMMAL_BENCH_CLIENTS", 16))
    bundle, molecules = tiny_bundle(chosen.cache), readable(chosen)
    process, port = start(bundle, chosen.cache / "service.log")
    loads: dict[str, tuple[Load, Load]] = {}
    try:
        for what, request in REQUESTS.items():
            asyncio.run(load(port, request, molecules, 1, 1.0))  # warms up
            alone = asyncio.run(load(port, request, molecules, 1, max(1.0, ALONE_SHARE * seconds)))
            progress(f"{what}, one client: {alone.rate:.0f} requests/s, {alone.latencies}")
            together = asyncio.run(load(port, request, molecules, clients, seconds))
            progress(f"{what}, {clients} clients: {together.rate:.0f} requests/s, {together.latencies}")
            loads[what] = alone, together
    finally:
        process.send_signal(signal.SIGTERM)
        stopped = process.wait(60)
    difference = largest_difference(*compared(bundle, loads["predict"][1].answers))
    sent = sum(len(one.seconds) + one.errors for pair in loads.values() for one in pair)
    errors = sum(one.errors for pair in loads.values() for one in pair)
    rows = [
        Row(
            f"{what}: {clients} clients for {seconds:g} s compared with one client, requests per second",
            **at_least(together.rate / alone.rate, GAIN),
            ours=f"{together.rate:.0f}/s; {together.latencies}",
            theirs=f"{alone.rate:.0f}/s; {alone.latencies}",
            equal=f"{difference:.1e}" if what == "predict" else "",
            source="the same service with one client",
        )
        for what, (alone, together) in loads.items()
    ]
    what = f"errors of {sent:,} requests; exit code after SIGTERM"
    good = errors == 0 and stopped == 0
    return [*rows, Row(what, measured=f"{errors}; {stopped}", target="0; 0", met=good)]


def readable(chosen: Options) -> list[str]:
    """Returns molecules that are different and valid: rows that are refused would cost nothing."""
    from mammal.tasks.molecules.chemistry import canonical_or_none

    if chosen.inputs is not None:
        found = load_inputs(chosen)["loop"]
    else:
        draw = random.Random(0)
        found = ["".join(draw.choices(FRAGMENTS, k=draw.randint(3, 7))) for _ in range(4_000)]
    return [smiles for smiles in dict.fromkeys(found) if canonical_or_none(smiles)][:400]


def tiny_bundle(cache: Path) -> Path:
    """Returns a bundle with random weights and both tasks, which is made once."""
    folder = cache / "tiny-service"
    if not (folder / "task.yaml").exists():
        import torch

        from mammal.bundle.folder import save_bundle
        from mammal.model.config import ModelConfig
        from mammal.model.model import MammalModel
        from mammal.tasks import build_task, load_task
        from mammal.tokenization import Tokenizer

        progress(f"Making random weights in {folder}")
        torch.manual_seed(0)
        tokenizer = Tokenizer.load(None)
        model = MammalModel(ModelConfig(tokenizer.vocab_rows, **TINY))
        save_bundle(folder, model, tokenizer, [build_task(load_task(task), tokenizer) for task in TASKS])
    return folder


def start(bundle: Path, log: Path) -> tuple[subprocess.Popen, int]:
    """Returns the process of the service and its port, once the model is warm."""
    command = [sys.executable, "-m", "mammal.cli", "serve", f"bundle={bundle}", "port=0"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    while process.poll() is None:
        text = log.read_text()
        if (port := re.search(r"listening on http://[^:]+:(\d+)", text)) and "\nready\n" in text:
            return process, int(port[1])
        time.sleep(0.1)
    raise SystemExit(log.read_text())


async def load(port: int, request: dict[str, Any], molecules: Sequence[str], clients: int, seconds: float) -> Load:
    """Sends requests for some seconds. Each client goes through the molecules from a place of its own."""
    found, begin = Load(), time.perf_counter()
    path = next(verb for verb, fields in REQUESTS.items() if fields is request)

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        place = number * len(molecules) // clients
        while time.perf_counter() < begin + seconds:
            smiles = molecules[place % len(molecules)]
            place += 1
            sent = time.perf_counter()
            status, body = await exchange(reader, writer, path, {"data": [smiles], **request})
            if status == 200 and not body["refused"]:
                found.seconds.append(time.perf_counter() - sent)
                found.answers[smiles] = body["rows"][0].get("probability")
            else:
                found.errors += 1
        writer.close()

    await asyncio.gather(*map(client, range(clients)))
    found.wall = time.perf_counter() - begin
    return found


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, verb: str, content: Any
) -> tuple[int, Any]:
    """Sends one request over an open connection. A library for HTTP would take longer than the service."""
    body = json.dumps(content).encode()
    head = f"POST /{verb} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", answer.lower())[1])
    return int(answer.split(b" ", 2)[1]), json.loads(await reader.readexactly(length))


def compared(bundle: Path, answers: dict[str, float]) -> tuple[list[float], list[float]]:
    """Returns the answers of the service, and those of the Python API."""
    import mammal

    frame = mammal.load(bundle).predict(list(answers), TASK)
    return [value or 0.0 for value in answers.values()], frame["probability"].fillna(0.0).tolist()


if __name__ == "__main__":
    run_as_script(__doc__, measure)
