"""Every extra of pyproject.toml has the bounds that our code needs, and agrees with the tested versions.

`make extras` resolves the extras themselves; it needs the package index.
"""

import re
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
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
BOUNDS = {
    "ray": {"ray": ("2.50.0", "2.49.2", None)},
    "launchers": {
        "hydra-joblib-launcher": ("1.2.0", "1.1.5", None),  # 1.1 is written for Hydra 1.1
        "hydra-submitit-launcher": ("1.2.0", "1.1.5", None),
        "submitit": ("1.5.0", "1.4.6", None),
    },
    "ray-launcher": {"hydra-ray-launcher": ("1.2.2", "1.2.1", None)},
    "search": {
        "hydra-optuna-sweeper": ("1.3.0", "1.2.0", None),
        # Optuna 2.10 stores studies with SQLAlchemy 1. Its alembic needs types that 1.4.20 does not have.
        "sqlalchemy": ("1.4.24", "1.4.20", "2.0.0"),
    },
    "tensorboard": {"tensorboard": ("2.18.0", "2.17.1", None)},  # the first for numpy 2
    "wandb": {"wandb": ("0.18.0", "0.17.9", None)},
    "cells": {"h5py": ("3.11.0", "3.10.0", None)},  # wheels of 3.10 are built for numpy 1
    "variants": {"pysam": ("0.22.0", "0.21.0", None)},
    "iupac": {"openclatura": ("0.4.0", "0.3.9", None), "py2opsin": ("1.2.0", "1.1.0", None)},
    "antibodies": {"antiberty": ("0.1.3", "0.1.2", "1.0.0")},  # the wheel of 1.0 does not contain the weights
    "b3db": {"qc-b3db": ("1.1.0", "1.0.0", None)},
    "generation": {
        "fcd": ("1.2.2", "1.2.1", None),
        "sacrebleu": ("2.4.0", "2.3.3", None),
        "rouge-score": ("0.1.2", "0.1.1", None),
        "rapidfuzz": ("3.9.0", "3.8.1", None),
    },
    "explain": {"captum": ("0.8.0", "0.7.0", None)},  # 0.7 needs numpy 1
    "data-check": {"cleanlab": ("2.9.0", "2.7.1", None)},  # 2.7 has the AGPL
    "onnx": {
        "onnx": ("1.18.0", "1.17.0", None),
        "onnxruntime": ("1.22.0", "1.21.1", None),
        "onnxscript": ("0.5.0", "0.4.0", None),
    },
    "serve": {
        "fastapi": ("0.132.0", "0.131.0", None),  # the first that refuses JSON of another content type
        "uvicorn": ("0.35.0", "0.34.3", None),
        "mcp": ("2.0.0", "1.27.0", None),  # MCPServer
        "prometheus-client": ("0.21.0", "0.20.0", None),
    },
    "docs": {
        "mkdocs": ("1.6.0", "1.5.3", "2.0.0"),  # mkdocs-material 9 is a theme of mkdocs 1
        "mkdocs-material": ("9.6.0", "9.5.50", None),
        "mkdocstrings": ("0.29.0", "0.28.3", None),
        "nbformat": ("5.10.0", "5.9.2", None),
        "nbclient": ("0.10.0", "0.9.1", None),
        "ipykernel": ("6.29.0", "6.28.0", None),
    },
}
"""Extra -> package: the lowest version that is allowed, and versions below and above that are not allowed."""
TOOLS = "dev"
"""The extra with the tools of developers and the packages of other extras that tests need."""
IMPORTED = {
    "hydra-joblib-launcher": ("hydra_plugins.hydra_joblib_launcher", "override /hydra/launcher: joblib"),
    "hydra-submitit-launcher": ("hydra_plugins.hydra_submitit_launcher", "override /hydra/launcher: submitit_slurm"),
    "hydra-ray-launcher": ("hydra_plugins.hydra_ray_launcher", "override /hydra/launcher: ray"),
    "hydra-optuna-sweeper": ("hydra_plugins.hydra_optuna_sweeper", "override /hydra/sweeper: optuna"),
    "tensorboard": ("tensorboard", "TensorBoardLogger"),
    "wandb": ("wandb", "WandbLogger"),
    "h5py": ("h5py", "import h5py"),
    "pysam": ("pysam", "import pysam"),
    "openclatura": ("openclatura", "from openclatura import"),
    "py2opsin": ("py2opsin", 'find_spec("py2opsin")'),
    "antiberty": ("antiberty", 'metadata.files("antiberty")'),
    "qc-b3db": ("B3DB", 'find_spec("B3DB")'),
    "captum": ("captum", "from captum.attr"),
    "cleanlab": ("cleanlab", "from cleanlab"),
    "onnx": ("onnx", "import onnx"),
    "onnxruntime": ("onnxruntime", "import onnxruntime"),
    "onnxscript": ("onnxscript", "onnxscript"),
    "fcd": ("fcd", "from fcd import"),
    "sacrebleu": ("sacrebleu", "from sacrebleu.metrics"),
    "rouge-score": ("rouge_score", "from rouge_score"),
    "rapidfuzz": ("rapidfuzz", "from rapidfuzz"),
    "fastapi": ("fastapi", "from fastapi import"),
    "uvicorn": ("uvicorn", "import uvicorn"),
    "mcp": ("mcp", "from mcp.server import"),
    "prometheus-client": ("prometheus_client", "from prometheus_client import"),
    "mkdocs": ("mkdocs", "from mkdocs"),
    "nbformat": ("nbformat", "import nbformat"),
    "nbclient": ("nbclient", "from nbclient"),
}
"""Package -> its module, and the text in our code or configuration that uses it."""


def of_extra(extra: str) -> dict[str, Requirement]:
    return {canonicalize_name(requirement.name): requirement for requirement in EXTRAS[extra]}


@pytest.fixture(scope="module")
def sources() -> str:
    folders = [ROOT / "mammal", ROOT / "tasks", ROOT / "configs", ROOT / "docs" / "tools"]
    files = [file for folder in folders for ending in ("*.py", "*.yaml") for file in folder.rglob(ending)]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_each_extra_is_listed_here():
    assert BOUNDS.keys() == EXTRAS.keys() - {TOOLS}


@pytest.mark.parametrize("extra", BOUNDS)
def test_bounds_of_an_extra_are_those_the_code_needs(extra: str):
    found = of_extra(extra)
    assert found.keys() == BOUNDS[extra].keys()
    for name, (lowest, below, above) in BOUNDS[extra].items():
        bounds = found[name].specifier
        assert bounds.contains(lowest), f"{found[name]} excludes {lowest}"
        assert not bounds.contains(below), f"{found[name]} allows {below}"
        assert above is None or not bounds.contains(above), f"{found[name]} allows {above}"


@pytest.mark.parametrize("extra", EXTRAS)
def test_bounds_of_an_extra_hold_for_the_tested_versions(extra: str):
    for name, requirement in of_extra(extra).items():
        tested = CONSTRAINTS.get(name)
        assert tested or name in NO_TESTED_VERSION, f"constraints.txt has no version of {name}"
        assert tested is None or requirement.specifier.contains(tested), f"{requirement}, tested {tested}"


def test_bounds_of_the_package_hold_for_the_tested_versions():
    for requirement in map(Requirement, PROJECT["dependencies"]):
        tested = CONSTRAINTS.get(canonicalize_name(requirement.name))
        assert tested is None or requirement.specifier.contains(tested), f"{requirement}, tested {tested}"


def test_developers_get_the_bounds_of_the_other_extras():
    others = {name: found for extra in BOUNDS for name, found in of_extra(extra).items()}
    shared = of_extra(TOOLS).keys() & others.keys()
    assert len(shared) > 10
    assert {name: str(of_extra(TOOLS)[name].specifier) for name in shared} == {
        name: str(others[name].specifier) for name in shared
    }


@pytest.mark.parametrize("name", IMPORTED)
def test_our_code_uses_a_package_of_an_extra(name: str, sources: str):
    module, use = IMPORTED[name]
    assert use in sources
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return
    assert find_spec(module.partition(".")[0]) is not None
    (requirement,) = {found for extra in BOUNDS if (found := of_extra(extra).get(name))}
    assert requirement.specifier.contains(installed), f"{requirement}, installed {installed}"


def test_pages_and_messages_name_extras_and_bounds_that_exist():
    requirements = [one for listed in EXTRAS.values() for one in listed]
    for file in [*ROOT.glob("mammal/**/*.py"), *ROOT.glob("tasks/**/*.py"), *ROOT.glob("docs/*.md")]:
        text = file.read_text(encoding="utf-8")
        for named in re.findall(r"mammal\[([a-z][\w,-]*)\]", text):
            assert set(named.split(",")) <= EXTRAS.keys(), f"{file.name}: no extra {named}"
        for advised in re.findall(r"pip install '(\w[\w-]*[<>=][^']*)'", text):
            assert Requirement(advised) in requirements, f"{file.name}: {advised}"
