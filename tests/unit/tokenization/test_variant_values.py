"""Numbers in DNA variants belong to tokens; the text is read as if they were not there."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammal.tokenization import Tokenizer
from mammal.tokenization.errors import PromptError
from mammal.tokenization.prompt import segment

bases = st.text("ACGT", min_size=1, max_size=4)
frequencies = st.floats(0, 1, width=32)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


def encode(tokenizer: Tokenizer, text: str):
    return tokenizer.encode(segment("DNA", text + "<EOS>"))


def carried(tokenizer: Tokenizer, text: str) -> list[tuple[int, str, float]]:
    """(position, token, value) of every token with a value."""
    encoding = encode(tokenizer, text)
    return [
        (at, tokenizer.token(int(encoding.ids_L[at])), round(float(encoding.values_L[at]), 6))
        for at in range(len(encoding))
        if encoding.has_value_L[at]
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AC[A/G:0.23]T", [(2, "[A/G]", 0.23)]),
        ("ac[a/g:0.23]t", [(2, "[A/G]", 0.23)]),
        ("[-/AT:0.1]", [(2, "/", 0.1)]),
        ("[A/C/G:0.1,0.2]", [(2, "/", 0.1), (4, "/", 0.2)]),
        ("[A/G:0][C/T][A/C:1]", [(0, "[A/G]", 0.0), (2, "[A/C]", 1.0)]),
        ("<MASK>A[C/-:.5]<MASK>[A/G:0.5]", [(4, "/", 0.5), (8, "[A/G]", 0.5)]),
    ],
)
def test_values_sit_on_the_token_of_their_allele(tokenizer, text, expected):
    assert carried(tokenizer, text) == expected


sites_of_a_window = st.lists(
    st.tuples(bases, st.lists(bases, min_size=1, max_size=3), st.booleans()), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(sites=sites_of_a_window, data=st.data())
def test_ids_are_those_of_the_text_without_numbers(tokenizer, sites, data):
    plain, written, values = "", "", []
    for reference, alternates, has_values in sites:
        alleles = "/".join([reference, *alternates])
        numbers = [data.draw(frequencies) for _ in alternates] if has_values else []
        plain += f"{reference}[{alleles}]"
        written += f"{reference}[{alleles}{':' if numbers else ''}{','.join(map(str, numbers))}]"
        values += numbers
    encoding, bare = encode(tokenizer, written), encode(tokenizer, plain)
    assert encoding.ids_L.tolist() == bare.ids_L.tolist()
    assert encoding.values_L[encoding.has_value_L].tolist() == values
    assert not bare.has_value_L.any()


def test_offsets_count_the_numbers(tokenizer):
    prompt = segment("DNA", "AC[A/G:0.23]T[-/A:1]<EOS>")
    read = [prompt[start:end] for start, end in tokenizer.encode(prompt).offsets_L2]
    assert read == ["A", "C", "[A/G:0.23]", "T", "[", "-", "/", "A", "]", "<EOS>"]


@pytest.mark.parametrize("text", ["[A/G:0.1,0.2]", "[A/C/G:0.1]", "[A/G:x]", "[A/G:nan]", "[A/G:]"])
def test_each_alternate_allele_has_one_finite_number(tokenizer, text):
    with pytest.raises(PromptError) as error:
        encode(tokenizer, "AC" + text)
    assert error.value.where.startswith("prompt, character 2")


def test_truncation_takes_values_with_their_tokens(tokenizer):
    encoding = tokenizer.encode(segment("DNA", "A[A/G:0.1]C[A/T:0.2]", 2) + segment("DNA", "[C/G:0.3]<EOS>"))
    assert tokenizer.decode(encoding.ids_L) == "A[A/G][C/G]<EOS>"
    assert encoding.values_L.round(6).tolist() == pytest.approx([0, 0.1, 0.3, 0])
