"""Resolves every extra of pyproject.toml at its lowest and at its highest versions, and installs nothing.

    make extras
    python tests/resolve_extras.py [EXTRA ...]

uv resolves an extra together with all dependencies of the package. The lowest versions must be the lower bounds of
pyproject.toml: a lower bound that no resolution can reach does not describe what works. Versions that are newer than
the tested ones of constraints.txt are only listed. The exit code is 1 if an extra can't be resolved or a bound is never
reached.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
PYTHON = "3.11"
"""The oldest supported version of Python: newer ones have no wheels of some lowest versions."""

logger = logging.getLogger("extras")


def main(extras: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    wrong = [line for extra in extras or EXTRAS for line in [*lowest(extra), *highest(extra)]]
    for line in wrong:
        logger.error("%s", line)
    logger.info("%d extras, %d errors", len(extras or EXTRAS), len(wrong))
    return bool(wrong)


def lowest(extra: str) -> list[str]:
    """What is wrong with the lowest versions of an extra."""
    found = resolved(extra, "lowest-direct")
    if isinstance(found, str):
        return [f"{extra}, lowest versions: {found}"]
    wrong = []
    for requirement in map(Requirement, EXTRAS[extra]):
        name = canonicalize_name(requirement.name)
        bounds = [Version(part.version) for part in requirement.specifier if part.operator in (">=", "==")]
        if not bounds:
            wrong.append(f"{extra}: {name} has no lower bound")
        elif found[name] != bounds[0]:
            wrong.append(f"{extra}: {requirement} resolves to {found[name]} at the lowest: raise the bound")
    logger.info("%s, lowest: %s", extra, listed(extra, found))
    return wrong


def highest(extra: str) -> list[str]:
    """What is wrong with the highest versions of an extra."""
    found = resolved(extra, "highest")
    if isinstance(found, str):
        return [f"{extra}, highest versions: {found}"]
    newer = [name for name in names(extra) if name in tested() and found[name] > tested()[name]]
    note = f" (newer than tested: {', '.join(newer)})" if newer else ""
    logger.info("%s, highest: %s%s", extra, listed(extra, found), note)
    return []


def resolved(extra: str, resolution: str) -> dict[str, Version] | str:
    """Versions of all packages by name, or why they can't be resolved."""
    options = ["--extra", extra, "--resolution", resolution, "--python-version", PYTHON]
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *options, "--quiet", "--no-annotate"]
    done = subprocess.run([*command, "--no-header"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
    return {canonicalize_name(name): Version(version) for name, version in pins(done.stdout)}


def pins(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", text, flags=re.MULTILINE)


def names(extra: str) -> list[str]:
    return [canonicalize_name(Requirement(text).name) for text in EXTRAS[extra]]


def listed(extra: str, found: dict[str, Version]) -> str:
    return ", ".join(f"{name} {found[name]}" for name in names(extra))


def tested() -> dict[str, Version]:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return {canonicalize_name(name): Version(version) for name, version in pins(text)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
