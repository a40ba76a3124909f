"""MMseqs2 where it is on the PATH: what it says is taken, and what it complains of is told."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mammal.tasks.clusters import cluster
from mammal.tasks.errors import DataError
from mammal.tasks.schema import DataConfig
from mammal.tasks.splits import PARTS, split_frame

STAND_IN = """#!/bin/sh
# Writes clusters by first letter, as `mmseqs easy-cluster IN OUT TMP` writes its own: representative, member.
awk '/^>/ {name = substr($1, 2); next} {key = substr($1, 1, 1); if (!(key in first)) first[key] = name
  print first[key] "\\t" name}' "$2" > "$3_cluster.tsv"
"""


@pytest.fixture
def mmseqs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program called mmseqs first on the PATH."""

    def put(script: str) -> None:
        program = tmp_path / "bin" / "mmseqs"
        program.parent.mkdir()
        program.write_text(script)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return put


def test_its_clusters_are_taken(mmseqs):
    mmseqs(STAND_IN)
    labels, tool = cluster(["MKT", "AYI", "MAA", "AAA", "MKT"], 0.5)
    assert tool == "MMseqs2" and labels.tolist() == [0, 1, 0, 1, 0]
    frame = pd.DataFrame({"s": [f"{letter}{'A' * n}" for letter in "ACDEFGHIKL" for n in range(1, 6)] + [""]})
    split = split_frame(frame, DataConfig(split="cluster", fractions=[0.6, 0.2, 0.2]), "s")
    letters = [{text[0] for text in frame.s.iloc[split.parts[part]]} for part in PARTS]
    assert sum(map(len, letters)) == 10 and [len(split.parts[part]) for part in PARTS] == [30, 10, 10]
    assert "by MMseqs2" in split.how and split.left_out == [(50, "column 's' is empty")]


def test_its_complaint_is_told(mmseqs):
    mmseqs("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    with pytest.raises(DataError, match="mmseqs failed: no space left"):
        cluster(["MKT", "AYI"], 0.5)


def test_nothing_to_cluster():
    assert cluster([], 0.5)[0].tolist() == []
