"""Long tests of batch jobs: 200 kills at random instants, and about 100,000 rows of files with noise.

    OMP_NUM_THREADS=1 python benchmarks/soak_jobs.py
    OMP_NUM_THREADS=1 python benchmarks/soak_jobs.py noise
    MAMMAL_SOAK_KILLS=50 MAMMAL_SOAK_FILES=100 MAMMAL_SOAK_SEED=2 python benchmarks/soak_jobs.py

Runs the tests `test_jobs_killed.py` (`kills`) and `test_noisy_files.py` (`noise`) with larger numbers than `make test`:
kills of the job, and files of each format that jobs read. Prints the rows of each format. The kills take about an hour
on two cores, the files a quarter of an hour.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
LARGE = {"MAMMAL_SOAK_KILLS": "200", "MAMMAL_SOAK_FILES": "300"}
PARTS = {
    "kills": TESTS / "integration" / "test_jobs_killed.py",
    "noise": TESTS / "unit" / "mammal" / "test_noisy_files.py",
}


def main() -> int:
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    command = [sys.executable, "-m", "pytest", "-n", "0", "-s", "--show-capture=no"]
    return subprocess.run([*command, *(str(PARTS[part]) for part in chosen)], env={**LARGE, **os.environ}).returncode


if __name__ == "__main__":
    sys.exit(main())
