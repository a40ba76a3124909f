"""The other strand of in-place text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammal.tokenization.errors import PromptError
from mammal.tokenization.strands import reverse_complement, reverse_complement_in_place
from mammal.tokenization.variants import Placed, Variant, alternate, choose, parse_variants, reference, write_in_place

CODES = "ACGTRYSWKMBDHVN"


@st.composite
def in_place(draw):
    """Text with one to three variants, multi-allelic ones and frequencies among them."""
    text = draw(st.text(CODES, max_size=20))
    for _ in range(draw(st.integers(1, 3))):
        alleles = draw(st.lists(st.text(CODES, max_size=4), min_size=2, max_size=3, unique=True))
        numbers = draw(st.none() | st.tuples(*[st.floats(0, 1)] * (len(alleles) - 1)))
        text += str(Variant(alleles[0], tuple(alleles[1:]), numbers or ())) + draw(st.text(CODES, max_size=20))
    return text


@given(in_place())
def test_twice_is_the_text_again(text):
    assert reverse_complement_in_place(reverse_complement_in_place(text)) == text


@given(in_place())
def test_every_allele_is_read_from_the_other_strand(text):
    other = reverse_complement_in_place(text)
    assert reference(other) == reverse_complement(reference(text))
    assert alternate(other) == reverse_complement(alternate(text))
    before, after = ([p for p in parse_variants(t) if isinstance(p, Variant)] for t in (text, other))
    assert [v.frequencies for v in after] == [v.frequencies for v in reversed(before)]


def test_the_pair_of_a_base_is_that_of_watson_and_crick():
    assert reverse_complement("aaccgt") == "ACGGTT"
    assert reverse_complement("RYSWKMBDHVN") == "NBDHVKMWSRY"
    with pytest.raises(PromptError, match="'X' is not a base"):
        reverse_complement("ACX")


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("AC[A/GT:0.2]TT", "AA[T/AC:0.2]GT"),
        ("AC[-/AAT]G", "C[-/ATT]GT"),
        ("[CTT/-]ACG", "CGT[AAG/-]"),
        ("A[A/C/G:0.1,0.2]A[C/T]", "[G/A]T[T/G/C:0.1,0.2]T"),
    ],
)
def test_what_stands_on_the_other_strand(text, other):
    assert reverse_complement_in_place(text) == other


def test_a_deletion_in_a_repeat_means_the_same_deletion_on_either_strand():
    text = write_in_place("GGTATATATCC", [Placed(2, Variant("TA", ("",)))])
    assert alternate(reverse_complement_in_place(text)) == reverse_complement("GGTATATCC")
    assert choose(reverse_complement_in_place(text), 0) == reverse_complement("GGTATATATCC")
