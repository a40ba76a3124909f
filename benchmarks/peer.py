"""The published package in an environment of its own, so that both sides can be timed in one run.

    python benchmarks/peer.py FOLDER        makes the environment (about 2 GB) and prints its versions

The published package is also called `mammal`, and it needs transformers 4. It therefore gets a second environment and a
second process. It is installed with `--no-deps`, because inference imports neither TensorFlow nor ClearML. The packages
that inference imports are listed here. pip uses its own settings to find packages: without a GPU, set it to use torch's
CPU builds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from common import Options, Turns, progress, take_turns

PUBLISHED = ("biomed-multi-alignment==0.2.4", "fuse-med-ml==0.4.1")
TORCH = "torch==2.13.0"
IMPORTED = (
    "transformers==4.57.6",
    "tokenizers==0.22.2",
    "numpy==2.4.6",
    "safetensors==0.8.0",
    "omegaconf==2.3.1",
    "pytorch-lightning==2.6.6",
    "peft",
    "pandas",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "h5py",
    "hdf5plugin",
    "ipython",
    "deepdiff",
    "termcolor",
    "psutil",
    "pytest",
    "click",
)
WORKER = Path(__file__).with_name("peer_worker.py")


class PeerError(RuntimeError):
    """The published package could not be installed, or failed at a job."""


class Peer:
    """A process that runs the published package; jobs are the methods of `peer_worker.Worker`.

    Args:
        python: the Python of the environment.
        threads: OpenMP threads; should be the same number as ours.
    """

    def __init__(self, python: Path, threads: int):
        self.python = python
        self._process = subprocess.Popen(
            [str(python), str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=WORKER.parent.anchor,
            env=clean_environment(threads),
        )

    def do(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Returns the answer to one job.

        Raises:
            PeerError: the job failed in the other process.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"job": job, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"the process ended with code {self._process.wait()}"}
        if "error" in answer:
            raise PeerError(f"{job}: {answer['error']}")
        return answer

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def find_peer(chosen: Options) -> Path | None:
    """Returns the Python that has the published package: the given one, or one installed into the cache; else None."""
    if chosen.peer == "none":
        return None
    if chosen.peer != "auto":
        return Path(chosen.peer)
    try:
        return install(chosen.cache / "peer")
    except PeerError as error:
        progress(f"The published package is left out: {error}")
        return None


def start_peer(chosen: Options, threads: int) -> Peer | None:
    """Returns a running peer, or None if the published package is not available."""
    python = find_peer(chosen)
    return Peer(python, threads) if python else None


def take_turns_with_peer(
    chosen: Options,
    threads: int,
    folder: Path,
    sides: dict[str, Callable[[int], float]],
    theirs: Callable[[Peer], Mapping[str, Callable[[int], float]]],
) -> Turns:
    """Runs our sides and, if the published package is available, those that `theirs` makes of it, alternately.

    Args:
        threads: OpenMP threads of the peer.
        folder: checkpoint that it loads first.
        sides: ours; those of the peer are added.
    """
    peer = start_peer(chosen, threads)
    with peer or nullcontext():
        if peer is not None:
            peer.do("load", folder=str(folder))
            sides.update(theirs(peer))
        return take_turns(chosen.rounds, sides)


def install(folder: Path) -> Path:
    """Makes the environment, unless it exists and is complete.

    Raises:
        PeerError: pip failed; the message is the last line of its output.
    """
    python, complete = folder / "bin" / "python", folder / ".complete"
    if complete.exists():
        return python
    progress(f"Installing the published package into {folder}")
    _call(sys.executable, "-m", "venv", str(folder))
    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _call(*pip, TORCH, *IMPORTED)
    _call(*pip, "--no-deps", *PUBLISHED)
    complete.touch()
    return python


def clean_environment(threads: int) -> dict[str, str]:
    """Returns the environment variables without those that would make the other Python find our packages."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    return {**kept, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError((done.stderr.strip().splitlines() or ["no message"])[-1])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with Peer(install(Path(sys.argv[1])), os.cpu_count() or 1) as peer:
        print(json.dumps(peer.do("versions"), indent=2))
