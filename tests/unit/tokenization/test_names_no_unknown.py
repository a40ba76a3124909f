"""Names of molecules in prompts: no unknown tokens, and each name can be decoded from the ids."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.sources import chemicals
from mammal.tokenization import Template, Tokenizer
from mammal.tokenization.prompt import find_tags
from mammal.tokenization.smiles_alphabet import PRINTABLE

TEMPLATE = Template("{name:iupac@4096}")
SAMPLE = 10_000


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def read_back(tokenizer: Tokenizer, names: list[str]) -> list[str]:
    """Names as the ids of their prompts spell them; an unknown character anywhere is an error."""
    prompts = [TEMPLATE.render({"name": name}, target=False) for name in names]
    decoded = [tokenizer.decode(encoding.ids_L) for encoding in tokenizer.encode_batch(prompts, on_unknown="raise")]
    return [text.partition("<SEQUENCE_NATURAL_START>")[2].partition("<SEQUENCE_NATURAL_END>")[0] for text in decoded]


def test_names_of_the_chemicals_package_come_back(tokenizer):
    pytest.importorskip("chemicals")
    table = chemicals.load(DataConfig(source="chemicals", name="molecules"), None)
    names = random.Random(0).sample([name for name in table["iupac"] if name], SAMPLE)
    assert read_back(tokenizer, names) == names


@settings(max_examples=200, deadline=None)
@given(name=st.text(st.sampled_from(PRINTABLE), min_size=1))
def test_any_printable_name_comes_back(tokenizer, name):
    assume(not any(find_tags(name)) and name.strip() == name)
    assert read_back(tokenizer, [name]) == [name]
