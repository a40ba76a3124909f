"""Text: any Unicode is encoded and decoded, data is never syntax, and the alphabet grows without moving an id."""

import pickle

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mammal.tokenization import Template, Tokenizer
from mammal.tokenization.build_vocabulary import BLOCKS, FOLDER, shipped_merges
from mammal.tokenization.byte_level import CHARACTERS, byte_characters, to_bytes
from mammal.tokenization.errors import PromptError, TokenizerError
from mammal.tokenization.prompt import find_tags
from mammal.tokenization.text_alphabet import learn, tokens

TOKENIZER = Tokenizer.load(None)
TEMPLATE = Template("<INSTRUCTION> {note:text} {smiles:smiles}", "<SENTINEL_ID_0> {answer:text@100000}")
FIRST = BLOCKS["TEXT"][0]
ANY = st.text(min_size=1).filter(lambda text: not find_tags(text) and "<@TOKENIZER-TYPE=" not in text)


def encoded(text):
    return TOKENIZER.encode(f"<@TOKENIZER-TYPE=TEXT>{text}<EOS>")


@settings(deadline=None, max_examples=200)
@given(ANY)
@example("two\n\nlines, a tab\t and  blanks ")
@example("α-amanitin — 5 µM 😀👩‍🔬")
@example("pKa < 3 and > 1")
@example("A --> B <- C")
@example("<")
@example("a <")
@example("\x00\x1f\u2028")
def test_any_text_comes_back_and_is_never_unknown(text):
    encoding = encoded(text)
    assert TOKENIZER.decode(encoding.ids_L) == text + "<EOS>"
    assert (encoding.ids_L[:-1] >= FIRST).all()
    prompt = TEMPLATE.render({"note": text, "smiles": "CCO", "answer": text}, target=True)
    assert TOKENIZER.decode(TOKENIZER.encode(prompt.target).ids_L, skip_special=True) == text


@settings(deadline=None, max_examples=100)
@given(ANY)
def test_every_token_knows_the_characters_it_was_read_from(text):
    encoding = encoded(text)
    start = len("<@TOKENIZER-TYPE=TEXT>")
    spans = [(first - start, end - start) for first, end in encoding.offsets_L2[:-1].tolist()]
    assert {place for first, end in spans for place in range(first, end)} == set(range(len(text)))
    assert spans == sorted(spans)


@pytest.mark.parametrize("text", ["<EOS>", "italic <i>E. coli</i>", "a<@TOKENIZER-TYPE=AA>b", "x <-> y", "<MASK"])
def test_tags_in_data_are_refused_and_half_tags_are_text(text):
    values = {"note": text, "smiles": "C", "answer": "a"}
    if text == "<MASK":
        assert TOKENIZER.mask_id not in TOKENIZER.encode(TEMPLATE.render(values, target=False)).ids_L
    else:
        with pytest.raises(PromptError, match="holds the tag"):
            TEMPLATE.render(values, target=False)


def test_no_special_token_may_look_like_an_inequality():
    with pytest.raises(TokenizerError, match="is an inequality sign"):
        Tokenizer.load(None).add_special_tokens(["< 3>"])


def test_the_id_of_a_byte_is_the_first_plus_the_byte():
    assert [TOKENIZER.token_bytes(FIRST + byte) for byte in range(256)] == [bytes([byte]) for byte in range(256)]
    assert TOKENIZER.token_bytes(TOKENIZER.eos_id) == b"<EOS>"
    assert TOKENIZER.token(FIRST + 0xE2) == "\\xe2"
    assert TOKENIZER.decode([FIRST + 0xE2, FIRST + 0x82, FIRST + 0xAC, FIRST + 0xFF]) == "€\ufffd"
    assert TOKENIZER.token_id(" molecule", "TEXT") == encoded("a molecule").ids_L[1]
    with pytest.raises(TokenizerError, match="no token"):
        TOKENIZER.token_bytes(499)


def test_the_library_reads_the_file_alike():
    library = tokenizers.Tokenizer.from_file(str(FOLDER / "text_tokenizer.json"))
    for text in (
        "The molecule is  a member of phenols.\n",
        "β-D-glucoside 5-->4 é 😀",
        "NAD(+) 1,2-bis(2-hydroxyethyl)",
    ):
        assert library.encode(text).ids == encoded(text).ids_L[:-1].tolist()
        assert library.decode(library.encode(text).ids) == text


def test_bytes_and_their_spelling():
    assert len(set(CHARACTERS)) == 256
    assert to_bytes(byte_characters("Zeile\n ä")) == "Zeile\n ä".encode()
    assert byte_characters(" a") == "Ġa"


def test_learning_goes_on_from_known_rules():
    corpus = ["the kinase of the ribosome"] * 5 + ["a kinase"] * 5
    first = learn(corpus, 256 + 8)
    longer = learn(corpus, 256 + 12, known=first)
    assert longer == learn(corpus, 256 + 12)
    assert longer[: len(first)] == first
    assert len(tokens(longer)) == 256 + 12
    assert learn(["rare words only once"], 400) == []
    assert tokens([("a", "b"), ("ab", "c"), ("b", "c"), ("a", "bc")])[256:] == ["ab", "abc", "bc"]


def test_shipped_rules_stay_where_they_are_when_more_are_learnt():
    known = shipped_merges()
    more = learn(["zebrafish zebrafish zebrafish zebrafish"], len(tokens(known)) + 2, known)
    assert more[: len(known)] == known
    assert tokens(more)[: len(tokens(known))] == tokens(known)


def test_a_tokenizer_with_text_saves_loads_and_pickles(tmp_path):
    TOKENIZER.save(tmp_path)
    text = "<@TOKENIZER-TYPE=TEXT>a 😀 molecule<EOS>"
    for again in (Tokenizer.load(tmp_path), pickle.loads(pickle.dumps(TOKENIZER))):
        assert again.hash == TOKENIZER.hash
        assert again.encode(text).ids_L.tolist() == TOKENIZER.encode(text).ids_L.tolist()


def test_a_tokenizer_without_text_says_so(tmp_path):
    names = [name for name in TOKENIZER.alphabets if name != "TEXT"]
    older = Tokenizer.create({name: FOLDER / f"{name.lower()}_tokenizer.json" for name in names})
    with pytest.raises(
        PromptError, match=r"the alphabet TEXT, which the tokenizer lacks \(models that were trained before TEXT"
    ):
        TEMPLATE.lint(tokenizer=older)
    with pytest.raises(PromptError, match="which the tokenizer lacks"):
        Template('"What is this?" {smiles:smiles}').lint(tokenizer=older)
