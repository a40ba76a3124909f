"""The examples of docs/dna.md, and the files that they read."""

from __future__ import annotations

import doctest
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_examples_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pysam")
    (tmp_path / "docs/examples").mkdir(parents=True)
    for name in ("genome.fa", "variants.vcf"):
        shutil.copy(ROOT / "docs/examples" / name, tmp_path / "docs/examples" / name)
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / "docs/dna.md"), module_relative=False)
    assert result.attempted and not result.failed
