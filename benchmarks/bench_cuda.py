"""Tests and measures everything that runs on a CUDA device, in eight minutes; writes a JSON file and a Markdown table.

    python benchmarks/bench_cuda.py                        on a machine with one GPU
    python benchmarks/bench_cuda.py --device cpu --smoke   tiny shapes, to test that the script runs

Each part runs in a process of its own with a time limit, and writes each figure as soon as it is measured. A part that
fails or takes too long loses its further figures only. The share of the peak (MFU) counts the operations of matrix
products and attention over real tokens: without padding, and three times the forward pass for training.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("tokenization", "tasks", "configs", "checkpoints")  # sub-packages of mammal, at the root of the repository

PARTS = {"tests": 140, "training": 90, "inference": 90, "pretraining": 70, "compiled": 60}
"""Time limit of each part in seconds, in the order in which they run."""
TOTAL = 465
"""Seconds after which no part runs any more."""


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        part: part of the benchmark.
        what: what was measured.
        value: the value as text, with its unit.
        target: target of the value; empty if there is none.
        met: whether the target is met; None without a target.
        note: how it was measured, or what failed.
    """

    part: str
    what: str
    value: str
    target: str = ""
    met: bool | None = None
    note: str = ""


class Report:
    """Collects the figures of one part, and writes each one at once.

    Args:
        part: name of the part.
        file: file to which figures are added, one JSON object a line.
        device: device that is measured.
        smoke: tiny shapes.
    """

    def __init__(self, part: str, file: Path, device: str, smoke: bool):
        self.part, self.file, self.device, self.smoke = part, file, device, smoke

    def add(self, what: str, value: str, **more: Any) -> None:
        """Adds a figure; `more` are the other fields of `Figure`."""
        figure = Figure(self.part, what, value, **more)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(figure)) + "\n")
        print(f"{figure.part}: {what}: {value} {figure.note}", file=sys.stderr, flush=True)

    def attempt(self, what: str, measure: Callable[[], None]) -> None:
        """Measures something that may fail: an error becomes a figure, and what follows is still measured."""
        try:
            measure()
        except Exception as error:
            traceback.print_exc()
            self.add(
                what, "failed", note=f"{type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''}"
            )
            _free_memory(self.device)


def _free_memory(device: str) -> None:
    import torch

    if device != "cpu" and torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--smoke", action="store_true", help="tiny shapes, to test that the script runs")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=TOTAL, help=f"time limit of all parts (default: {TOTAL})")
    parser.add_argument("--output", type=Path, default=Path("cuda-benchmark"), help="folder for the results")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # the part that this process runs
    chosen = parser.parse_args()
    if chosen.only:
        return _run_part(chosen.only, Report(chosen.only, chosen.output / "figures.jsonl", chosen.device, chosen.smoke))
    if unknown := set(chosen.parts.split(",")) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return _run_all(chosen)


def _run_all(chosen: argparse.Namespace) -> int:
    chosen.output.mkdir(parents=True, exist_ok=True)
    file = chosen.output / "figures.jsonl"
    file.write_text("", encoding="utf-8")
    begun, failed = time.monotonic(), []
    with tempfile.TemporaryDirectory() as links:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_import_path(Path(links)))}
        for part in [part for part in PARTS if part in chosen.parts.split(",")]:
            limit = chosen.seconds if chosen.smoke else PARTS[part]
            left = min(limit, begun + chosen.seconds - time.monotonic())
            problem = "no time was left" if left < 10 else _run(part, chosen, environment, left)
            if problem:
                failed.append(part)
                Report(part, file, chosen.device, chosen.smoke).add("the whole part", "incomplete", note=problem)
    figures = [Figure(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    seconds = round(time.monotonic() - begun)
    content = {"machine": _machine(), "seconds": seconds, "figures": [asdict(figure) for figure in figures]}
    (chosen.output / "cuda.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    page = f"{content['machine']} {seconds} s in all.\n\n{markdown(figures)}\n"
    (chosen.output / "cuda.md").write_text(page, encoding="utf-8")
    print(page)
    return 1 if failed else 0


def _run(part: str, chosen: argparse.Namespace, environment: dict[str, str], seconds: float) -> str:
    """Runs one part in a process of its own; returns what went wrong, or nothing."""
    command = [sys.executable, __file__, f"--only={part}", f"--device={chosen.device}", f"--output={chosen.output}"]
    if chosen.smoke:
        command.append("--smoke")
    log = chosen.output / f"{part}.log"
    with log.open("w", encoding="utf-8") as stream:
        job = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = job.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, 9)  # with the workers that it has started
            job.wait()
            return f"stopped after {seconds:.0f} s, see {log.name}"
    return f"ended with code {code}, see {log.name}" if code else ""


def _run_part(part: str, report: Report) -> int:
    if part == "tests":
        return _run_tests(report)
    from cuda_inference import measure_inference
    from cuda_training import measure_compiled, measure_pretraining, measure_training

    parts = {
        "training": measure_training,
        "inference": measure_inference,
        "pretraining": measure_pretraining,
        "compiled": measure_compiled,
    }
    parts[part](report)
    return 0


def _run_tests(report: Report) -> int:
    """Runs the tests that need a GPU, several at once if pytest-xdist is there; they use little of the GPU."""
    command = [sys.executable, "-m", "pytest", "-rfE", "--tb=short", "-p", "no:cacheprovider", "tests/gpu"]
    if importlib.util.find_spec("xdist") is not None:
        command += ["-n", "2" if report.smoke else "6"]
    if report.smoke:
        command += ["-k", "buckets or saved_from"]
    environment = {**os.environ, "MAMMAL_TEST_DEVICE": report.device, "OMP_NUM_THREADS": "1"}
    job = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    print(job.stdout, job.stderr, flush=True)
    lines = job.stdout.strip().splitlines() or job.stderr.strip().splitlines() or [""]
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            report.add(line.split(" - ")[0], "failed", note=line.partition(" - ")[2][:160])
    report.add("tests/gpu", lines[-1].strip("= "), target="no failure", met=job.returncode == 0)
    return 0 if job.returncode in (0, 1) else job.returncode


def _import_path(links: Path) -> list[str]:
    """Folders from which the parts import `mammal`; links make one package of it where it is not installed."""
    folders = [str(Path(__file__).parent)]
    if importlib.util.find_spec("mammal") is None or importlib.util.find_spec("mammal.tokenization") is None:
        package = links / "mammal"
        package.mkdir()
        for path in [*(ROOT / "mammal").iterdir(), *(ROOT / name for name in FOLDERS)]:
            (package / path.name).symlink_to(path)
        folders.append(str(links))
    return [*folders, *filter(None, [os.environ.get("PYTHONPATH")])]


def _machine() -> str:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{gpu}, {os.cpu_count()} cores, torch {torch.__version__}, CUDA {torch.version.cuda}."


def markdown(figures: list[Figure]) -> str:
    """Returns the figures as a Markdown table."""
    marks = {True: "yes", False: "**no**", None: ""}
    lines = ["| part | what | value | target | met | note |", "|---|---|---|---|---|---|"]
    for figure in figures:
        cells = [figure.part, figure.what, figure.value, figure.target, marks[figure.met], figure.note]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
