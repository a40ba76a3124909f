"""Clusters by shared k-mers equal those of comparing every pair; clusters of MMseqs2 are used as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError
from mammal.tasks.sequences import clusters
from mammal.tasks.sequences.clusters import K, by_kmers, cluster_sequences, jaccard_of
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
    labels, tool = cluster_sequences(["MKT", "AYI", "MAA", "AAA", "MKT"], 0.5)
    assert tool == "MMseqs2" and labels.tolist() == [0, 1, 0, 1, 0]
    frame = pd.DataFrame({"s": [f"{letter}{'A' * n}" for letter in "ACDEFGHIKL" for n in range(1, 6)] + [""]})
    split = split_frame(frame, DataConfig(split="cluster", fractions=[0.6, 0.2, 0.2]), "s")
    letters = [{text[0] for text in frame.s.iloc[split.parts[part]]} for part in PARTS]
    assert sum(map(len, letters)) == 10 and [len(split.parts[part]) for part in PARTS] == [30, 10, 10]
    assert "by MMseqs2" in split.how and split.left_out == [(50, "column 's' is empty")]


def test_its_complaint_is_reported(mmseqs):
    mmseqs("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    with pytest.raises(DataError, match="mmseqs failed: no space left"):
        cluster_sequences(["MKT", "AYI"], 0.5)


def test_nothing_to_cluster():
    assert cluster_sequences([], 0.5)[0].tolist() == []


@pytest.mark.parametrize("identity", [0.6, 0.7, 0.9])
def test_clusters_are_those_of_comparing_every_pair(identity: float, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    families = ["".join(rng.choice(list("ACDEFGHIKL"), 25)) for _ in range(12)]
    texts = [text[: 25 - cut] + "ACDEF"[cut % 5] * (cut // 2) for text in families for cut in range(0, 14, 2)]
    kmers = [{text[i : i + K] for i in range(len(text) - K + 1)} for text in texts]
    labels = list(range(len(texts)))
    for a in range(len(texts)):
        for b in range(a):
            if len(kmers[a] & kmers[b]) / len(kmers[a] | kmers[b]) >= jaccard_of(identity):
                labels = [labels[b] if label == labels[a] else label for label in labels]
    for product in (clusters.PRODUCT, 300):  # at once, and a few rows at a time
        monkeypatch.setattr(clusters, "PRODUCT", product)
        found = by_kmers(texts, identity).tolist()
        assert len(set(zip(found, labels, strict=True))) == len(set(found)) == len(set(labels))
    assert 1 < len(set(labels)) < len(texts)
