"""DNA with variants: tokens per base compared with the published vocabularies, windows and scored variants per second.

Tokens are counted on windows with one variant written in place: those of the public sets in `--data`, or made from a
seed. The published tokenizer (`--tokenizer`) has no alphabet for DNA. Its AA alphabet has all fifteen letters, so its
user would write bases in that one. The top of `snp_symbols.py` gives the facts from which the losses of the published
encoding of variants are counted.

Speeds are measured on a genome and a variant file made from a seed, with the batch jobs of `mammal windows` and `mammal
score`: reading, cutting, checking against the genome, writing shards and the whole output.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
from alphabets import Cut, cut
from common import MEASURED, Options, Row, progress, run_as_script, timed
from dna_bundle import dna_bundle
from dna_texts import UNORIENTED, windows
from genome_files import make
from snp_symbols import HETEROZYGOUS, UNKNOWN_TO_ITSELF, keep

from mammal.jobs.variants_job import score_variants_job
from mammal.jobs.windows_job import windows_job
from mammal.tokenization import Tokenizer
from mammal.tokenization.variants import reference

SMOKE_WINDOWS = 20
WHOLE = "nothing unknown or lost"
FACTS = "facts of its code and files"


GENOME_BASES, RECORDS, SCORED = 10_000_000, 100_000, 400
SMOKE_BASES, SMOKE_RECORDS, SMOKE_SCORED = 40_000, 200, 8
WINDOW = 512


def measure(chosen: Options) -> list[Row]:
    texts = windows(chosen.data, SMOKE_WINDOWS if chosen.smoke else None)
    return [*vocabulary_rows(chosen, texts), *encoding_rows(texts), window_row(chosen), score_row(chosen)]


def vocabulary_rows(chosen: Options, texts: dict[str, list[str]]) -> list[Row]:
    """Returns rows with the tokens per base of every set, and the share that is unknown or lost."""
    ours = Tokenizer.load(None)
    theirs = Tokenizer.load(chosen.tokenizer) if chosen.tokenizer else None
    rows = []
    for name, inside in texts.items():
        bases = sum(len(reference(text)) for text in inside)
        cut_by_us = cut(ours, "DNA", inside)
        cut_by_them = cut(theirs, "AA", inside) if theirs is not None else None
        rows.append(
            Row(
                f"{name}: {len(inside):,} windows of {bases / len(inside):.0f} bases, a variant in place of each",
                measured=WHOLE if cut_by_us.whole else str(cut_by_us),
                target=WHOLE,
                met=cut_by_us.whole,
                ours=_a_base(cut_by_us, bases),
                theirs=f"{_a_base(cut_by_them, bases)}, {cut_by_them}" if cut_by_them else "",
                source=MEASURED if cut_by_them else "",
            )
        )
    return rows


def encoding_rows(texts: dict[str, list[str]]) -> list[Row]:
    """Returns rows with the losses of the published encoding of variants, for sets whose reference allele is known."""
    rows = []
    for name, inside in texts.items():
        kept = keep(inside)
        if name != UNORIENTED and kept.inserted:
            rows.append(
                Row(
                    f"{name}: inserted bases of {kept.with_insertions:,} of {kept.variants:,} variants",
                    measured="0 bases lost",
                    ours=f"{kept.inserted:,} bases written",
                    theirs=f"{kept.inserted:,} of {kept.inserted:,} bases lost",
                    source=FACTS,
                )
            )
    return [
        *rows,
        Row(
            f"{HETEROZYGOUS} heterozygous symbols of the published variant-aware model",
            measured="0 pairs of alleles unknown",
            ours="any two alleles; the reference stands first",
            theirs=f"{UNKNOWN_TO_ITSELF} of {HETEROZYGOUS} unknown to its own tokenizer files; order not kept",
            source=FACTS,
        ),
    ]


def window_row(chosen: Options) -> Row:
    """Returns a row with the windows per second from a variant file and a genome, with frequencies, into parquet."""
    bases, records = (SMOKE_BASES, SMOKE_RECORDS) if chosen.smoke else (GENOME_BASES, RECORDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = make(folder, bases, records)
        how = {"reference": made.genome, "window": WINDOW, "rendering": "population"}
        seconds, _ = timed(lambda: windows_job(made.variants, folder / "windows.parquet", **how))
        cut_out = len(pd.read_parquet(folder / "windows.parquet", columns=["allele"]))
    return Row(
        f"windows of {WINDOW} bases of {made.records:,} records of a VCF file, genome of {made.bases / 1e6:g} Mb",
        measured=f"{cut_out / seconds:,.0f} windows/s",
        ours=f"{seconds:.1f} s, indexing the genome included",
    )


def score_row(chosen: Options) -> Row:
    """Returns a row with the variants per second, with likelihoods and distances, of a model with random weights."""
    bundle, records = dna_bundle(chosen.cache), SMOKE_SCORED if chosen.smoke else SCORED
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = make(folder, records * WINDOW, records)
        seconds, _ = timed(
            lambda: score_variants_job(bundle, made.variants, folder / "scores.parquet", reference=made.genome)
        )
        scored = len(pd.read_parquet(folder / "scores.parquet"))
    progress(f"{scored} of {made.records} variants scored in {seconds:.1f} s")
    return Row(
        f"scoring {made.records:,} variants of a VCF file, `model=tiny`, window {WINDOW}, likelihood and distance",
        measured=f"{scored / seconds:,.1f} variants/s",
        ours=f"{seconds:.1f} s, loading included",
    )


def _a_base(count: Cut, bases: int) -> str:
    return f"{count.tokens / bases:.4f} tokens a base"


if __name__ == "__main__":
    run_as_script(__doc__, measure)
