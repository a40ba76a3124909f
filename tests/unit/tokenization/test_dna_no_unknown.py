"""Fuzzed records of variant files: written in place they hold no unknown token, and both sequences come back.

Windows and alleles are drawn from all fifteen base codes in either case; a window has several records, each of which is
any mixture of substitutions, insertions and deletions. What one plain record does stands in `test_variants.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammal.tokenization import Template, Tokenizer
from mammal.tokenization.build_vocabulary import SNVS
from mammal.tokenization.prompt import segment
from mammal.tokenization.variants import BASES, alternate, choose, from_vcf, reference, write_in_place

CODES = "".join(sorted(BASES))
EITHER_CASE = CODES + CODES.lower()

flank = st.text(EITHER_CASE, max_size=20)
frequency = st.floats(0, 1)


@st.composite
def alternates(draw, ref: str) -> list[str]:
    """One to four alternate alleles: substitutions, insertions and deletions of the reference, or unlike it."""
    written: dict[str, str] = {}
    for _ in range(draw(st.integers(1, 4))):
        keep, free = draw(st.integers(0, len(ref))), draw(st.text(EITHER_CASE, max_size=9))
        alt = draw(st.sampled_from([ref[:keep] + free, free + ref[keep:], free])) or draw(st.sampled_from(EITHER_CASE))
        if alt.upper() != ref.upper():
            written[alt.upper()] = alt
    return list(written.values()) or ["T" if ref.upper() != "T" else "A"]


@st.composite
def variant_files(draw):
    """A window and its records in order: (index in the window, ref, alts, frequencies)."""
    window, records = draw(flank), []
    for _ in range(draw(st.integers(1, 4))):
        ref = draw(st.text(EITHER_CASE, min_size=1, max_size=9))
        alts = draw(alternates(ref))
        known = draw(st.booleans())
        records.append((len(window), ref, alts, [draw(frequency) for _ in alts] if known else []))
        window += ref + draw(flank)
    return window, records


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def encode(tokenizer: Tokenizer, text: str):
    return tokenizer.encode(segment("DNA", text + "<EOS>"), on_unknown="warn")


def placed(window: str, records: list) -> str:
    return write_in_place(window, [from_vcf(*record) for record in records])


def haplotype(window: str, records: list, chosen: list[int]) -> str:
    """The sequence in which each record's reference allele gives way to the chosen one, without any notation."""
    end, pieces = 0, []
    for (start, ref, alts, _), number in zip(records, chosen, strict=True):
        pieces += [window[end:start], [ref, *alts][number]]
        end = start + len(ref)
    return "".join([*pieces, window[end:]]).upper()


@settings(max_examples=150, deadline=None)
@given(file=variant_files())
def test_fuzzed_records_hold_no_unknown_and_come_back(tokenizer, file):
    window, records = file
    text, bare = placed(window, records), placed(window, [record[:3] for record in records])
    encoding = encode(tokenizer, text)
    assert tokenizer.unk_id not in encoding.ids_L
    assert tokenizer.decode(encoding.ids_L) == bare + "<EOS>"
    carried = np.array([value for *_, values in records for value in values], dtype=np.float32)
    assert encoding.values_L[encoding.has_value_L].tolist() == carried.tolist()


@settings(max_examples=150, deadline=None)
@given(file=variant_files(), data=st.data())
def test_fuzzed_records_give_back_every_haplotype(tokenizer, file, data):
    window, records = file
    text = placed(window, records)
    chosen = [data.draw(st.integers(0, len(alts))) for _, _, alts, _ in records]
    assert reference(text) == window.upper()
    assert alternate(text) == haplotype(window, records, [1] * len(records))
    assert choose(text, chosen) == haplotype(window, records, chosen)
    assert tokenizer.unk_id not in encode(tokenizer, choose(text, chosen)).ids_L


@settings(max_examples=50, deadline=None)
@given(file=variant_files())
def test_every_base_of_a_plain_window_is_one_token(tokenizer, file):
    window, _ = file
    encoding = encode(tokenizer, window)
    assert [tokenizer.token(token) for token in encoding.ids_L[:-1]] == list(window.upper())


@pytest.mark.parametrize("snv", SNVS)
@settings(max_examples=10, deadline=None)
@given(left=flank, right=flank, frequency=frequency)
def test_a_substitution_never_moves_a_token_and_carries_its_frequency(tokenizer, snv, left, right, frequency):
    ref, alt = snv[1], snv[3]
    text = placed(left + ref + right, [(len(left), ref, [alt], [frequency])])
    template = Template("<PATHOGENICITY><SENTINEL_ID_0> {window:dna}")
    whole, *plain = (
        tokenizer.encode(template.render({"window": window}, target=False))
        for window in (text, reference(text), alternate(text))
    )
    assert {len(whole)} == {len(encoding) for encoding in plain}
    assert not any(encoding.has_value_L.any() for encoding in plain)
    (site,) = np.flatnonzero(whole.has_value_L)
    assert tokenizer.token(whole.ids_L[site]) == snv
    assert whole.values_L[site] == np.float32(frequency)
    assert [tokenizer.token(encoding.ids_L[site]) for encoding in plain] == [ref, alt]
    for encoding in plain:
        assert np.flatnonzero(encoding.ids_L != whole.ids_L).tolist() == [site]
