"""Random text in each alphabet: no unknown tokens, nothing lost, offsets that cover the whole text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammal.tokenization import Tokenizer
from mammal.tokenization.build_vocabulary import BASES, RESIDUES, SNVS
from mammal.tokenization.errors import UnknownTokenError
from mammal.tokenization.prompt import segment
from mammal.tokenization.smiles_alphabet import PRINTABLE

ATOMS = st.sampled_from(
    ["C", "N", "Cl", "Br", "c", "n", "[nH]", "[C@@H]", "[O-]", "[Na+]", "[13CH3]", "[Xx]", "[238U+4:7]"]
)
BONDS = st.sampled_from(["", "=", "#", "-", ":", "/", "\\", ".", "(", ")", "1", "%12", "%(100)", ">>", "~"])
MORPHEMES = [
    "methyl",
    "chloro",
    "phenyl",
    "oxan",
    "yl",
    "-2-",
    "(2R)",
    ",",
    " acid",
    "$l^{4}-",
    "[1,2-b]",
    "N",
    "'",
    "xyz",
]
VARIANTS = st.sampled_from([*SNVS, "[-/AT]", "[CTT/-]", "[A/C/G]", "[R/A]", "[A/A]"])

TEXTS = {
    "SMILES": st.lists(st.tuples(ATOMS, BONDS).map("".join), min_size=1, max_size=30).map("".join),
    "SMILES, any printable text": st.text(st.sampled_from([c for c in PRINTABLE if c not in "<>"]), min_size=1),
    "IUPAC": st.lists(st.sampled_from(MORPHEMES), min_size=1, max_size=20).map("".join),
    "IUPAC, any printable text": st.text(st.sampled_from([c for c in PRINTABLE if c not in "<>"]), min_size=1),
    "AA": st.text(st.sampled_from(RESIDUES), min_size=1, max_size=60),
    "DNA": st.lists(st.sampled_from(BASES) | VARIANTS, min_size=1, max_size=60).map("".join),
    "DNA, soft-masked": st.text(st.sampled_from(BASES + BASES.lower()), min_size=1, max_size=60),
}


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(None)


@pytest.mark.parametrize("kind", TEXTS)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_text_comes_back_whole(tokenizer, kind, data):
    text = data.draw(TEXTS[kind])
    encoding = tokenizer.encode(segment(kind.split(",")[0], text + "<EOS>"), on_unknown="raise")
    expected = text.upper() if kind.startswith("DNA") else text
    assert tokenizer.decode(encoding.ids_L) == expected + "<EOS>"


@pytest.mark.parametrize("kind", TEXTS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_offsets_cover_the_text_without_a_gap(tokenizer, kind, data):
    text = data.draw(TEXTS[kind])
    prompt = segment(kind.split(",")[0], text + "<EOS>")
    encoding = tokenizer.encode(prompt)
    start = prompt.index(">") + 1
    assert "".join(prompt[a:b] for a, b in encoding.offsets_L2.tolist()) == prompt[start:]
    tokens = [tokenizer.token(id) for id in encoding.ids_L]
    assert [b - a for a, b in encoding.offsets_L2.tolist()] == [len(token) for token in tokens]


@given(texts=st.lists(st.one_of(*TEXTS.values()), max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_batch_gives_what_single_calls_give(tokenizer, texts):
    prompts = [segment("SMILES", text + "<EOS>") for text in texts]
    alone = [tokenizer.encode(prompt).ids_L.tolist() for prompt in prompts]
    assert [encoding.ids_L.tolist() for encoding in tokenizer.encode_batch(prompts)] == alone


@pytest.mark.parametrize(
    ("alphabet", "text", "character"),
    [
        ("AA", "MKJL", "J"),
        ("AA", "MK-L", "-"),
        ("DNA", "ACXT", "X"),
        ("SMILES", "CÇC", "Ç"),
        ("IUPAC", "a-α-pinene", "α"),
    ],
)
def test_what_no_alphabet_holds_is_named_with_its_place(tokenizer, alphabet, text, character):
    prompt = segment(alphabet, text + "<EOS>")
    with pytest.raises(UnknownTokenError, match=character) as caught:
        tokenizer.encode(prompt)
    assert "character " + str(prompt.rindex(character) + 1) in str(caught.value)
