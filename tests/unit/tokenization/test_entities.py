"""The table of entities."""

import pytest

from mammal.tokenization import ENTITIES, Tokenizer
from mammal.tokenization.entities import entity
from mammal.tokenization.errors import PromptError
from mammal.tokenization.special_tokens import PUBLISHED


def test_unknown_entity_names_the_nearest():
    with pytest.raises(PromptError, match=r"unknown entity 'protien' \(did you mean .*protein"):
        entity("protien")


def test_every_entity_is_written_with_tags_and_alphabets_that_exist():
    tokenizer = Tokenizer.load(None)
    later = {"GENE", "CELL_ATTRIBUTES"}  # published alphabets that a user adds
    for each in ENTITIES.values():
        assert each == entity(each.name)
        assert each.alphabet in {*tokenizer.alphabets, *later}
        assert not set(each.tags) - tokenizer.specials.keys()


def test_published_entities_use_published_tags_only():
    own = {"peptide", "dna", "text"}
    assert {each.name for each in ENTITIES.values() if set(each.tags) - set(PUBLISHED)} == own
