"""DNA sources: rows as in the published files, in-place variants, clusters that must stay in one part."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sequences.stretches import cluster_by_stretch
from mammal.tasks.sources.genomic_variants import variant_between
from mammal.tasks.sources.genomics import partly_random
from mammal.tokenization.variants import alternate, reference, write_in_place

DRAWS = np.random.default_rng(7)


def bases(length: int) -> str:
    return "".join(DRAWS.choice(list("ACGT"), size=length))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def put(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        if file.suffix == ".gz":
            with gzip.open(file, "wt") as stream:
                stream.write(text)
        else:
            file.write_text(text)

    promoters = [bases(300) for _ in range(20)]
    put("dna_promoter_deepromoter/hs_pos_TATA.txt.gz", "\n".join(promoters) + "\n")
    put("dna_promoter_uci_ecoli/promoters.data", "+,S10,\t\ttactagca\n-,1217, catctcgc\n")
    rows = [f"CHR1_{i}_{i + 8},{'ACGTACG' + 'ACGT'[i % 4]},{i % 2},{'ind' if i < 4 else 'cv'}" for i in range(24)]
    put("dna_enhancer_iEnhancer/enhancers.csv.gz", "\n".join(["id,sequence,label,split", *rows]) + "\n")
    elements = "element,release,chrom,start,end,ref_sequence\n"
    elements += "A,GRCh38,5,101,110,ACGTACGTAC\nA.2,GRCh38,5,100,110,TACGTACGTAC\n"
    elements += "B,GRCh38,6,101,104,TTTT\nB,GRCh37,6,1,4,GGGG\n"
    put("dna_snp_mpra_satmut/reference_sequences_reconstructed.csv", elements)
    header = "Chrom\tPos\tRef\tAlt\tBarcodes\tDNA\tRNA\tCoefficient\tpValue\tElement\tRelease\n"
    lines = [
        "5\t103\tG\tA\t25\t1\t1\t-0.5\t0.1\tA\tGRCh38",
        "5\t103\tG\t-\t25\t1\t1\t0.25\t0.1\tA.2\tGRCh38",
        "5\t104\tT\tC\t3\t1\t1\t9\t0.1\tA\tGRCh38",
        "NA\tNA\tNA\tNA\t30\t1\t1\t1\t0.1\tB\tGRCh38",
        "6\t104\tT\tC\t30\t1\t1\t1\t0.1\tB\tGRCh38",
        "6\t4\tG\tC\t30\t1\t1\t1\t0.1\tB\tGRCh37",
    ]
    put("dna_snp_mpra_satmut/elements.tsv.gz", header + "\n".join(lines) + "\n")
    return tmp_path


def loaded(name: str, folder: Path | None, **data: object) -> pd.DataFrame:
    return load_dataset(DataConfig(source="genomics", name=name, **data), {"data": folder})


def test_stretches_hang_sequences_together():
    shared, other = bases(40), bases(200)
    sequences = [bases(50) + shared, shared.lower() + bases(30), other, bases(31), other[100:180], "N" * 90, "N" * 90]
    labels = cluster_by_stretch(sequences)
    assert labels[0] == labels[1] and labels[2] == labels[4]
    assert len(set(labels.tolist())) == 5, "short and unknown stretches join nothing"
    assert len(set(cluster_by_stretch(sequences, 64).tolist())) == 6, "40 equal bases are not 64"
    assert cluster_by_stretch(["A", ""]).tolist() == [0, 1]


def test_a_stretch_does_not_reach_into_the_next_sequence():
    whole = bases(32)
    assert len(set(cluster_by_stretch([whole[:16], whole[16:], whole]).tolist())) == 3


def test_negatives_keep_eight_of_twenty_pieces(folder: Path):
    promoter = bases(300)
    negative = partly_random(promoter, np.random.default_rng(0))
    pieces = [promoter[i : i + 15] == negative[i : i + 15] for i in range(0, 300, 15)]
    assert sum(pieces) == 8 and len(negative) == 300

    frame = loaded("promoter_tata", folder)
    assert frame["promoter"].tolist() == ["1", "0"] * 20
    assert frame.groupby("cluster").size().tolist() == [2] * 20, "a promoter and its negative are one cluster"
    assert frame.equals(loaded("promoter_tata", folder)), "negatives are drawn alike every time"
    assert loaded("promoter_tata", folder, limit=5)["sequence"].tolist() == frame["sequence"].tolist()[:5]


def test_uci_promoters_are_read_without_their_blanks(folder: Path):
    assert loaded("promoter_ecoli", folder).values.tolist() == [["+", "S10", "TACTAGCA"], ["-", "1217", "CATCTCGC"]]


def test_the_independent_enhancers_are_the_test(folder: Path):
    data = load_data(load_task("enhancer"), {"data": folder})
    assert set(data.part("test")["id"]) == {f"CHR1_{i}_{i + 8}" for i in range(4)}
    assert len(data.part("valid")) == 5 and data.part("valid")["sequence"].nunique() == 1, "equal rows stay together"
    assert data.leakage["test"] == 3, "the fourth has its like in valid"


def test_mpra_variants_stand_in_their_element(folder: Path):
    frame = loaded("mpra", folder)
    assert frame["sequence"].tolist() == ["AC[G/A]TACGTAC", "TAC[G/-]TACGTAC", "TTT[T/C]"]
    assert frame["effect"].tolist() == ["-0.5", "0.25", "1"], "few barcodes, no position and GRCh37 are left out"
    assert frame["region"].tolist() == ["A", "A", "B"], "repeats of a region have one region"
    described = frame[["variant_class", "ref", "alt", "context"]].values.tolist()
    assert described == [["SNV", "G", "A", "C[G>A]T"], ["deletion", "G", "", ""], ["SNV", "T", "C", ""]]


def test_an_element_without_reference_is_named(folder: Path):
    file = folder / "dna_snp_mpra_satmut/reference_sequences_reconstructed.csv"
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith("B,")) + "\n")
    with pytest.raises(DataError, match="no reference sequence of B"):
        loaded("mpra", folder)


LEFT, RIGHT = bases(60) + "GG", "GG" + bases(60)


@pytest.mark.parametrize(
    ("ref", "alt", "written"),
    [
        ("A", "G", "[A/G]"),
        ("ATTT", "A", "A[TTT/-]"),
        ("A", "ACA", "[-/AC]A"),
        ("AA", "AAA", "[-/A]AA"),
        ("ACACAC", "ACAC", "[AC/-]ACAC"),
        ("AT", "GC", "[AT/GC]"),
        ("TAT", "G", "[TAT/G]"),
        ("A", "ANNNA", "[-/ANNN]A"),
    ],
)
def test_the_variant_between_two_windows(ref: str, alt: str, written: str):
    window, other = LEFT + ref + RIGHT, LEFT + alt + RIGHT
    cut = min(len(window), len(other))
    placed = variant_between(window[:cut], other[:cut])
    assert placed is not None
    text = write_in_place(window, [placed])
    assert reference(text) == window and alternate(text) == other
    assert text == LEFT + written + RIGHT, "in repeats as far left as it can stand"
    assert variant_between(window, window) is None
    assert variant_between(LEFT + bases(300), LEFT + bases(300)) is None, "nothing agrees behind the first difference"


def test_clinvar_windows(folder: Path):
    place, elsewhere = bases(400), bases(400)
    base = {"A": "C", "C": "A", "G": "T", "T": "G"}

    def row(window: str, at: int, kind: str, label: str, alt: str | None = None) -> tuple[str, str, str, str]:
        changed = window[:at] + base[window[at]] + window[at + 1 :] if alt is None else alt
        return window, changed, kind, label

    snv = "single_nucleotide_variant"
    rows = [
        row(place[:300], 150, snv, "Benign"),
        row(place[100:], 150, snv, "Pathogenic"),
        row(elsewhere[:300], 150, "Deletion", "Pathogenic", elsewhere[:150] + elsewhere[152:302]),
        row(elsewhere[:300], 150, snv, "Benign", elsewhere[:150] + elsewhere[151:301]),
        row(elsewhere[:300], 150, "Duplication", "Benign", elsewhere[:300]),
    ]
    target = folder / "dna_snp_clinvar_windows/my_processed_clinvar.parquet"
    target.parent.mkdir()
    pd.DataFrame(rows, columns=["ref", "alt", "variant_type", "CLNSIG"]).to_parquet(target)
    frame = loaded("clinvar", folder)
    assert frame["significance"].tolist() == ["Benign", "Pathogenic", "Pathogenic"], "others don't show one"
    assert frame["sequence"][0] == f"{place[:150]}[{place[150]}/{base[place[150]]}]{place[151:300]}"
    assert [reference(text) for text in frame["sequence"]] == [place[:300], place[100:], elsewhere[:300]]
    assert frame["cluster"].tolist() == [0, 0, 1], "overlapping windows are one place"
    assert frame["variant_class"].tolist() == ["SNV", "SNV", "deletion"]
    assert (frame["ref"][2], frame["alt"][2], frame["context"][2]) == (reference(frame["sequence"][2])[150:152], "", "")
    only = loaded("clinvar_snv", folder)
    assert only["sequence"].tolist() == frame["sequence"].tolist()[:2]
    assert len(loaded("clinvar_snv", folder, limit=1)) == 1


def test_an_absent_copy_says_where_it_should_lie_and_where_it_comes_from(folder: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError) as error:
        loaded("nucleosome", folder)
    assert str(folder / "dna_nucleosome_pybiomed/h_sapiens_nucleosome.csv.gz") in str(error.value)
    assert "PyBioMed" in str(error.value)
    monkeypatch.delenv("MAMMAL_DATA", raising=False)
    with pytest.raises(DataError, match="MAMMAL_DATA"):
        load_dataset(DataConfig(source="genomics", name="nucleosome"))
    with pytest.raises(TaskError, match="did you mean enhancer"):
        loaded("enhancers", folder)


ROWS = {
    "promoter": (1000, 978),
    "promoter_tata": (5858, 2839),
    "promoter_ecoli": (106, None),
    "enhancer": (3368, None),
    "nucleosome": (4573, 3893),
    "tf_binding": (1288, None),
    "mpra": (41724, None),
    "clinvar": (5554, 925),
    "clinvar_snv": (4416, None),
}


@pytest.mark.parametrize("name", ROWS)
def test_published_sets_have_the_rows_that_the_docs_tell(name: str, shared: Path):
    if not (shared / "data").is_dir():
        pytest.skip("no local copies of public data")
    frame = loaded(name, shared / "data")
    rows, clusters = ROWS[name]
    assert len(frame) == rows and not frame.isna().any().any()
    assert clusters is None or frame["cluster"].nunique() == clusters
