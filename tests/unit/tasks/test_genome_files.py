"""FASTA and VCF files on disk: any region of a genome, every cell of a record as written."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import pytest

from mammal.tasks.dna.genome import Genome
from mammal.tasks.dna.vcf import frequencies, site_of
from mammal.tasks.errors import DataError
from mammal.tasks.tables.lines import DAMAGED
from mammal.tasks.tables.readers import iter_tables, read_table
from mammal.tasks.tables.variant_files import iter_variants, parse_region, read_header

pysam = pytest.importorskip("pysam")

FASTA = ">chr1 first\nACGTacgtNN\nTTTTT\n>MT\nGATTACA\n"
HEADER = (
    "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=15>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n##FILTER=<ID=q10,Description="Quality below 10">\n'
    '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">\n##INFO=<ID=DB,Number=0,Type=Flag,Description="dbSNP">\n'
    '##INFO=<ID=END,Number=1,Type=Integer,Description="End of the variant">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tid\tNA2\n"
)
RECORDS = [
    "chr1\t2\trs1\tC\tG\t30\tq10\tAF=0.25;DB\tGT\t0|1\t./.",
    "chr1\t8\t.\tT\tTA,<DEL>\t.\tPASS\tAF=0.1,0.2\tGT\t1/2\t0/0",
]


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    file = tmp_path / "genome.fa"
    file.write_text(FASTA)
    return file


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    file = tmp_path / "calls.vcf"
    file.write_text(HEADER + "\n".join(RECORDS) + "\n")
    return file


def bgzipped(file: Path, *, index: bool) -> Path:
    target = file.with_name(f"{file.name}.gz")
    pysam.tabix_compress(str(file), str(target), force=True)
    if index:
        pysam.tabix_index(str(target), preset="vcf", force=True)
    return target


def test_a_genome_is_indexed_when_it_is_first_opened_and_folds_soft_masking(fasta: Path) -> None:
    with Genome(fasta) as genome:
        assert fasta.with_name("genome.fa.fai").is_file()
        assert genome.bases("chr1", 4, 12) == "ACGTNNTT"
        assert genome.lengths == {"chr1": 15, "MT": 7}


def test_a_bgzipped_genome_reads_like_a_plain_one(fasta: Path) -> None:
    packed = fasta.with_name("genome.fa.gz")
    pysam.tabix_compress(str(fasta), str(packed))
    assert Genome(packed).bases("MT", 0, 7) == Genome(fasta).bases("MT", 0, 7) == "GATTACA"


def test_a_gzipped_genome_is_refused_with_the_way_out(fasta: Path) -> None:
    packed = fasta.with_name("genome.fa.gz")
    packed.write_bytes(gzip.compress(FASTA.encode()))
    with pytest.raises(DataError, match="bgzip"):
        Genome(packed)


def test_contigs_match_with_and_without_chr(fasta: Path) -> None:
    genome = Genome(fasta)
    assert genome.bases("1", 0, 4) == genome.bases("NC_000001.11", 0, 4) == "ACGT"
    assert genome.contig("chrM") == genome.contig("M") == genome.contig("NC_012920.1") == "MT"
    with pytest.raises(DataError, match=r"no contig 'chr2'.*chr1"):
        genome.contig("chr2")


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (10, 16), (5, 4)])
def test_bases_beyond_a_contig_are_an_error(fasta: Path, start: int, end: int) -> None:
    with pytest.raises(DataError, match="of chr1 are requested, which has 15"):
        Genome(fasta).bases("chr1", start, end)


def test_a_genome_goes_to_another_process_as_its_path(fasta: Path) -> None:
    genome = Genome(fasta)
    genome.bases("chr1", 0, 1)
    assert pickle.loads(pickle.dumps(genome)).bases("chr1", 0, 4) == "ACGT"


def test_a_file_that_is_no_fasta_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.fa").write_text("ACGT\n")
    with pytest.raises(DataError, match=r"x\.fa"):
        Genome(tmp_path / "x.fa")


def test_records_keep_every_cell_as_written(vcf: Path) -> None:
    frame = read_table(vcf)
    assert list(frame.columns[:9]) == ["chrom", "pos", "id", "ref", "alt", "qual", "filter", "info", "format"]
    assert ["\t".join(row) for row in frame.to_numpy()] == RECORDS


def test_a_sample_called_like_a_column_keeps_its_place(vcf: Path) -> None:
    header = read_header(vcf)
    assert header.samples == ("id", "NA2")
    assert header.columns[-2:] == ("id.1", "NA2")
    assert header.column_of("id") == "id.1"
    with pytest.raises(DataError, match="NA2"):
        header.column_of("NA3")


def test_packed_and_binary_files_read_like_plain_ones(vcf: Path) -> None:
    plain = read_table(vcf)
    binary = vcf.with_suffix(".bcf")
    with pysam.VariantFile(str(vcf)) as source, pysam.VariantFile(str(binary), "wb", header=source.header) as target:
        for record in source:
            target.write(record)
    assert read_table(bgzipped(vcf, index=False)).equals(plain)
    from_binary = read_table(binary).drop(columns="info")  # writing it, pysam adds END to symbolic alleles
    assert from_binary.equals(plain.drop(columns="info"))


def test_a_region_needs_the_index_and_says_how_to_make_it(vcf: Path) -> None:
    packed = bgzipped(vcf, index=False)
    with pytest.raises(DataError, match=r"tabix -p vcf calls\.vcf\.gz"):
        next(iter_variants(packed, 10, region="chr1:1-5"))
    bgzipped(vcf, index=True)
    (frame,) = iter_variants(packed, 10, region="1:3-9")
    assert frame["pos"].tolist() == ["8"]
    with pytest.raises(DataError, match="chr1"):
        next(iter_variants(packed, 10, region="chr9"))


@pytest.mark.parametrize("text", ["chr1:0-5", "chr1:9-5", ""])
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="region"):
        parse_region(text)


def test_damaged_records_are_set_aside_with_their_lines(vcf: Path) -> None:
    vcf.write_text(vcf.read_text() + "chr1\tten\t.\tA\tG\t.\t.\t.\tGT\t0/1\t0/1\nchr1\t9\n")
    frame = next(iter_tables(vcf, 10, keep_damaged=True))
    assert frame[DAMAGED].tolist()[:2] == [None, None]
    assert "line 11: the position 'ten'" in frame[DAMAGED][2]
    assert "line 12: 2 fields where the header has 11" in frame[DAMAGED][3]
    with pytest.raises(DataError, match="line 11"):
        list(iter_tables(vcf, 10))
    assert len(read_table(vcf)) == 4


@pytest.mark.parametrize("text", ["", "chrom,pos\n", "##fileformat=VCFv3.3\n", "#CHROM POS ID REF ALT\n"])
def test_what_is_no_vcf_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.vcf").write_text(text)
    with pytest.raises(DataError, match="VCF"):
        read_table(tmp_path / "x.vcf")


@pytest.mark.parametrize(
    ("info", "count", "shares"),
    [
        ("AF=0.25", 1, (0.25,)),
        ("DB;AF=0.1,0.2", 2, (0.1, 0.2)),
        ("AC=3,1;AN=10", 2, (0.3, 0.1)),
        ("AF=.", 1, (None,)),
        ("AF=0.1", 2, (None, None)),
        ("AC=0;AN=0", 1, (None,)),
        (".", 1, (None,)),
    ],
)
def test_frequencies(info: str, count: int, shares: tuple[float | None, ...]) -> None:
    assert frequencies(info, count) == pytest.approx(shares)


def test_a_record_becomes_a_site(vcf: Path) -> None:
    row = read_table(vcf).to_dict("records")[1]
    site = site_of(row, samples=["id.1"], source="calls.vcf")
    assert (site.chrom, site.pos, site.ref, site.alts, site.id) == ("chr1", 8, "T", ("TA", "<DEL>"), "")
    assert site.genotypes == (("id.1", (1, 2), False),)
    assert site.where == "calls.vcf, chr1:8 T>TA,<DEL>"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"chrom": "1", "pos": "x", "ref": "A", "alt": "G"}, "'x' is not a whole number"),
        ({"chrom": "1", "pos": "1", "reff": "A", "alt": "G"}, "did you mean reff"),
        ({"chrom": "1", "pos": "1", "ref": "A", "alt": ""}, "no alt"),
    ],
)
def test_a_row_that_is_no_site_says_why(row: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        site_of(row)


def test_columns_of_a_table_may_be_called_as_in_the_header() -> None:
    assert site_of({"#CHROM": "1", "POS": 5, "REF": "a", "ALT": "g"}).alts == ("G",)
