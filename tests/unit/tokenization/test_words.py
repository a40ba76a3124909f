"""Quoted words of a template, in one wording or several."""

import pytest

from mammal.tokenization import Template, Tokenizer
from mammal.tokenization.errors import PromptError

ASKED = Template('<INSTRUCTION> "What is this?" | "Name it." {smiles:smiles} "Be brief."', "{y:text}")


def said(prompt):
    return [part.split("<")[0] for part in prompt.split("<SEQUENCE_NATURAL_START>")[1:]]


def test_words_are_written_as_a_text_is():
    by_words = Template('<INSTRUCTION> "What is this?" {smiles:smiles}').render({"smiles": "C"}, target=False)
    by_slot = Template("<INSTRUCTION> {q:text} {smiles:smiles}").render(
        {"q": "What is this?", "smiles": "C"}, target=False
    )
    assert by_words.input == by_slot.input
    assert [slot.column for slot in by_words.slots] == ["smiles"]


def test_the_first_wording_is_said_unless_another_is_asked_for():
    row = {"smiles": "C"}
    assert said(ASKED.render(row, target=False).input) == ["What is this?", "C", "Be brief."]
    assert said(ASKED.render(row, target=False, wordings=[1, 0]).input) == ["Name it.", "C", "Be brief."]
    assert said(ASKED.render(row, target=False).input) == ["What is this?", "C", "Be brief."]
    assert [words.wordings for words in ASKED.words] == [("What is this?", "Name it."), ("Be brief.",)]
    assert ASKED.columns() == ["smiles", "y"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ('"Is {x} toxic?" {s:smiles}', r"character 1: a slot can't be inside quotes"),
        ('{s:smiles} "ends <EOS>"', r"character 12: the tag <EOS> is inside quotes"),
        ('"open {s:smiles}', "quotes that are not closed"),
        ('"" {s:smiles}', "quotes without words"),
        ('"a" | " " {s:smiles}', r"character 7: quotes without words"),
        ('"a" | {s:smiles}', "the text '|' is neither a tag nor a slot"),
        ("Describe {s:smiles}", "the text 'Describe' is neither a tag nor a slot .*\"words\" in quotes"),
    ],
)
def test_mistakes(template, message):
    with pytest.raises(PromptError, match=message):
        Template(template).lint(tokenizer=Tokenizer.load(None))


def test_a_target_asks_for_columns_not_for_fixed_words():
    with pytest.raises(PromptError, match='"The name is" is quoted text, not a target'):
        Template("{s:smiles}", '"The name is" {y:text}').lint()
