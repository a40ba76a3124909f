"""Columns of a template that hold protein residues, and conversion of residues in lower case."""

from __future__ import annotations

import re

from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.template import Template
from mammal.tokenization.template_syntax import TemplateSlot

_SEGMENT = re.compile(r"<@TOKENIZER-TYPE=(\w+)")
_RESIDUES = re.compile(r"[A-IK-Za-ik-z:\s]*[a-ik-z][A-IK-Za-ik-z:\s]*")
"""Letters of the alphabet AA (the 20 amino acids, B, O, U, X, Z) in either case; `:` separates chains."""


def protein_columns(template: Template) -> list[str]:
    """Returns the columns of a template that hold residues, by its entities and alphabets."""
    alphabets = {
        slot.column: ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
        for slot in template.slots
        if slot.kind in ("entity", "alphabet")
    }
    if template.raw:
        alphabets |= {slot.column: _alphabet_at(template, slot) for slot in template.slots if slot.kind == "text"}
    return [column for column, alphabet in alphabets.items() if alphabet == "AA"]


def _alphabet_at(template: Template, slot: TemplateSlot) -> str:
    """The alphabet of the segment of a raw template that contains a slot."""
    text = (template.input if slot.part == "input" else template.target) or ""
    return next(iter(_SEGMENT.findall(text.partition(f"{{{slot.column}}}")[0])[::-1]), "")


def upper_case_residues(text: str) -> str:
    """Returns the text in upper case if it consists only of residues, else unchanged.

    Lower case marks regions of low complexity (soft masking), like repeats in genomes. The DNA alphabet reads it as
    upper case. The published alphabet of residues does not, and its ids must not change.
    """
    return text.upper() if _RESIDUES.fullmatch(text) else text
