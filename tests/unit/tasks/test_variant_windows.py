"""Windows around variants: the seven renderings, haplotypes with their neighbours, HGVS, arrays and flanks."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.dna.alleles import AllelePair
from mammal.tasks.dna.flanks import flank_columns, in_place_text
from mammal.tasks.dna.genome import Genome
from mammal.tasks.dna.hgvs import parse_hgvs
from mammal.tasks.dna.manifest import locus_of, oriented
from mammal.tasks.dna.place import Unsupported
from mammal.tasks.dna.rendering import Renderer, variant_file
from mammal.tasks.dna.site import Site
from mammal.tasks.dna.vcf import site_of
from mammal.tasks.dna.windows import allele_pairs, render
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources import variants
from mammal.tokenization.strands import reverse_complement
from mammal.tokenization.variants import Variant, alternate, parse_variants, reference

pytest.importorskip("pysam")

CHR1 = "ACGTTGCAAGGCTTACCGATTAGCCATGGACT"
"""Bases 1 to 32; base 10 is G, 11 G, 12 C."""


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "g.fa").write_text(f">chr1\n{CHR1.lower()}\n")
    return Genome(tmp_path / "g.fa")


def site(pos: int, ref: str, alt: str, *genotype: object, info: str = "", phase: str = "") -> Site:
    row = {"chrom": "1", "pos": pos, "ref": ref, "alt": alt, "info": info, "format": "GT:PS"}
    samples = ["NA1"] if genotype else []
    return site_of({**row, "NA1": f"{genotype[0]}:{phase or '.'}" if genotype else ""}, samples=samples)


def sequence(at: Site, genome: Genome, rendering: str, window: int = 8, **how: object) -> str:
    (found,) = render(at, genome, window, rendering, **how)  # type: ignore[arg-type]
    return found.sequence


@pytest.mark.parametrize(
    ("record", "in_place"),
    [
        (site(10, "G", "T"), "GCAA[G/T]GCT"),
        (site(10, "G", "GTT"), "CAAG[-/TT]GCTT"),
        (site(9, "AGG", "A"), "CAA[GG/-]CTT"),
        (site(10, "GG", "TA"), "CAA[GG/TA]CTT"),
    ],
)
def test_a_window_has_the_site_in_its_middle(genome: Genome, record: Site, in_place: str) -> None:
    text = sequence(record, genome, "in_place")
    assert text == in_place
    assert reference(text) == sequence(record, genome, "reference")
    assert alternate(text) == sequence(record, genome, "alternate")
    assert len(reference(text)) == 8


def test_windows_of_a_substitution_have_equal_length_and_one_difference(genome: Genome) -> None:
    (pair,) = allele_pairs(site(10, "G", "T"), genome, 16)
    assert isinstance(pair, AllelePair)
    assert len(pair.reference) == len(pair.alternate) == 16
    assert [i for i in range(16) if pair.reference[i] != pair.alternate[i]] == [8]
    assert pair.in_place == sequence(site(10, "G", "T"), genome, "in_place", 16)


def test_every_alternate_has_its_pair_or_its_reason(genome: Genome) -> None:
    record = site(10, "G", "T,<DEL>,*,GA,G[chr2:5[,G")
    found = allele_pairs(record, genome, 8)
    assert [pair.number for pair in found] == [1, 2, 3, 4, 5, 6]
    assert [isinstance(pair, Unsupported) for pair in found] == [False, True, True, False, True, True]
    assert all("1:10 G>" in pair.reason for pair in found if isinstance(pair, Unsupported))
    (window,) = render(record, genome, 8, "in_place")
    assert [piece.alleles for piece in parse_variants(window.sequence) if isinstance(piece, Variant)] == [
        ("G", "T", "GA")
    ]
    assert window.alleles == (0, 1, 4)
    assert len(window.left_out) == 4
    assert [one.alleles for one in render(record, genome, 8, "alternate")] == [(1,), (4,)]
    with pytest.raises(DataError, match="symbolic allele <DEL>"):
        render(site(10, "G", "<DEL>"), genome, 8, "in_place")


def test_alleles_that_do_not_fit_the_window_are_unsupported(genome: Genome) -> None:
    (deletion,) = allele_pairs(site(1, CHR1[:12], "A"), genome, 8)
    (insertion,) = allele_pairs(site(10, "G", "G" + "T" * 20), genome, 8)
    assert isinstance(deletion, Unsupported)
    assert "11 bases are replaced" in deletion.reason
    assert isinstance(insertion, Unsupported)
    assert "20 bases" in insertion.reason


@pytest.mark.parametrize(("pos", "length"), [(1, 4), (2, 5), (32, 5), (16, 8)])
def test_windows_are_clipped_at_the_ends_of_a_contig(genome: Genome, pos: int, length: int) -> None:
    ref = CHR1[pos - 1]
    alt = "C" if ref != "C" else "T"
    text = sequence(site(pos, ref, alt), genome, "in_place")
    assert len(reference(text)) == length
    assert reference(text) in CHR1


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (site(10, "A", "T"), r"1:10 A>T: the genome reads G at 1:10, the record says A \(wrong genome build"),
        (site(10, "C", "T"), r"1:10 C>T: .*complement matches: the record is on the other strand"),
        (site(10, "A", "G"), "the genome has an alternate allele: REF and ALT are exchanged"),
        (site(10, "C", "G"), "REF and ALT are exchanged, or the complement matches"),
        (site(10, "-", "T"), "the base before them"),
        (site(33, "A", "T"), "position 33 with 1 bases is not within chr1, which has 32"),
        (site(0, "A", "T"), "not within chr1"),
    ],
)
def test_a_record_of_another_genome_is_named(genome: Genome, record: Site, said: str) -> None:
    with pytest.raises(DataError, match=said):
        allele_pairs(record, genome, 8)


def test_population_windows_carry_frequencies_and_need_them(genome: Genome) -> None:
    assert "[G/T:0.23]" in sequence(site(10, "G", "T", info="AF=0.23"), genome, "population")
    (piece,) = [
        piece
        for piece in parse_variants(sequence(site(10, "G", "T,A", info="AC=1,2;AN=10"), genome, "population"))
        if isinstance(piece, Variant)
    ]
    assert piece.frequencies == (0.1, 0.2)
    with pytest.raises(DataError, match="no frequency"):
        render(site(10, "G", "T"), genome, 8, "population")


def test_a_haplotype_has_every_allele_of_its_chromosome(genome: Genome) -> None:
    middle, insertion, deletion = site(16, "C", "T", "0|1"), site(12, "C", "CAA", "0|1"), site(18, "GA", "G", "1|0")
    first, second = render(middle, genome, 16, "haplotypes", sample="NA1", others=[insertion, middle, deletion])
    low = first.start
    assert first.sequence == CHR1[low:18] + CHR1[19 : first.end]
    assert second.sequence == CHR1[low:12] + "AA" + CHR1[12:15] + "T" + CHR1[16 : second.end]
    assert (first.alleles, second.alleles) == ((0,), (1,))


@pytest.mark.parametrize(
    ("genotype", "others", "said"),
    [
        ("0/1", [], "not phased"),
        ("./.", [], "not called"),
        ("0|1", [site(12, "C", "T", "0/1")], "1:12 C>T: .*not phased"),
        ("0|1", [site(12, "C", "T", "0|1", phase="7")], "phased in set 7"),
        ("1|1", [site(16, "C", "G", "1|1")], "overlaps"),
        ("0|1", [site(12, "C", "<DEL>", "1|1")], "symbolic allele <DEL>"),
        ("0|2", [], "names allele 2"),
    ],
)
def test_haplotypes_that_are_not_known_are_refused(
    genome: Genome, genotype: str, others: list[Site], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        render(site(16, "C", "T", genotype), genome, 16, "haplotype_1", sample="NA1", others=others)


def test_only_the_haplotype_with_an_allele_without_sequence_is_set_aside(genome: Genome) -> None:
    """`*` (VCF 4.3, section 1.6.1) is on one chromosome; what is on the other one is known."""
    record = site(16, "C", "T,*", "1|2")
    (window,) = render(record, genome, 16, "haplotypes", sample="NA1")
    assert window.haplotype == 1 and window.alleles == (1,)
    assert window.sequence == CHR1[window.start : 15] + "T" + CHR1[16 : window.end]
    (reason,) = window.left_out
    assert reason.startswith("haplotype 2: 1:16 C>T,*: the allele * ")
    assert render(record, genome, 16, "haplotype_1", sample="NA1")[0].left_out == ()
    for rendering, alleles in (("haplotype_2", "1|2"), ("haplotypes", "2|2"), ("haplotypes", "2")):
        with pytest.raises(DataError, match=r"1:16 C>T,\*: the allele \* "):
            render(site(16, "C", "T,*", alleles), genome, 16, rendering, sample="NA1")
    symbolic = site(12, "C", "<DEL>", "0|1")
    (window,) = render(site(16, "C", "T", "1|1"), genome, 16, "haplotypes", sample="NA1", others=[symbolic])
    assert window.haplotype == 1 and "haplotype 2" in window.left_out[0] and "<DEL>" in window.left_out[0]


def test_further_haplotypes_of_a_polyploid_sample_are_named(genome: Genome) -> None:
    windows = render(site(16, "C", "T", "0|1|1"), genome, 8, "haplotypes", sample="NA1")
    assert [window.haplotype for window in windows] == [1, 2]
    assert {window.left_out for window in windows} == {("haplotype 3: of 3 copies two are written",)}


def test_homozygous_and_haploid_genotypes_need_no_phase(genome: Genome) -> None:
    assert len(render(site(16, "C", "T", "1/1"), genome, 8, "haplotypes", sample="NA1")) == 2
    assert len(render(site(16, "C", "T", "1"), genome, 8, "haplotypes", sample="NA1")) == 1
    with pytest.raises(DataError, match="no haplotype 2"):
        render(site(16, "C", "T", "1"), genome, 8, "haplotype_2", sample="NA1")


def test_neighbours_are_written_in_place_unless_they_overlap(genome: Genome) -> None:
    others = [site(12, "C", "T"), site(15, "AC", "A"), site(14, "TACC", "T"), site(16, "C", "T")]
    (window,) = render(site(16, "C", "T"), genome, 16, "in_place", others=others)
    written = [piece for piece in parse_variants(window.sequence) if isinstance(piece, Variant)]
    assert [piece.alleles for piece in written] == [("C", "T"), ("C", "T")]
    assert len(window.left_out) == 2


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("NC_000001.11:g.10G>T", CHR1[:9] + "T" + CHR1[10:]),
        ("chr1:g.10del", CHR1[:9] + CHR1[10:]),
        ("chr1:g.1_3del", CHR1[3:]),
        ("chr1:g.10_12delGGC", CHR1[:9] + CHR1[12:]),
        ("1:g.10_12dup", CHR1[:12] + CHR1[9:12] + CHR1[12:]),
        ("1:g.10_11insACA", CHR1[:10] + "ACA" + CHR1[10:]),
        ("1:g.10_12delinsT", CHR1[:9] + "T" + CHR1[12:]),
        ("1:g.10_12delGGCinsT", CHR1[:9] + "T" + CHR1[12:]),
        ("1:g.9_12inv", CHR1[:8] + reverse_complement(CHR1[8:12]) + CHR1[12:]),
    ],
)
def test_hgvs_descriptions_change_the_genome_as_they_say(genome: Genome, text: str, changed: str) -> None:
    found = parse_hgvs(text, genome)
    at = found.pos - 1
    assert CHR1[at : at + len(found.ref)] == found.ref
    assert CHR1[:at] + found.alts[0] + CHR1[at + len(found.ref) :] == changed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10G>T", "not an HGVS description"),
        ("chr1:c.10G>T", "not an HGVS description"),
        ("chr1:g.G>T", "position is expected at character 8"),
        ("chr1:g.12_10del", "not a stretch"),
        ("chr1:g.10conX", "no change is known by 'conX', at character 10"),
        ("chr1:g.10_12insA", "neighbouring bases"),
        ("chr1:g.10_12delGG", "3"),
        ("chr1:g.10_12delGGG", "the genome reads GGC"),
        ("chr1:g.40del", "beyond chr1"),
        ("chr9:g.4del", "no contig"),
        ("chr1:g.10G>J", "'J' at character 12 is not a base"),
    ],
)
def test_what_hgvs_can_not_say_is_reported_with_its_place(genome: Genome, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        parse_hgvs(text, genome)


def test_a_substitution_needs_no_genome_and_a_deletion_does() -> None:
    assert parse_hgvs("NC_000007.14:g.55181378T>G").chrom == "chr7"
    with pytest.raises(DataError, match="none is given"):
        parse_hgvs("NC_000007.14:g.55181378del")


def manifest_row(left: str, alleles: str, right: str, pos: int) -> dict[str, str]:
    named = {"Name": "rs1", "SNP": f"[{alleles}]", "Chr": "1", "MapInfo": str(pos)}
    return {**named, "SourceSeq": f"{left}[{alleles}]{right}"}


@pytest.mark.parametrize("other_strand", [False, True])
@pytest.mark.parametrize("alleles", ["T/G", "G/T"])
def test_loci_of_an_array_are_oriented_by_the_genome(genome: Genome, other_strand: bool, alleles: str) -> None:
    left, right = CHR1[1:9], CHR1[10:20]
    if other_strand:
        left, right = reverse_complement(right), reverse_complement(left)
        alleles = "/".join(reverse_complement(allele) for allele in alleles.split("/"))
    found = oriented(locus_of(manifest_row(left.lower(), alleles, right, 10)), genome)
    assert (found.pos, found.ref, found.alts) == (10, "G", ("T",))


def test_a_locus_elsewhere_in_the_genome_is_an_error(genome: Genome) -> None:
    with pytest.raises(DataError, match=r"locus rs1 \(1:10\).*neither allele"):
        oriented(locus_of(manifest_row("AAAAAAAA", "A/G", "AAAAAAA", 10)), genome)


def test_flanks_in_one_column_or_three_are_the_same_text() -> None:
    assert flank_columns(["left", "alleles", "right"]) == ("left", "alleles", "right")
    row = {"left": "acGT", "alleles": "-/AT", "right": "ttc", "sequence": "acGT[-/AT]ttc"}
    assert in_place_text(row, ("left", "alleles", "right")) == in_place_text(row, ("sequence",)) == "ACGT[-/AT]TTC"
    assert in_place_text(row, ("sequence",), window=4) == "GT[-/AT]TT"
    with pytest.raises(DataError, match="no variant"):
        in_place_text({"sequence": "ACGT"}, ("sequence",))


def test_every_locus_of_a_real_manifest_is_rendered(shared: Path) -> None:
    source = variant_file(shared / "data/dna_snp_illumina_manifest/small_manifest.csv.gz")
    renderer = Renderer(source, window=64)
    rows = [row for frame in source.tables() for row in frame.to_dict("records")]
    windows = [renderer.windows(row) for row in rows]
    assert len(rows) == len(windows) == 2_000
    assert {window["oriented"] for found in windows for window in found} == {"no"}
    assert all(len(reference(found[0]["sequence"])) <= 64 for found in windows)


def test_the_source_gives_windows_with_info_and_dosage(genome: Genome, tmp_path: Path, caplog) -> None:
    (tmp_path / "calls.vcf").write_text(
        "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1\n"
        "chr1\t10\trs1\tG\tT\t.\tPASS\tAF=0.5;GENE=ABC\tGT\t1|1\nchr1\t12\t.\tA\tT\t.\tPASS\t.\tGT\t0|1\n"
    )
    files = {"path": str(tmp_path / "calls.vcf"), "reference": str(genome.path)}
    frame = variants.load(DataConfig(source="variants", **files, window=8, sample="NA1"), None)
    assert frame.to_dict("records")[0].items() >= {"AF": "0.5", "GENE": "ABC", "dosage": 2, "allele": "0/1"}.items()
    assert len(frame) == 1
    assert "the genome reads C at chr1:12" in caplog.text
    with pytest.raises(TaskError, match=r"reference=genome\.fa"):
        variants.load(DataConfig(source="variants", path=files["path"]), None)
