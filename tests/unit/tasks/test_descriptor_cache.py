"""Descriptors: their cache on disk, the limit on atoms, no computation that is done twice."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mammal.tasks.batches.token_batches import encode_rows
from mammal.tasks.errors import DataError
from mammal.tasks.features import descriptor_cache
from mammal.tasks.features import descriptors as module
from mammal.tasks.features.descriptor_cache import FILE, DescriptorCache, cache_file, clear
from mammal.tasks.features.descriptors import LARGEST_MOLECULE, Descriptors, descriptors, descriptors_of
from mammal.tasks.features.rdkit_names import NAMES
from mammal.tasks.task import Task

SMILES = ["CCO", "Cn1c(CN2CCN(CC2)c3ccc(Cl)cc3)nc4ccccc14", "O=C(O)c1ccccc1OC(C)=O", "[Na+].[Cl-]"]
LARGE = "C" * (LARGEST_MOLECULE + 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is switched on, in a folder of its own; nothing is in memory."""
    monkeypatch.setenv("MAMMAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MAMMAL_DESCRIPTOR_CACHE")
    monkeypatch.setattr(module, "_in_memory", {})
    return tmp_path / "cache"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The molecules that were computed."""
    done: list[str] = []
    compute = module._computed
    monkeypatch.setattr(module, "_computed", lambda text: done.append(text) or compute(text))
    return done


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empties the memory, as a new process has it."""
    monkeypatch.setattr(module, "_in_memory", {})


def same(first: object, second: object) -> bool:
    return bool(np.array_equal(np.array(first), np.array(second), equal_nan=True))


def test_values_come_back_bit_by_bit_and_are_computed_once(
    folder: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = descriptors_of([*SMILES, "CC(", SMILES[0]])
    assert computed == [*SMILES, "CC("]
    forget(monkeypatch)
    again = descriptors_of([*SMILES, "CC(", SMILES[0]])
    assert same(first, again)
    assert computed == [*SMILES, "CC(", "CC("], "a text that is no molecule is not stored"
    assert (folder / FILE).is_file()


def test_values_are_those_of_rdkits_own_functions(folder: Path) -> None:
    from rdkit import Chem
    from rdkit.Chem.Descriptors import descList

    known = dict(descList)
    for smiles in SMILES:
        alone = [known[name](Chem.MolFromSmiles(smiles)) for name in NAMES]
        assert same(alone, descriptors(smiles))


def test_the_indices_of_the_electrotopological_state_are_computed_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rdkit.Chem.EState import EState

    calls: list[bool] = []
    indices = EState.EStateIndices

    def counted(molecule: object, force: bool = True) -> object:
        calls.append(force or not hasattr(molecule, "_eStateIndices"))
        return indices(molecule, force)

    monkeypatch.setattr(EState, "EStateIndices", counted)
    descriptors("CCOCCOC")
    assert not any(calls) and len(calls) >= 4  # `with_estate_indices` has stored them


def test_another_rdkit_or_another_list_has_values_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / FILE
    DescriptorCache(file, NAMES[:2]).write({"C": (1.0, float("nan"))})
    assert same(DescriptorCache(file, NAMES[:2]).read(["C"])["C"], (1.0, float("nan")))
    assert DescriptorCache(file, NAMES[1::-1]).read(["C"]) == {}
    monkeypatch.setattr("rdkit.__version__", "1999.01.1")
    assert DescriptorCache(file, NAMES[:2]).read(["C"]) == {}


def test_two_processes_write_at_once(folder: Path, computed: list[str]) -> None:
    code = (
        "from mammal.tasks.features.descriptors import descriptors\n"
        "import sys\n"
        "for n in range(1, 21): descriptors('C' * n + sys.argv[1])\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, end]) for end in ("O", "N", "O")]
    assert [process.wait() for process in processes] == [0, 0, 0]
    descriptors_of(["C" * n + end for n in range(1, 21) for end in ("O", "N")])
    assert computed == []


@pytest.mark.parametrize("content", [b"not a database" * 100, b""])
def test_a_damaged_file_costs_no_answer(folder: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    module._cache.cache_clear()
    assert np.isfinite(descriptors_of(SMILES[:2])).all()
    assert descriptors_of(["CCCN"])[0] == descriptors("CCCN")


def test_a_folder_that_cannot_be_written_costs_no_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_text("a file in its place")
    module._cache.cache_clear()
    assert np.isfinite(descriptors_of(SMILES[:2])).all()


def test_a_full_cache_keeps_what_it_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DescriptorCache(folder / FILE, NAMES)
    cache.write(dict(zip(SMILES[:1], descriptors_of(SMILES[:1]), strict=True)))
    monkeypatch.setattr(descriptor_cache, "LARGEST_FILE", 4 * 4096)
    random = np.random.default_rng(0).normal(size=(50, len(NAMES)))
    cache.write({f"C{n}": tuple(values) for n, values in enumerate(random.tolist())})
    assert list(cache.read([*SMILES, "C1"])) == SMILES[:1]


def test_the_cache_can_be_cleared_and_switched_off(
    folder: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors_of(SMILES)
    clear()
    assert not (folder / FILE).exists()
    forget(monkeypatch)
    monkeypatch.setenv("MAMMAL_DESCRIPTOR_CACHE", "off")
    assert cache_file() is None
    descriptors_of(SMILES)
    assert computed == [*SMILES, *SMILES] and not (folder / FILE).exists()


def test_what_is_stored_is_small(folder: Path) -> None:
    descriptors_of(SMILES)
    with sqlite3.connect(folder / FILE) as base:
        sizes = [size for (size,) in base.execute("SELECT length(content) FROM molecules")]
    assert len(sizes) == len(SMILES) and max(sizes) < 1500


def test_a_molecule_that_is_too_large_is_set_aside_with_the_reason(make: Callable[..., Task]) -> None:
    task = make("regression", "<MASK> {smiles:smiles} {smiles:descriptors}", "{y:scalar}")
    rows = [{"smiles": smiles, "y": n} for n, smiles in enumerate(["CCO", "CCN", LARGE, "c1ccccc1"])]
    task.fit(rows)
    examples, errors = encode_rows(task, rows, target=True)
    assert [int(str(example.row_id)) for example in examples] == [0, 1, 3]
    ((_, reason),) = errors
    assert f"{LARGEST_MOLECULE + 1} atoms" in reason and f"at most {LARGEST_MOLECULE}" in reason
    assert np.isnan(descriptors(LARGE)).all(), "baselines read it as a molecule without values"
    with pytest.raises(DataError, match="at most"):
        fitted = Descriptors()
        fitted.fit(SMILES)
        fitted.of(LARGE)


def test_progress_counts_each_molecule_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    seen: list[int] = []
    descriptors_of([*SMILES, *SMILES], seen.append)
    assert sum(seen) == len(SMILES) and len(seen) == 2
