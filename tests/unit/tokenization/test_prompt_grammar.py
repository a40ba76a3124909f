"""What the grammar accepts, what it refuses, and that data is never read as syntax."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammal.tokenization.errors import PromptError
from mammal.tokenization.prompt import Prompt, Segment, Slot, check_value, find_tags, parse_prompt, segment, tag

AA = "<@TOKENIZER-TYPE=AA>"

alphabets = st.sampled_from(["AA", "SMILES", "DNA"])
texts = st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]))
lengths = st.none() | st.integers(0, 5000)


@given(st.lists(st.tuples(alphabets, texts, lengths, st.sampled_from([None, "RIGHT", "RAND"])), min_size=1))
def test_what_segment_writes_parse_reads_back(written):
    prompt = "".join(segment(*parts) for parts in written)
    read = parse_prompt(prompt)
    assert [(part.alphabet, part.text, part.max_len) for part in read] == [parts[:3] for parts in written]
    assert [part.trunc for part in read] == [trunc if max_len is not None else None for _, _, max_len, trunc in written]
    assert all(prompt[part.start :].startswith(part.text) for part in read)


@pytest.mark.parametrize(
    ("head", "max_len", "trunc"),
    [
        ("AA@MAX-LEN= 3 ", 3, None),
        ("AA@MAX-LEN=1_0", 10, None),
        ("AA@MAX-LEN=3@MAX-LEN=5", 5, None),
        ("AA@MAX-LEN=-1@MAX-LEN=5", 5, None),
        ("AA@TRUNC-MODE=RAND@MAX-LEN=0", 0, "RAND"),
        ("AA@TRUNC-MODE=RAND@TRUNC-MODE=RIGHT", None, "RIGHT"),
    ],
)
def test_attributes_are_read_as_published(head, max_len, trunc):
    assert parse_prompt(f"<@TOKENIZER-TYPE={head}>ACE")[0][3:] == (max_len, trunc)


@pytest.mark.parametrize(
    ("prompt", "place", "says"),
    [
        ("", 1, "no segment tag"),
        ("ACDE<EOS>", 1, "no segment tag"),
        ("<@tokenizer-type=AA>AC", 1, "no segment tag"),
        ("<@TOKENIZER-TYPE=AA", 1, "not closed"),
        (f"{AA}AC<@TOKENIZER-TYPE=SMILESCC<EOS>", 23, "not closed"),
        (f"{AA}AC<@TOKENIZER-TYPE=AA@MAX-LEN=2.5>C", 23, "not a whole number"),
        (f"{AA}AC<@TOKENIZER-TYPE=AA@MAX-LEN=-2>C", 23, "negative"),
        (f"{AA}AC<@TOKENIZER-TYPE=AA@TRUNC-MODE=LEFT>C", 23, "RIGHT or RAND"),
        (f"{AA}AC<@TOKENIZER-TYPE=AA@MAXLEN=3>C", 23, "did you mean MAX-LEN"),
        (f"{AA}AC<@TOKENIZER-TYPE=SCALARS_MASKED>1", 23, "SCALARS_LITERALS"),
        (f"{AA}AC<@TOKENIZER-TYPE=VECTORS_LITERALS>1", 23, "EXTERNAL_EMBEDDINGS"),
    ],
)
def test_a_broken_prompt_is_refused_with_its_place(prompt, place, says):
    with pytest.raises(PromptError, match=says) as error:
        parse_prompt(prompt)
    assert error.value.where == f"prompt, character {place}"


def test_text_before_the_first_tag_belongs_to_no_segment():
    assert parse_prompt(f"junk{AA}AC") == [Segment("AA", "AC", start=24)]


@pytest.mark.parametrize("value", ["", "CCO", "CC>>CO", "a<b", "3<4>5".replace("<", "≤"), "C<", "<"])
def test_plain_values_may_hold_single_brackets(value):
    assert check_value(value) == value


DATIVE = ["[Pt]<-[NH3]", "[NH3]->[Pt]<-[NH3]", "[Fe]<-NCCN->[Fe]", "C1->[Fe](<-N)(<-[NH3])Cl.CC>>O"]


@pytest.mark.parametrize("value", DATIVE)
def test_arrows_of_dative_bonds_are_no_tags(value):
    assert check_value(value) == value and not find_tags(value)
    assert find_tags(f"{value}<->{value}<MASK>")[0].text == "<->", "the minus sign of digits stays a tag"


@pytest.mark.parametrize(
    "value", ["CC<MASK>", "<x>", "<>", "a<b>c", "N<->C", "C<-N<0>", "C<@TOKENIZER-TYPE=AA", "C<@TOKENIZER-TYPE=AA>A"]
)
def test_values_that_hold_syntax_are_refused(value):
    with pytest.raises(PromptError, match=r"character \d+ of the smiles"):
        check_value(value, name="smiles")


def test_tags_are_found_with_their_places():
    assert find_tags("A<MASK>C<<EOS>>") == [("<MASK>", 1), ("<EOS>", 9)]
    assert tag("BBBP") == "<BBBP>"


def test_spans_lead_back_to_the_users_value():
    prompt = Prompt("<A>CCO<B>", target="CCO", slots=(Slot("smiles", 3, 6), Slot("answer", 0, 3, "target")))
    assert prompt.value_span(4, 6) == ("smiles", 1, 3)
    assert prompt.value_span(0, 3) is None
    assert prompt.value_span(2, 4) is None
    assert prompt.value_span(0, 2, part="target") == ("answer", 0, 2)
