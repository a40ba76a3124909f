"""Encodes and decodes every string of the public corpora with our own vocabulary, and checks that nothing is lost.

    python benchmarks/round_trips.py [FOLDER] [--only TEXT]      FOLDER: default, the environment variable MAMMAL_DATA

Prints a table: strings, tokens, unknown tokens, and strings that are not restored. The exit code is 1 if one of the
last two is not zero in any corpus. Every row of a file counts, also invalid molecules. DNA is compared in upper case
(soft-masked repeats are lower case in the files). The reader removes blanks around a value.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mammal.tokenization import Tokenizer
from mammal.tokenization.prompt import segment
from mammal.tokenization.variants import from_vcf, write_in_place

CHUNK = 20_000
EOS = "<EOS>"


@dataclass(frozen=True)
class Corpus:
    """One line of the table: the folder of the corpus, its alphabet, and the function that reads its strings."""

    folder: str
    alphabet: str
    what: str
    read: Callable[[Path], Iterable[str]]


@dataclass
class Count:
    strings: int = 0
    tokens: int = 0
    characters: int = 0
    unknown: int = 0
    lost: int = 0


def measure(tokenizer: Tokenizer, alphabet: str, texts: Iterator[str]) -> Count:
    count = Count()
    while chunk := list(islice(texts, CHUNK)):
        prompts = [segment(alphabet, text + EOS) for text in chunk]
        for text, encoding in zip(chunk, tokenizer.encode_batch(prompts, on_unknown="warn"), strict=True):
            expected = text.upper() if alphabet == "DNA" else text
            count.strings += 1
            count.characters += len(text)
            count.tokens += len(encoding) - 1
            count.unknown += int((encoding.ids_L == tokenizer.unk_id).sum())
            count.lost += tokenizer.decode(encoding.ids_L) != expected + EOS
    return count


def _csv_rows(path: Path, delimiter: str = ",") -> Iterator[dict[str, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines, delimiter=delimiter)


def smiles(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.endswith(".smi.gz"):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                yield from (line.split()[0] for line in lines if line.strip())
        else:
            for row in _csv_rows(path):
                text = next(row[name] for name in ("SMILES", "smiles", "mol") if name in row).strip()
                if text:
                    yield text


def iupac_names(folder: Path) -> Iterator[str]:
    rows = _csv_rows(folder / "chemicals_identifiers.csv.gz")
    yield from (row["iupac_name"] for row in rows if row["iupac_name"])


def proteins(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.fasta.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            sequence: list[str] = []
            for line in lines:
                if line.startswith(">"):
                    if sequence:
                        yield "".join(sequence)
                    sequence = []
                else:
                    sequence.append(line.strip())
            if sequence:
                yield "".join(sequence)


def captions(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.txt.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from (line.rstrip("\n").split("\t")[2] for line in islice(lines, 1, None))


def headers(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.fasta.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from (line[1:].strip() for line in lines if line.startswith(">"))


def clinvar(folder: Path) -> Iterator[str]:
    """Reference and alternate windows unchanged, and each row as one window with its variant in place."""
    import pandas as pd

    table = pd.read_parquet(folder / "my_processed_clinvar.parquet")
    for ref, alt in zip(table.ref, table.alt, strict=True):
        yield ref
        yield alt
        if ref != alt:  # in some rows the two windows are the same
            yield write_in_place(ref, [from_vcf(0, ref, [alt])])


def illumina(folder: Path) -> Iterator[str]:
    """Flanks with the alleles in place, as in the manifest and in both allele orders, and the flanks alone."""
    for row in _csv_rows(folder / "snp_windows.csv.gz"):
        yield row["SourceSeq"]
        yield row["TopGenomicSeq"]
        yield row["left"]
        yield row["right"]
        for alleles in ((row["allele1"], row["allele2"]), (row["allele2"], row["allele1"])):
            yield f"{row['left']}[{'/'.join(alleles)}]{row['right']}"


def mpra(folder: Path) -> Iterator[str]:
    """Every variant in place in its element, its alternate window, and the reference windows."""
    elements = {row["element"]: row for row in _csv_rows(folder / "reference_sequences_reconstructed.csv")}
    yield from (row["ref_sequence"] for row in elements.values())
    for row in _csv_rows(folder / "elements.tsv.gz", delimiter="\t"):
        if row["Release"] != "GRCh38" or row["Pos"] in ("", "NA"):
            continue
        window, start = elements[row["Element"]]["ref_sequence"], int(elements[row["Element"]]["start"])
        index = int(float(row["Pos"])) - start
        yield f"{window[:index]}[{row['Ref']}/{row['Alt']}]{window[index + 1 :]}"
        yield window[:index] + row["Alt"].replace("-", "") + window[index + 1 :]


def allele_pairs(folder: Path) -> Iterator[str]:
    """The entries of a published variant-aware lexicon: alleles and their pairs; xI is x and an inserted base."""
    for key in json.loads((folder / "biallele_lexicon.json").read_text(encoding="utf-8")):
        alleles = [allele.replace("DEL", "-").replace("I", "N") for allele in key.split("_")]
        yield f"[{'/'.join(alleles)}]" if len(alleles) > 1 else alleles[0]


CORPORA = (
    Corpus("pretrain_moses", "SMILES", "SMILES", smiles),
    Corpus("pretrain_zinc250k", "SMILES", "SMILES", smiles),
    Corpus("pretrain_chembl", "SMILES", "SMILES", smiles),
    Corpus("moleculenet_raw", "SMILES", "SMILES", smiles),
    Corpus("smiles_iupac_chemicals", "IUPAC", "IUPAC names", iupac_names),
    Corpus("pretrain_proteins", "AA", "sequences", proteins),
    Corpus("pretrain_proteins", "TEXT", "headers", headers),
    Corpus("chebi20", "TEXT", "captions", captions),
    Corpus("dna_snp_clinvar_windows", "DNA", "windows: reference, alternate, in place", clinvar),
    Corpus("dna_snp_illumina_manifest", "DNA", "windows with alleles, flanks", illumina),
    Corpus("dna_snp_mpra_satmut", "DNA", "windows: in place, alternate, reference", mpra),
    Corpus("dna_snp_bmfm_lexicon", "DNA", "allele pairs", allele_pairs),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=os.environ.get("MAMMAL_DATA"), type=Path)
    parser.add_argument("--only", default="", help="only corpora whose name contains this text")
    options = parser.parse_args()
    if options.folder is None or not Path(options.folder).is_dir():
        parser.error("give the data folder, or set MAMMAL_DATA")
    warnings.simplefilter("ignore")  # unknown tokens are counted here
    tokenizer = Tokenizer.load(None)
    print("| corpus | strings | tokens | characters a token | unknown | lost |\n|---|---|---|---|---|---|")
    failures = 0
    started = time.perf_counter()
    for corpus in CORPORA:
        if options.only not in corpus.folder:
            continue
        if not (options.folder / corpus.folder).is_dir():
            print(f"| {corpus.folder} | not there | | | | |")
            continue
        count = measure(tokenizer, corpus.alphabet, iter(corpus.read(options.folder / corpus.folder)))
        ratio = count.characters / count.tokens
        cells = f"{count.strings:,} | {count.tokens:,} | {ratio:.2f} | {count.unknown} | {count.lost}"
        print(f"| {corpus.folder}: {corpus.what} | {cells} |", flush=True)
        failures += count.unknown + count.lost
    print(f"\n{time.perf_counter() - started:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
