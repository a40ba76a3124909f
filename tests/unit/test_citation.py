"""CITATION.cff agrees with pyproject.toml, and has what the Citation File Format 1.2.0 demands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from mammal.version import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_it_agrees_with_the_package():
    assert str(CITATION["version"]) == PROJECT["version"] == __version__
    assert CITATION["license"] == PROJECT["license"]
    assert set(CITATION["keywords"]) == set(PROJECT["keywords"])


def test_it_has_the_keys_of_the_format():
    assert CITATION["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= CITATION.keys() and CITATION["type"] == "software"
    for reference in CITATION["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert re.fullmatch(r"10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-\.\(\)\[\]\\]+", reference["doi"])


def test_pages_cite_the_same_paper():
    (number,) = re.findall(r"arXiv (\d{4}\.\d{5})", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [reference["doi"] for reference in CITATION["references"]] == [f"10.48550/arXiv.{number}"]
