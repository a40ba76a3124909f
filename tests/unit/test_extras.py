"""The bounds of pyproject.toml agree with the tested versions of constraints.txt and with what the code advises."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {extra: list(map(Requirement, listed)) for extra, listed in PROJECT["optional-dependencies"].items()}
CONSTRAINTS = {
    canonicalize_name(pin.name): next(iter(pin.specifier)).version
    for pin in map(Requirement, re.findall(r"^\w.*==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
}
NO_TESTED_VERSION = {"ray", "wandb", "build", "setuptools"}
"""Packages of extras that no test imports, and those that build the package."""
NEEDED = {
    "antibodies": ("antiberty", "0.1.3", "1.0.0"),  # wheels of 0.1 contain the weights that pseudo_perplexity reads
    "search": ("sqlalchemy", "1.4.54", "2.0.0"),  # the storage of Optuna 2 is written for SQLAlchemy 1
    "docs": ("mkdocs", "1.6.1", "2.0.0"),  # mkdocs-material 9 is a theme of mkdocs 1
}
"""Extra -> package, a version that our code works with, and one that it doesn't work with."""


def test_every_bound_holds_for_the_tested_version_and_for_what_the_code_expects():
    for extra, requirements in EXTRAS.items():
        for requirement in requirements:
            name = canonicalize_name(requirement.name)
            tested = CONSTRAINTS.get(name)
            assert tested or name in NO_TESTED_VERSION, f"{extra}: constraints.txt has no version of {name}"
            assert tested is None or requirement.specifier.contains(tested), f"{extra}: {requirement}, tested {tested}"
    for requirement in map(Requirement, PROJECT["dependencies"]):
        tested = CONSTRAINTS.get(canonicalize_name(requirement.name))
        assert tested is None or requirement.specifier.contains(tested), f"{requirement}, tested {tested}"
    for extra, (name, works, fails) in NEEDED.items():
        (found,) = (one for one in EXTRAS[extra] if canonicalize_name(one.name) == name)
        assert found.specifier.contains(works) and not found.specifier.contains(fails), f"{extra}: {found}"
    for file in [*ROOT.glob("mammal/**/*.py"), *ROOT.glob("tasks/**/*.py"), *ROOT.glob("docs/*.md")]:
        text = file.read_text(encoding="utf-8")
        for named in re.findall(r"mammal\[([a-z][\w,-]*)\]", text):
            assert set(named.split(",")) <= EXTRAS.keys(), f"{file.name}: no extra {named}"
        for advised in re.findall(r"pip install '(\w[\w-]*[<>=][^']*)'", text):
            assert Requirement(advised) in [one for listed in EXTRAS.values() for one in listed], (
                f"{file.name}: {advised}"
            )
