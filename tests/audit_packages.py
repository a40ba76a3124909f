"""Looks up the pinned packages of constraints.txt among the known security faults of osv.dev, by pip-audit.

    make audit
    python tests/audit_packages.py

The exit code is 1 if a package has a known fault. Without a connection to the index nothing is looked up: the script
says so, and the exit code is 0, so that `make check` works offline.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOL = "pip-audit>=2.9"


def main() -> int:
    packages = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    audit = [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "constraints.txt")]
    how = [
        "--no-deps",
        "--disable-pip",
        "--vulnerability-service",
        "osv",
        "--timeout",
        "15",
        "--progress-spinner",
        "off",
    ]
    if not _installed():
        return _not_audited(len(packages), "pip-audit can't be installed")
    done = subprocess.run([*audit, *how], capture_output=True, text=True, check=False)
    if "known vulnerabilit" not in done.stdout + done.stderr:  # both outcomes are reported with these words
        last = (done.stderr.strip().splitlines() or ["pip-audit reported nothing"])[-1]
        return _not_audited(len(packages), last)
    sys.stdout.write(done.stdout + done.stderr)
    return done.returncode


def _installed() -> bool:
    """Whether pip-audit is installed, or could be."""
    if subprocess.run([sys.executable, "-c", "import pip_audit"], capture_output=True, check=False).returncode == 0:
        return True
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TOOL]
    return subprocess.run(install, capture_output=True, check=False).returncode == 0


def _not_audited(packages: int, reason: str) -> int:
    sys.stdout.write(f"NOT AUDITED: {packages} pinned packages were not looked up ({reason[:200]})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
