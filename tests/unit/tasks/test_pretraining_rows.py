"""Filters of pretraining rows: nothing is missed, few others are found, and every process finds the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mammal.tasks.errors import DataError
from mammal.tasks.pretraining.bloom_filter import RATE, BloomFilter, key_hashes
from mammal.tasks.pretraining.cleaning import keys_of
from mammal.tasks.pretraining.pretraining_rows import PretrainingRows

KEYS = [f"key {number}" for number in range(20_000)]
OTHERS = [f"other {number}" for number in range(20_000)]


def rows_of(**texts: list[str]) -> PretrainingRows:
    return PretrainingRows.of_hashes({family: key_hashes(keys_of(found, family)) for family, found in texts.items()})


@pytest.mark.parametrize("entries", [1, 10, 20_000])
@pytest.mark.parametrize("rate", [RATE, 0.001])
def test_every_entry_is_found_and_few_others(entries: int, rate: float) -> None:
    made = BloomFilter.of(key_hashes(KEYS[:entries]), rate)
    assert made.contains(key_hashes(KEYS[:entries])).all()
    others = made.contains(key_hashes(OTHERS)).mean()
    assert others < 1.5 * rate and made.rate < 1.2 * rate
    assert made.entries == entries
    if entries == 20_000:
        assert others == pytest.approx(made.rate, rel=0.4)
        assert len(made.bits_X) == pytest.approx(entries * -np.log(rate) / np.log(2) ** 2 / 8, rel=0.01)


def test_equal_keys_count_once_and_no_key_is_a_filter_that_finds_nothing() -> None:
    assert BloomFilter.of(key_hashes(["a", "b", "a"])).entries == 2
    assert not BloomFilter.of(key_hashes([])).contains(key_hashes(OTHERS)).any()


def test_hashes_are_the_same_in_every_process_and_version() -> None:
    """Files that were written once must stay readable, so these numbers must not change."""
    assert key_hashes(["LFQSCWFLJHTTHZ"]).tolist() == [668605011609445829]
    bits = BloomFilter.of(key_hashes(map(str, range(9)))).bits_X.tolist()
    assert bits == [168, 25, 190, 119, 70, 57, 57, 26, 28, 29, 139]


def test_molecules_are_recognised_by_connectivity_and_sequences_by_equal_text() -> None:
    known = rows_of(molecule=["C[C@H](N)C(=O)O", "CCO"], protein=["MKTW"], dna=["ACG[A/G]T"])
    assert known.seen(["OC(=O)C(C)N", "C[C@@H](N)C(=O)O", "OCC"], "molecule").all()
    assert not known.seen(["c1ccccc1", "no molecule", ""], "molecule").any()
    assert known.seen(["mktw", "MKTWA", ""], "protein").tolist() == [True, False, False]
    assert known.seen(["acg[A/C]t", "ACGAT", "ACGGT"], "dna").tolist() == [True, True, False]
    assert not rows_of(protein=["MKTW"]).seen(["CCO"], "molecule").any()


def test_a_file_holds_the_filters_and_what_they_are(tmp_path: Path) -> None:
    known, file = rows_of(molecule=["CCO", "CCN"], protein=["MKTW"]), tmp_path / "rows.safetensors"
    file.write_bytes(known.to_bytes())
    assert file.read_bytes() == known.to_bytes()
    read = PretrainingRows.of_file(file)
    assert read.families == ["molecule", "protein"] and read.sentence == known.sentence
    assert "2 molecules, 1 protein sequences" in read.sentence
    assert read.seen(["CCO", "CCCCCC"], "molecule").tolist() == [True, False]
    assert read.rate("molecule") == known.rate("molecule")


def test_filters_of_several_corpora_are_joined_once(tmp_path: Path) -> None:
    one, other = rows_of(molecule=["CCO"]), rows_of(molecule=["CCN"], protein=["MKTW"])
    both = one.joined(other).joined(one).joined(other)
    assert [name for name, _ in both.filters] == ["molecule", "molecule", "protein"]
    assert both.seen(["CCO", "CCN", "CCCl"], "molecule").tolist() == [True, True, False]
    assert both.rate("molecule") > one.rate("molecule")
    (tmp_path / "f").write_bytes(both.to_bytes())
    assert PretrainingRows.of_file(tmp_path / "f").seen(["CCN"], "molecule").all()
    assert both.without(one).seen(["CCO", "CCN"], "molecule").tolist() == [False, True]


def test_damaged_and_newer_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.safetensors"
    file.write_bytes(b"no tensors")
    with pytest.raises(DataError, match="can't be read") as raised:
        PretrainingRows.of_file(file)
    assert raised.value.where == str(file)
    monkeypatch.setattr("mammal.tasks.pretraining.pretraining_rows.VERSION", 2)
    file.write_bytes(rows_of(molecule=["CCO"]).to_bytes())
    monkeypatch.undo()
    with pytest.raises(DataError, match="newer version"):
        PretrainingRows.of_file(file)
