"""`mammal names`: every row is accounted for; shards and processes don't change the output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammal import cli
from mammal.errors import ConfigError, DataError, JobError
from mammal.jobs import names_job as jobs
from mammal.jobs.names_job import count_outcomes, names_job
from mammal.tasks.names import opsin

pytest.importorskip("openclatura", reason="openclatura is not installed (extra iupac)")
needs_opsin = pytest.mark.skipif(
    opsin.why_missing() is not None, reason=f"names can't be read here: {opsin.why_missing()}"
)

SMILES = ["CCOc1ccccc1", "F/C=C/F", "[Fe]", "C1CC", "OCC", "CC(=O)Nc1ccc(O)cc1", "", "C[C@H](N)C(=O)O"]
GIVEN = [
    "ethoxybenzene",
    "(e)-1,2-difluoroethene",
    "iron",
    "x",
    "propan-1-ol",
    "n-(4-hydroxyphenyl)acetamide",
    "",
    "??",
]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    file = tmp_path / "library.csv"
    pd.DataFrame({"id": range(len(SMILES)), "SMILES": SMILES, "Name": GIVEN}).to_csv(file, index=False)
    return file


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opsin.shutil, "which", lambda name: None)


def run(library: Path, name: str, **options: Any) -> tuple[bytes, bytes]:
    report = names_job(library, library.with_name(name), **{"workers": 0, "shard_rows": 3} | options)
    assert report.rows == len(SMILES) == report.ok + report.bad
    assert report.errors is not None
    return report.output.read_bytes(), report.errors.read_bytes()


@needs_opsin
def test_pairs_are_kept_beside_the_users_columns(library: Path, capsys: pytest.CaptureFixture[str]):
    output = library.with_name("pairs.parquet")
    words = ["names", f"input={library}", f"output={output}", "workers=0"]
    assert cli.main(words) == cli.BAD_ROWS
    pairs, errors = pd.read_parquet(output), pd.read_parquet(output.with_name("pairs.errors.parquet"))
    assert list(pairs) == ["id", "SMILES", "Name", "canonical", "iupac", "smiles_by_name", "outcome"]
    assert list(pairs["SMILES"]) == ["CCOc1ccccc1", "F/C=C/F", "OCC", "CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O"]
    assert list(pairs["iupac"])[2:4] == ["ethanol", "N-(4-hydroxyphenyl)acetamide"]
    assert set(pairs["outcome"]) == {"exact"}
    assert list(errors["row"]) == [3, 4, 7]
    assert errors["error"][0].startswith("unnamed: ")
    assert (
        "6 molecules · 5 named (83.3%) · 5 of these names read (100.0%) · 5 exact (100.0%)" in capsys.readouterr().err
    )


@needs_opsin
def test_given_names_are_read_back_and_all_rows_can_stay(library: Path):
    report = names_job(library, library.with_name("all.csv"), names="Name", keep="all", workers=0)
    pairs = pd.read_csv(report.output).dropna(subset="outcome").reset_index(drop=True)
    assert list(pairs["outcome"]) == ["exact", "exact", "exact", "other", "exact", "unread"]
    assert pairs["iupac"][1] == "(E)-1,2-difluoroethene"
    assert count_outcomes(report) == {"exact": 4, "other": 1, "unread": 1, "invalid": 2}


@needs_opsin
def test_a_job_that_was_cut_off_ends_with_the_same_bytes(library: Path, monkeypatch: pytest.MonkeyPatch):
    straight = run(library, "straight.parquet")
    make_pairs, calls = jobs.make_pairs, []

    def cut_off(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return make_pairs(*arguments, **options)

    monkeypatch.setattr(jobs, "make_pairs", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run(library, "cut.parquet")
    assert run(library, "cut.parquet") == straight
    assert len(calls) == 4, "the first shard was answered again"
    with pytest.raises(JobError, match="keep was exact, is all"):
        run(library, "cut.parquet", keep="all")


@pytest.mark.slow
@needs_opsin
def test_two_processes_write_what_one_writes(library: Path):
    assert run(library, "two.parquet", workers=2) == run(library, "one.parquet")


@pytest.mark.usefixtures("no_java")
def test_without_java_names_are_made_and_not_verified(library: Path, capsys: pytest.CaptureFixture[str]):
    output = library.with_name("pairs.csv")
    assert cli.main(["names", f"input={library}", f"output={output}", "workers=0"]) == cli.FAILED
    assert "keep=unverified" in capsys.readouterr().err and not output.exists()
    command = ["names", f"input={library}", f"output={output}", "workers=0", "keep=unverified"]
    assert cli.main(command) == cli.BAD_ROWS
    pairs = pd.read_csv(output)
    assert len(pairs) == len(SMILES)
    pairs = pairs[pairs["error"].isna()]
    assert set(pairs["outcome"]) == {"unverified"} and pairs["iupac"].notna().all()
    assert pairs["smiles_by_name"].isna().all()
    reported = capsys.readouterr().err
    assert "not read back" in reported and "5 named (83.3%) · none verified, because Java is missing" in reported
    with pytest.raises(DataError, match="Java"):
        names_job(library, library.with_name("given.csv"), names="Name")


@needs_opsin
def test_the_table_of_chemicals_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mammal.tasks.sources import chemicals

    compounds = pd.DataFrame({"smiles": SMILES[:2], "iupac": GIVEN[:2], "name": ["a", "b"], "cas": ["1", "2"]})
    monkeypatch.setattr(chemicals, "load", lambda data, root: compounds)
    report = names_job("chemicals", tmp_path / "pairs.csv", names="pubchem_name", workers=0)
    assert list(pd.read_csv(report.output)["iupac"]) == ["ethoxybenzene", "(E)-1,2-difluoroethene"]


def test_what_is_asked_wrongly_is_reported(library: Path):
    output = library.with_name("pairs.csv")
    with pytest.raises(DataError, match="no column 'Smile'"):
        names_job(library, output, smiles="Smile")
    with pytest.raises(ConfigError, match="keep can't be 'some'"):
        names_job(library, output, keep="some")
    with pytest.raises(ConfigError, match="workers"):
        names_job(library, output, workers=-1)
