"""DNA of public sets: every sequence has a token for each of its bases and variants, and comes back upper-cased.

Whole sets, but for two of which every n-th row is taken: ClinVar (4th) and MPRA (40th). `benchmarks/round_trips.py`
walks all rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mammal.tokenization import Tokenizer
from mammal.tokenization.prompt import segment
from mammal.tokenization.variants import from_vcf, write_in_place

CLINVAR_STEP, MPRA_STEP = 4, 40


def table(file: Path, **how):
    import pandas as pd

    return pd.read_csv(file, dtype=str, keep_default_na=False, **how)


def clinvar(folder: Path) -> Iterator[str]:
    """Both windows, and the reference window with all that differs written in place."""
    import pandas as pd

    rows = pd.read_parquet(folder / "my_processed_clinvar.parquet").iloc[::CLINVAR_STEP]
    for ref, alt in zip(rows["ref"], rows["alt"], strict=True):
        yield from (ref, alt)
        if ref.upper() != alt.upper():
            yield write_in_place(ref, [from_vcf(0, ref, [alt])])


def manifest(folder: Path) -> Iterator[str]:
    """The array's own notation with soft-masked flanks, and each locus in place with its alleles in both orders."""
    yield from table(folder / "snp_windows.csv.gz")["SourceSeq"]
    loci = table(folder / "snp_windows.csv.gz")[["left", "allele1", "allele2", "right"]]
    for left, first, second, right in loci.itertuples(index=False):
        yield f"{left}[{first}/{second}]{right}"
        yield f"{left}[{second}/{first}]{right}"


def mpra(folder: Path) -> Iterator[str]:
    """Reference elements, and variants in place in their element."""
    elements = table(folder / "reference_sequences_reconstructed.csv").set_index("element")
    yield from elements["ref_sequence"]
    rows = table(folder / "elements.tsv.gz", sep="\t")
    rows = rows[(rows["Release"] == "GRCh38") & rows["Pos"].str.isdigit()].iloc[::MPRA_STEP]
    for element, position, ref, alt in rows[["Element", "Pos", "Ref", "Alt"]].itertuples(index=False):
        window = elements.at[element, "ref_sequence"]
        at = int(position) - int(elements.at[element, "start"])
        yield f"{window[:at]}[{ref}/{alt}]{window[at + len(ref) :]}"


def lexicon(folder: Path) -> Iterator[str]:
    """The allele pairs that a published variant-aware model has symbols for; XI is X with any base inserted behind."""
    for pair in json.loads((folder / "biallele_lexicon.json").read_text(encoding="utf-8")):
        alleles = [allele.replace("DEL", "-").replace("I", "N") for allele in pair.split("_")]
        yield f"[{'/'.join(alleles)}]" if len(alleles) > 1 else f"A[-/{alleles[0]}]"


def column(file: str, name: str = "sequence") -> Callable[[Path], Iterator[str]]:
    return lambda folder: iter(table(folder / file)[name])


def lines(file: str) -> Callable[[Path], Iterator[str]]:
    return lambda folder: iter(table(folder / file, header=None)[0])


def last_field(file: str) -> Callable[[Path], Iterator[str]]:
    return lambda folder: iter(table(folder / file, header=None)[2].str.strip())


SETS: dict[str, tuple[Callable[[Path], Iterator[str]], int]] = {
    "dna_promoter_dnabert_sample": (column("dev.csv.gz"), 1_000),
    "dna_promoter_deepromoter": (lines("hs_pos_TATA.txt.gz"), 2_929),
    "dna_promoter_uci_ecoli": (last_field("promoters.data"), 106),
    "dna_enhancer_iEnhancer": (column("enhancers.csv.gz"), 3_368),
    "dna_nucleosome_pybiomed": (column("h_sapiens_nucleosome.csv.gz"), 4_573),
    "dna_tfbs_lsgkm_nfe2": (column("nfe2_gm12878.csv.gz"), 1_288),
    "dna_snp_clinvar_windows": (clinvar, 4_000),
    "dna_snp_illumina_manifest": (manifest, 6_000),
    "dna_snp_mpra_satmut": (mpra, 1_100),
    "dna_snp_bmfm_lexicon": (lexicon, 132),
}
"""Folder of a set -> its sequences, and how many there are at least."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def test_every_shared_dna_set_is_among_these(shared: Path):
    with_bases = {folder.name for folder in (shared / "data").glob("dna_*") if "intervals" not in folder.name}
    assert with_bases == set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_unknown_and_every_sequence_comes_back(name: str, shared: Path, tokenizer: Tokenizer):
    read, least = SETS[name]
    texts = list(read(shared / "data" / name))
    assert len(texts) >= least
    encodings = tokenizer.encode_batch([segment("DNA", text + "<EOS>") for text in texts], on_unknown="warn")
    for text, encoding in zip(texts, encodings, strict=True):
        assert tokenizer.unk_id not in encoding.ids_L, text
        assert tokenizer.decode(encoding.ids_L) == text.upper() + "<EOS>"
