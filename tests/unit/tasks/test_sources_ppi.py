"""Pairs of proteins: joined to their sequences, mutants with full sequences, no row twice across folds."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources.ppi import mutated

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
SEQUENCES = {f"P{n}": RESIDUES[n:] + RESIDUES[:n] for n in range(12)}


def data(name: str, **settings: object) -> DataConfig:
    return DataConfig(source="ppi", name=name, **settings)  # type: ignore[arg-type]


def save(root: Path, path: str, rows: list[tuple[object, ...]], separator: str = "\t") -> None:
    (root / path).parent.mkdir(exist_ok=True)
    with gzip.open(root / path, "wt", encoding="utf-8") as file:
        file.writelines(separator.join(map(str, row)) + "\n" for row in rows)


@pytest.fixture
def yeast(tmp_path: Path) -> Path:
    pairs = [(f"P{n}", f"P{(n + 1) % 12}", n % 2) for n in range(12)]
    save(tmp_path, "ppi_yeast_pipr/protein.actions.tsv.gz", [*pairs, ("P1", "P0", 0)])
    save(tmp_path, "ppi_yeast_pipr/protein.dictionary.tsv.gz", list(SEQUENCES.items()))
    return tmp_path


@pytest.fixture
def species(tmp_path: Path) -> Path:
    for name, marker in (("yeast", "W"), ("ecoli", "C")):
        pairs = [(f"{name}.P{n}", f"{name}.P{(n + 1) % 12}", "1.0" if n == 0 else "0.0") for n in range(12)]
        save(tmp_path, f"ppi_dscript/{name}_test.tsv.gz", pairs)
        records = [(f">{name}.{key}\n{marker}{sequence}",) for key, sequence in SEQUENCES.items()]
        save(tmp_path, f"ppi_dscript/{name}_dedup.fasta.gz", records)
    return tmp_path


@pytest.fixture
def mutants(tmp_path: Path) -> Path:
    """Complex 1ABC of chains A and B, a mutant of either, the first of them reversed in complex 2ABC."""
    chains = {"1ABC_A": "MKLV", "1ABC_B": "GGHH", "1ABC_A_M1": "MKLC", "1ABC_B_M1": "GWHH"}
    chains |= {"2ABC_A": "MKLC", "2ABC_B": "GGHH", "2ABC_A_M1": "MKLV"}
    rows: list[tuple[object, ...]] = [
        ("1ABC_A", "1ABC_B", "1ABC_A_M1", "1ABC_B", -9, -8, 1),
        ("1ABC_A", "1ABC_B", "1ABC_A", "1ABC_B_M1", -9, -7, 2),
        ("2ABC_A", "2ABC_B", "2ABC_A_M1", "2ABC_B", -8, -9, -1),
    ]
    both = ("1ABC_A", "1ABC_B", "1ABC_A_M1", "1ABC_B_M1", -9, -5, 4)
    for name, listed in (("SKP1102s", rows), ("SKP1402m", [*rows, both])):
        save(tmp_path, f"ppi_ddg_skempi/mupipr_{name}.seq.txt.gz", list(chains.items()))
        save(tmp_path, f"ppi_ddg_skempi/mupipr_{name}.ddg.txt.gz", listed)
    return tmp_path


def test_pairs_are_joined_to_their_sequences(yeast: Path):
    frame = load_dataset(data("pipr_yeast"), {"data": yeast})
    row = frame.iloc[3]
    assert (row["protein_a"], row["protein_b"], row["interacts"]) == (SEQUENCES["P3"], SEQUENCES["P4"], "1")


def test_a_pair_in_either_order_is_in_one_fold(yeast: Path):
    folds = load_dataset(data("pipr_yeast"), {"data": yeast})["fold"].tolist()
    assert folds[0] == folds[12] and set(folds) == {0, 1, 2, 3, 4}
    loaded = load_data(load_task("ppi_yeast", {"data": {"fold": "0"}}), {"data": yeast})
    assert loaded.part("test").index.tolist() == [row for row, fold in enumerate(folds) if fold == 0]


def test_a_protein_without_sequence_is_named(yeast: Path):
    save(yeast, "ppi_yeast_pipr/protein.dictionary.tsv.gz", list(SEQUENCES.items())[:-1])
    with pytest.raises(DataError, match="'P11'"):
        load_dataset(data("pipr_yeast"), {"data": yeast})


def test_yeast_is_trained_on_and_e_coli_is_the_test(species: Path):
    loaded = load_data(load_task("ppi_dscript"), {"data": species})
    assert [len(loaded.part(part)) for part in ("train", "valid", "test")] == [11, 1, 12]
    assert all(row["protein_a"].startswith("C") for row in loaded.rows("test"))
    assert loaded.part("test")["interacts"].value_counts().to_dict() == {"0": 11, "1": 1}
    assert loaded.leakage["test"] == 0
    assert len(load_dataset(data("dscript_ecoli"), {"data": species})) == 12


def test_the_chain_that_changes_is_the_mutant_and_the_other_its_partner(mutants: Path):
    frame = load_dataset(data("skp1102s"), {"data": mutants})
    found = frame[["partner", "wild_type", "mutant", "ddg", "complex"]].to_numpy().tolist()
    assert found[0] == ["GGHH", "MKLV", "MKLC", "1", "1ABC"]
    assert found[1] == ["MKLV", "GGHH", "GWHH", "2", "1ABC"]


def test_mutants_of_both_chains_keep_four_columns(mutants: Path):
    frame = load_dataset(data("skp1402m"), {"data": mutants})
    last = frame.iloc[-1]
    assert [last[c] for c in ("chain_a", "chain_b", "mutant_a", "mutant_b")] == ["MKLV", "GGHH", "MKLC", "GWHH"]
    assert "partner" not in frame.columns


def test_a_mutation_and_its_reversal_share_a_fold(mutants: Path):
    for seed in range(5):
        folds = load_dataset(data("skp1402m", split_seed=seed), {"data": mutants})["fold"].tolist()
        assert folds[0] == folds[2] and len(set(folds)) == 3


def test_skempi_energies_follow_from_affinities_and_temperature(mutants: Path):
    header = ("#Pdb", "Mutation(s)_cleaned", "Affinity_mut_parsed", "Affinity_wt_parsed", "Temperature")
    rows: list[tuple[object, ...]] = [
        header,
        ("1ABC_A_B", "VA4C", "1e-6", "1e-7", "298(assumed)"),
        ("1ABC_A_B", "VA4C,GB2W", "1e-7", "1e-7", "310"),
        ("1ABC_A_B", "VA4C", "", "1e-7", "298"),
        ("9XYZ_A_B", "VA4C", "1e-6", "1e-7", "298"),
        ("1ABC_AB_C", "VA4C", "1e-6", "1e-7", "298"),
        ("1ABC_A_B", "VA4C", "2e-6", "1e-7", ""),
    ]
    save(mutants, "ppi_ddg_skempi/skempi_v2.csv.gz", rows, ";")
    frame = load_dataset(data("skempi_v2"), {"data": mutants})
    assert len(frame) == 3, "no affinity, no sequence, more than two chains: left out"
    assert float(frame["ddg"].iloc[0]) == pytest.approx(1.987204e-3 * 298 * math.log(10), rel=1e-5)
    assert float(frame["ddg"].iloc[1]) == 0 and frame["mutant_b"].iloc[1] == "GWHH"
    assert frame["fold"].iloc[0] == frame["fold"].iloc[2], "measured twice"


def test_a_mutation_that_does_not_fit_its_chain_is_refused():
    assert mutated("MKLV", "A", "VA4C,GB2W") == "MKLC"
    with pytest.raises(DataError, match="no G"):
        mutated("MKLV", "A", "GA4C")
    with pytest.raises(DataError, match="VA9C"):
        mutated("MKLV", "A", "VA9C")


@pytest.mark.parametrize("name", ["pipr_yeast", "dscript", "skp1102s", "skempi_v2"])
def test_a_missing_copy_is_named_with_where_to_get_it(tmp_path: Path, name: str):
    with pytest.raises(DataError, match=r"ppi_\w+/.*github\.com"):
        load_dataset(data(name), {"data": tmp_path})


def test_an_unknown_set_is_reported_its_neighbour(tmp_path: Path):
    with pytest.raises(TaskError, match="did you mean skp1102s"):
        load_dataset(data("skp1102"), {"data": tmp_path})


@pytest.mark.parametrize(
    ("name", "rows"), [("pipr_yeast", 11_188), ("skp1102s", 1102), ("skp1402m", 1400), ("skempi_v2", 2396)]
)
def test_the_published_files_have_the_published_rows(shared: Path, name: str, rows: int):
    if not (shared / "data" / "ppi_ddg_skempi").is_dir():
        pytest.skip("no local copies of public data")
    assert len(load_dataset(data(name), {"data": shared / "data"})) == rows
