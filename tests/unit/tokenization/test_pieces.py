"""Text is split exactly as the `tokenizers` library splits it, with either engine."""

from __future__ import annotations

import random

import pytest
from tokenizers import Regex, pre_tokenizers

from mammal.tokenization.alphabet_file import PieceSplit
from mammal.tokenization.pieces import splitter

PATTERNS = [
    r"<.*?>|\S",
    r"<.*?>|\[.*?\]|\S",
    r"\[[ACGT]/[ACGT]\]|.",
    r"\[[^\[\]]+\]|Br|Cl|%[0-9][0-9]|.",
    r"%[0-9]{2}|\([A-Z]{1,3}\)",
    r"[A-Za-z]+|.",
    r"(?:ab|a)+|[^a-c]",
    r"[a-c]+?b|\\S|\.",
    # what only the library reads, or reads otherwise than Python does
    r"\s+|\d",
    r"\w+",
    r"[\s,]+",
    r"(a)(b)",
    r"^a|b$",
    r"a(?=b)|[[:alpha:]]",
    r"[a-z&&[^b]]+",
    r"a*",
]
ALPHABET = "aabbc ABCGT01%[]<>/().,\\S\t\n\x1c\x85é\u2003"


@pytest.mark.parametrize("keeps_rest", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_pieces_and_spans_are_those_of_the_library(pattern, keeps_rest):
    behavior, invert = ("isolated", False) if keeps_rest else ("removed", True)
    library = pre_tokenizers.Split(Regex(pattern), behavior=behavior, invert=invert)
    ours = splitter(PieceSplit(pattern, keeps_rest))
    draw = random.Random(pattern)
    for _ in range(400):
        text = "".join(draw.choices(ALPHABET, k=draw.randint(1, 20)))
        expected = library.pre_tokenize_str(text)
        assert ours.pieces(text) == [piece for piece, _ in expected], text
        assert ours.spans(text) == [span for _, span in expected], text


def test_single_characters_are_recognised_only_where_that_is_certain():
    ours = splitter(PieceSplit(r"<.*?>|\[.*?\]|\S", keeps_rest=False))
    assert ours.gives_single_characters("AC DE")
    assert not any(map(ours.gives_single_characters, ["A<C", "A[C", "Aé"]))
    assert not splitter(PieceSplit(r"[A-Z]+|\S", keeps_rest=False)).gives_single_characters("AC")


def test_without_a_cut_text_stays_whole():
    assert splitter(None).pieces("a b") == ["a b"]
    assert splitter(None).spans("a b") == [(0, 3)]
