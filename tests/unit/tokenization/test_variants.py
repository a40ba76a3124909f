"""In-place DNA variants: notation, VCF-style alleles, and their tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammal.tokenization import Tokenizer
from mammal.tokenization.errors import PromptError
from mammal.tokenization.prompt import segment
from mammal.tokenization.variants import Variant, alternate, choose, from_vcf, parse_variants, reference, write_in_place

bases = st.text("ACGT", max_size=30)
allele = st.text("ACGTN", min_size=1, max_size=8)


@st.composite
def vcf_records(draw):
    """A window, and a record whose reference allele is what stands in it, as in a valid VCF file."""
    left, ref, right = draw(bases), draw(allele), draw(bases)
    alts = draw(st.lists(allele.filter(lambda alt: alt != ref), min_size=1, max_size=3, unique=True))
    frequencies = draw(st.none() | st.lists(st.floats(0, 1), min_size=len(alts), max_size=len(alts)))
    return left + ref + right, len(left), ref, alts, frequencies or ()


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(None)


def tokens(tokenizer, text):
    return [tokenizer.token(id) for id in tokenizer.encode(segment("DNA", text + "<EOS>")).ids_L[:-1]]


@pytest.mark.parametrize(
    ("ref", "alts", "written"),
    [
        ("A", ["G"], "CC[A/G]TT"),
        ("A", ["AT"], "CCA[-/T]TT"),
        ("ATT", ["A"], "CCA[TT/-]"),
        ("AT", ["GC"], "CC[AT/GC]T"),
        ("AT", ["A", "ATG"], "CCA[T/-/TG]T"),
        ("A", ["C", "G"], "CC[A/C/G]TT"),
        ("TT", ["T"], "CCAT[T/-]"),
    ],
)
def test_vcf_alleles_are_written_in_place_without_their_anchor(ref, alts, written):
    start = "CCATT".index(ref)
    assert write_in_place("CCATT", [from_vcf(start, ref, alts)]) == written


@given(vcf_records())
def test_every_vcf_record_gives_back_its_windows(record):
    window, start, ref, alts, frequencies = record
    text = write_in_place(window, [from_vcf(start, ref, alts, frequencies)])
    assert reference(text) == window
    for number, alt in enumerate(alts, 1):
        assert choose(text, number) == window[:start] + alt + window[start + len(ref) :]
    assert "".join(map(str, parse_variants(text))) == text


@given(record=vcf_records())
def test_every_vcf_record_is_tokenised_without_loss(tokenizer, record):
    window, start, ref, alts, _ = record
    text = write_in_place(window, [from_vcf(start, ref, alts)])
    encoding = tokenizer.encode(segment("DNA", text + "<EOS>"), on_unknown="raise")
    assert tokenizer.decode(encoding.ids_L) == text + "<EOS>"


@given(record=vcf_records())
def test_frequencies_are_carried_by_the_token_of_their_allele(tokenizer, record):
    window, start, ref, alts, frequencies = record
    text = write_in_place(window, [from_vcf(start, ref, alts, frequencies)])
    encoding = tokenizer.encode(segment("DNA", text + "<EOS>"))
    carriers = [tokenizer.token(id) for id in encoding.ids_L[encoding.has_value_L]]
    assert encoding.values_L[encoding.has_value_L].tolist() == pytest.approx(list(frequencies), rel=1e-6)
    assert all(token == "/" or Variant(token[1], (token[3],)).is_snv for token in carriers)


@given(left=bases, right=bases, alleles=st.permutations("ACGT"))
def test_snv_windows_have_equal_token_length(tokenizer, left, right, alleles):
    ref, alt = alleles[:2]
    heterozygous = write_in_place(left + ref + right, [from_vcf(len(left), ref, [alt])])
    lengths = {
        len(tokens(tokenizer, text)) for text in (heterozygous, reference(heterozygous), alternate(heterozygous))
    }
    assert lengths == {len(left) + 1 + len(right)}


def test_a_soft_masked_variant_is_the_same_token(tokenizer):
    assert tokens(tokenizer, "ac[a/g]") == ["A", "C", "[A/G]"]


def test_haplotypes_pick_one_allele_for_each_variant():
    assert choose("A[C/G]T[-/AA]G[T/C/A]", [1, 0, 2]) == "AGTGA"
    with pytest.raises(PromptError, match="2 alleles are chosen for 1 variants"):
        choose("A[C/G]T", [0, 1])
    with pytest.raises(PromptError, match="C/G has no allele 2"):
        choose("A[C/G]T", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AC[A/G", "character 3 of the DNA text: '\\[' is not a base"),
        ("AC[A/]", "character 3 .* empty allele .*write -"),
        ("AC[A/A]", "character 3 .* names an allele twice"),
        ("AC[A]", "character 3 .* no alternate allele"),
        ("[A/G:1.5]", "frequency outside 0 to 1"),
        ("[A/G:nan]", "not a number"),
        ("[A/C/G:0.1]", "1 frequencies for 2 alternate alleles"),
        ("[A/<DEL>]", "'<' is not a base"),
        ("ACJ", "character 3 of the DNA text: 'J' is not a base"),
    ],
)
def test_broken_notation_is_refused_with_its_place(text, message):
    with pytest.raises(PromptError, match=message):
        parse_variants(text)


@pytest.mark.parametrize("alt", ["<DEL>", "*", ".", "", "G]17:198982]"])
def test_alleles_that_are_no_bases_are_refused(alt):
    with pytest.raises(PromptError, match="not a sequence of bases"):
        from_vcf(0, "A", [alt])


def test_a_reference_that_is_not_in_the_window_is_refused():
    with pytest.raises(PromptError, match=r"base 2 of the window: the window reads C, not G"):
        write_in_place("ACGT", [from_vcf(1, "G", ["T"])])
    with pytest.raises(PromptError, match="the window has 4 bases"):
        write_in_place("ACGT", [from_vcf(3, "TA", ["C"])])
    with pytest.raises(PromptError, match="overlaps"):
        write_in_place("ACGT", [from_vcf(0, "ACG", ["T"]), from_vcf(1, "C", ["G"])])
