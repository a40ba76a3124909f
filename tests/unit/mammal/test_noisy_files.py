"""Batch jobs on files with noise, of each format: every row has an answer or a reason, or the file is refused.

`benchmarks/soak_jobs.py` runs the same tests with more files (`MAMMAL_SOAK_FILES`) and prints how many rows there were.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from mammal.errors import MammalError
from mammal.inference.questions import Predict
from mammal.jobs import JobPlan, JobReport, run_plan
from mammal.jobs.inputs import JobInput, open_input
from mammal.jobs.loaded_model import open_model
from mammal.rows.batched import Pace
from mammal.rows.question import Question

FILES = int(os.environ.get("MAMMAL_SOAK_FILES", "6"))
"""Files of each format, of about 35 rows each."""
SEED = int(os.environ.get("MAMMAL_SOAK_SEED", "1"))
SHARD = 16

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)N", "C1CC", "", "[NH4+].[Cl-]", "F/C=C/F"] * 5
PROTEINS = ["MKTAYIAKQR", "GG", "ECPVFEPSWAEFRDPLGYIAKIRPI", "MXB*Z", "acdefg", "M-KT", "WWWWWWWWWW"] * 5
CONTIG = "".join(np.random.default_rng(0).choice(list("ACGT"), 400))

PIECES = [b",", b'"', b"\n", b"\r\n", b"\r", b"\t", b";", b"\0", b"{", b"}", b"[", b"null", b">", b"#", b"##", b"."]
PIECES += [b"\xff", b"\xef\xbb\xbf", b"$$$$\n", b"M  END\n", b"C1CC", b"[Na+]", b"%", b"1e999", b"NaN", b"\\u", b"  "]
PIECES += ["é漢".encode(), b"\x1a", b"smiles", b"\n>\n", b"> <id>\n", b"<DEL>", b"\tPASS\t", b"chr1", b"-1", b"*"]

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda text: pa.compress(text, "zstd", asbytes=True),
}


def mutated(text: bytes, random_state: random.Random) -> bytes:
    """A file with noise: bytes that are changed, left out or doubled, and pieces of its structure out of place."""
    content = bytearray(text)
    for _ in range(random_state.randint(4, 24)):
        place = random_state.randrange(len(content) or 1)
        match random_state.randrange(5):
            case 0:
                content[place : place + 1] = bytes([random_state.randrange(256)])
            case 1:
                del content[place : place + random_state.randint(1, 9)]
            case 2:
                content[place:place] = content[place : place + random_state.randint(1, 30)]
            case 3:
                content[place:place] = random_state.choice(PIECES)
            case _:
                content[place:place] = random_state.choice(PIECES) * 3
    return bytes(content)


def damaged(content: bytes, random_state: random.Random) -> bytes:
    """A binary file that is cut, or has a few wrong bytes."""
    if random_state.random() < 0.3:
        return content[: random_state.randrange(len(content))]
    made = bytearray(content)
    for _ in range(random_state.choice([1, 1, 2, 4, 16])):
        made[random_state.randrange(len(made))] = random_state.randrange(256)
    return bytes(made)


@cache
def sdf() -> bytes:
    from rdkit import Chem

    known = [Chem.MolFromSmiles(text) for text in MOLECULES if text not in ("C1CC", "")]
    return "".join(f"{Chem.MolToMolBlock(mol)}> <id>\n{i}\n\n$$$$\n" for i, mol in enumerate(known)).encode()


def vcf() -> bytes:
    head = ["##fileformat=VCFv4.3", '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">']
    head.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1")
    kinds = ["A", "T", "C,G", "<DEL>", "GTT", ".", "*"] * 5
    lines = [
        f"chr1\t{9 * i + 1}\trs{i}\t{CONTIG[9 * i]}\t{alt}\t.\tPASS\tDP={i}\tGT\t0|1" for i, alt in enumerate(kinds)
    ]
    return "\n".join([*head, *lines, ""]).encode()


def noisy_table(random_state: random.Random) -> pa.Table:
    """A table whose cells have noise, with columns of many types. Cells of texts can be bytes that are no text."""

    def text(value: str) -> bytes | None:
        given = value.encode()
        return random_state.choice([given, given, given, mutated(given, random_state)[:200], None])

    def cells(kind: pa.DataType) -> pa.Array:
        values = [text(smiles) for smiles in MOLECULES]
        return _as_texts(pa.array(values, pa.large_binary() if kind == pa.large_string() else pa.binary()), kind)

    def numbers(bits: int) -> list[int | None]:
        return [random_state.choice([0, None, random_state.getrandbits(bits), -(2**bits)]) for _ in MOLECULES]

    columns = {
        "smiles": cells(random_state.choice([pa.string(), pa.large_string()])),
        "id": pa.array(numbers(63), pa.int64()),
        "note": cells(pa.string()).dictionary_encode() if random_state.random() < 0.3 else cells(pa.string()),
        "share": pa.array([random_state.choice([0.5, float("nan"), float("inf"), None]) for _ in MOLECULES]),
        "raw": pa.array([text(smiles) for smiles in MOLECULES], pa.binary()),
        "when": pa.array(numbers(random_state.choice([40, 63])), pa.int64()).cast(pa.timestamp("us")),
        "day": pa.array(numbers(31), pa.int32()).cast(pa.date32()),
        "list": pa.array([[1, None]] * len(MOLECULES)),
        "record": pa.StructArray.from_arrays([cells(pa.string()), pa.array(numbers(7), pa.int8())], ["a", "b"]),
    }
    left_out = random_state.sample(list(columns), random_state.randint(0, 6))
    return pa.table({name: column for name, column in columns.items() if name == "smiles" or name not in left_out})


def _as_texts(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """The bytes as texts, without a check that they are."""
    return pa.Array.from_buffers(kind, len(values), values.buffers(), values.null_count)


def parquet_bytes(table: pa.Table, random_state: random.Random) -> bytes:
    from pyarrow import parquet

    stream = io.BytesIO()
    how = {"compression": random_state.choice(["snappy", "none", "gzip", "zstd"]), "use_dictionary": False}
    how["data_page_version"] = random_state.choice(["1.0", "2.0"])
    parquet.write_table(table, stream, row_group_size=random_state.choice([10, 100]), **how)
    return stream.getvalue()


def sound_table() -> pa.Table:
    return pa.table({"smiles": MOLECULES, "id": list(range(len(MOLECULES))), "list": [[1, 2]] * len(MOLECULES)})


TEXTS: dict[str, Callable[[], bytes]] = {
    "csv": lambda: b"smiles,id\n" + b"".join(f"{smiles},{i}\n".encode() for i, smiles in enumerate(MOLECULES)),
    "tsv": lambda: b"smiles\tid\n" + b"".join(f"{smiles}\t{i}\n".encode() for i, smiles in enumerate(MOLECULES)),
    "jsonl": lambda: b"".join(json.dumps({"smiles": s, "id": i}).encode() + b"\n" for i, s in enumerate(MOLECULES)),
    "smi": lambda: b"".join(f"{smiles} molecule {i}\n".encode() for i, smiles in enumerate(MOLECULES) if smiles),
    "sdf": sdf,
    "fasta": lambda: b"".join(f">p{i} protein {i}\n{one}\n".encode() for i, one in enumerate(PROTEINS)),
    "vcf": vcf,
}


def noisy_text(form: str, random_state: random.Random) -> bytes:
    """A text file with noise. Most variant files keep their header, because one without it is refused as a whole."""
    text = TEXTS[form]()
    body = text.index(b"\nchr1") if form == "vcf" and random_state.random() < 0.8 else 0
    return text[:body] + mutated(text[body:], random_state)


def _of_text(name: str) -> Callable[[random.Random], bytes]:
    """Makes text files with noise. With a compression, the noise is in the text, or in one of five files outside it."""
    form, _, suffix = name.partition(".")
    pack = PACK[f".{suffix}"] if suffix else bytes

    def make(random_state: random.Random) -> bytes:
        if suffix and random_state.random() < 0.2:
            return damaged(pack(TEXTS[form]()), random_state)
        return pack(noisy_text(form, random_state))

    return make


WRITERS: dict[str, Callable[[random.Random], bytes]] = {
    **{name: _of_text(name) for name in (*TEXTS, "csv.gz", "jsonl.zst", "fasta.bz2", "vcf.gz")},
    "parquet": lambda random_state: parquet_bytes(noisy_table(random_state), random_state),
    "damaged.parquet": lambda random_state: damaged(parquet_bytes(sound_table(), random_state), random_state),
}
"""End of the name of a file -> makes its content."""


class Asked(NamedTuple):
    """A job on a file: its question, the ending of its output and how that is written."""

    question: Question
    ending: str = ".jsonl"
    form: Any = None


@pytest.fixture(scope="module")
def ask(small_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Asked]:
    """Returns the job for a file of a format: prediction for molecules and proteins, scores for variants."""
    from mammal.jobs.variants_job import _written
    from mammal.tasks.tables.variant_files import FIXED
    from mammal.variants.question import VariantQuestion
    from mammal.variants.scores import VariantScoreOptions
    from mammal.variants.scoring import Scorer
    from mammal.variants.source import allele_source

    model = open_model(small_bundle("bbbp", "deepsol_test", "dna_denoising"))
    genome = tmp_path_factory.mktemp("genome") / "genome.fa"
    genome.write_text(f">chr1\n{CONTIG}\n")

    def asked(form: str, given: JobInput) -> Asked:
        if form.startswith("vcf"):
            options = VariantScoreOptions(window=32)
            scorer = Scorer(model.model, model.tokenizer, model.tasks, options, model.pace)
            scores = VariantQuestion(scorer, allele_source(FIXED, genome, options.window))
            question, form_of_output = _written(scores, given, Path("out.vcf"), "")
            return Asked(question, ".vcf", form_of_output)
        task = "deepsol_test" if form.startswith("fasta") else "bbbp"
        return Asked(Predict(model.model, model.find_task(task), Pace()))

    return asked


@pytest.mark.parametrize("form", WRITERS)
def test_files_with_noise_never_stop_a_job_without_a_reason(
    ask: Callable[..., Asked], tmp_path: Path, form: str
) -> None:
    """Each row is in the output or in the errors file with a reason, or the file as a whole is refused by name."""
    if form.startswith("vcf"):
        pytest.importorskip("pysam")
    random_state, counts = random.Random(f"{SEED} {form}"), Counter[str]()
    for number in range(FILES):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        file = folder / f"in_{number}.{form}"
        file.write_bytes(WRITERS[form](random_state))
        counts += answered(ask, form, file)
        shutil.rmtree(folder)
    sys.stdout.write(f"\n{form}: {', '.join(f'{count:,} {name}' for name, count in sorted(counts.items()))}\n")
    assert form == "damaged.parquet" or counts["files refused"] < FILES, "most files can be read"


def answered(ask: Callable[..., Asked], form: str, file: Path) -> Counter[str]:
    """Runs the job on a file, and counts files that are refused, and rows with an answer and with a reason."""
    about = f"seed {SEED}, {file.name}"
    try:
        given = open_input(file)
        question, ending, how = ask(form, given)
        output = file.with_name(f"out{ending}")
        report = run_plan(JobPlan("predict", given, question, output, shard_rows=SHARD, form=how))
    except MammalError as error:
        assert file.name in str(error) and "\n" not in str(error).strip(), f"{about}: {error}"
        assert not list(file.parent.glob("out.[vj]*[fl]")), about
        return Counter({"files refused": 1})
    check_accounts(report, given, about)
    return Counter({"rows": report.rows, "rows with a reason": report.bad})


def check_accounts(report: JobReport, given: JobInput, about: str) -> None:
    """Each row of the input is in one of the two files, once, and each reason is one line of text."""
    reasons = list(_reasons(report))
    lines = Path(report.output).read_bytes().decode().split("\n")  # a cell of a variant file can have a "\r"
    answers = [line for line in lines if line and line[0] != "#"]
    assert len(answers) == report.ok and len(reasons) == report.bad, about
    assert report.rows == report.ok + report.bad == sum(shard.rows for shard in given.shards(100)), about
    numbers = {row for row, _ in reasons}
    assert len(numbers) == report.bad and all(1 <= row <= report.rows for row in numbers), about
    for row, reason in reasons:
        assert reason.strip() and "\n" not in reason and "Traceback" not in reason, f"{about}, row {row}: {reason!r}"


def _reasons(report: JobReport) -> Iterator[tuple[int, str]]:
    """Row number and reason of each line of the errors file."""
    if report.errors is None:
        return
    shard: Sequence[Any]
    for shard in ([each.table] for each in open_input(report.errors).shards(100)):
        yield from zip(map(int, shard[0]["row"].to_pylist()), shard[0]["error"].to_pylist(), strict=True)
