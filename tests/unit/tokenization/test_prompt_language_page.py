"""docs/prompt-language.md: its examples run, and its tables say what the code says."""

import doctest
import re
from pathlib import Path

import pytest

from mammal.tokenization import ENTITIES, Tokenizer
from mammal.tokenization.build_vocabulary import BLOCKS
from mammal.tokenization.template_syntax import VALUE_SLOTS

PAGE = Path(__file__).parents[3] / "docs" / "prompt-language.md"


@pytest.fixture(scope="module")
def text():
    return PAGE.read_text(encoding="utf-8")


def table_rows(text, heading):
    section = text.split(heading)[1].split("\n#")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")][
        1:
    ]


def test_every_example_runs():
    outcome = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 20
    assert outcome.failed == 0


def test_every_entity_is_listed_as_it_is(text):
    rows = {row[0].strip("`"): row[1:] for row in table_rows(text, "### Entities")}
    assert list(rows) == list(ENTITIES), "docs/prompt-language.md, 'Entities', has a row for each, in their order"
    for name, (alphabet, tags, length) in rows.items():
        entity = ENTITIES[name]
        ways = " or ".join(ENTITIES[way].alphabet for way in entity.ways)
        assert (alphabet, int(length)) == (ways, entity.max_len)
        own = tuple(tag for tag in re.findall("`(<[^`]*>)`", tags) if tag != "<MOLECULAR_ENTITY>")
        assert entity.tags == (own if "no `<MOLECULAR_ENTITY>`" in tags else ("<MOLECULAR_ENTITY>", *own))


def test_every_slot_is_listed(text):
    listed = {match for row in table_rows(text, "## Templates") for match in re.findall(r"{\w+:(\w+)", row[0])}
    missing = (set(VALUE_SLOTS) | {"entity"}) - listed
    assert not missing, "docs/prompt-language.md, 'Templates', needs a row for these slots"


def test_the_id_ranges_are_those_of_the_vocabulary(text):
    tokenizer = Tokenizer.load(None)
    ranges = {row[0]: tuple(map(int, row[1].split("–"))) for row in table_rows(text, "## Alphabets of our own")}
    assert ranges.pop("special tokens") == (0, max(tokenizer.specials.values()))
    assert ranges.pop("free") == (tokenizer.vocab_rows, [*BLOCKS.values()][-1][1])
    assert ranges == {name: tuple(tokenizer.alphabet_ids(name)[[0, -1]].tolist()) for name in tokenizer.alphabets}
    assert f"{tokenizer.vocab_rows:,}" in text
