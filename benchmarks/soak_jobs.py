"""Long tests of batch jobs: 200 kills at random instants, and about 100,000 rows of files with noise.

    OMP_NUM_THREADS=1 python benchmarks/soak_jobs.py
    MAMMAL_SOAK_KILLS=50 MAMMAL_SOAK_FILES=100 python benchmarks/soak_jobs.py

Runs the tests `test_jobs_killed.py` and `test_job_faults.py` with larger numbers than `make test`: kills of the job,
and files of each format. Takes about an hour on two cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
LARGE = {"MAMMAL_SOAK_KILLS": "200", "MAMMAL_SOAK_FILES": "600"}


def main() -> int:
    command = [sys.executable, "-m", "pytest", "-n", "0"]
    tests = [TESTS / "integration" / "test_jobs_killed.py", TESTS / "unit" / "mammal" / "test_job_faults.py"]
    return subprocess.run([*command, *map(str, tests)], env={**LARGE, **os.environ}).returncode


if __name__ == "__main__":
    sys.exit(main())
