"""Hidden stretches in a sequence: how users mark them, how prompts show them, how answers fill them.

    heavy                         hidden     what the model reads
    EVQLVESGG____SLRLSCAAS                   EVQLVESGG<SENTINEL_ID_0>SLRLSCAAS
    EVQLVESGGGLVQSLRLSCAAS        10-13      the same
    CC(=O)_c1ccccc1C(=O)O                    CC(=O)<SENTINEL_ID_0>c1ccccc1C(=O)O

A run of marks is one stretch. No alphabet of sequences has the mark: in SMILES `*` is an atom and brackets hold one, in
DNA they hold a variant, and `-` and `.` are bonds and gaps. Places count characters from 1, ends included; several
stretches stand apart by `;`. A prompt shows each stretch as the next sentinel that the template leaves free, as span
denoising does (Raffel et al. 2020, T5), and says nothing of its length.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

from mammal.tasks.errors import DataError
from mammal.tokenization.prompt import Prompt, Slot, find_tags, tag

MARK = "_"
ALPHABETS = frozenset({"AA", "DNA", "SMILES"})
"""Alphabets whose texts may hold marks; in names and prose `_` is a character like others."""

SENTINEL = "<SENTINEL_ID_"
SENTINELS = 200
"""How many there are, and so how many stretches one prompt can hide."""

_RUN = re.compile(f"{MARK}+")
_PLACES = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")

Span = tuple[int, int]


def stretches(text: str) -> list[Span]:
    """Characters [start, end) of each run of marks."""
    return [found.span() for found in _RUN.finditer(text)]


def places(hidden: str, length: int, column: str) -> list[Span]:
    """Characters [start, end) that a cell such as "97-110" or "26-33; 51-58; 97" names, in order.

    Args:
        length: of the text that they count in.
        column: that holds the cell, for messages.

    Raises:
        DataError: it can't be read, or names none, or lies outside the text, or its stretches overlap or touch.
    """
    spans = sorted(_place(part.strip(), column) for part in hidden.split(";") if part.strip())
    if not spans:
        raise DataError(f"{hidden!r} names no place", where=f"column {column}", hint=_HOW)
    for start, end in spans:
        if not 0 <= start < end <= length:
            raise DataError(f"{start + 1}-{end} is no stretch of {length} characters", where=f"column {column}")
    for (first, end), (start, last) in pairwise(spans):
        if start <= end:
            what = f"{first + 1}-{end} and {start + 1}-{last} overlap or touch"
            raise DataError(what, where=f"column {column}", hint="write them as one stretch")
    return spans


def marked(text: str, spans: Sequence[Span], counts: Sequence[int] | None = None) -> str:
    """The text with marks in place of stretches.

    Args:
        counts: marks of each; default: one for each character.
    """
    counts = [end - start for start, end in spans] if counts is None else counts
    for (start, end), count in reversed(list(zip(spans, counts, strict=True))):
        text = text[:start] + MARK * count + text[end:]
    return text


def hide(prompt: Prompt, columns: Collection[str]) -> Prompt:
    """The prompt with a sentinel in place of each run of marks in these columns of its input.

    Sentinels are taken in order, from the first that the input does not use.

    Raises:
        DataError: there are more stretches than sentinels.
    """
    slots = [slot for slot in prompt.slots if slot.part == "input" and slot.column in columns]
    found = [
        (slot.start + start, slot.start + end)
        for slot in slots
        for start, end in stretches(prompt.input[slot.start : slot.end])
    ]
    if not found:
        return prompt
    used = {given.text for given in find_tags(prompt.input)}
    free = [name for name in (tag(f"SENTINEL_ID_{i}") for i in range(SENTINELS)) if name not in used]
    if len(found) > len(free):
        raise DataError(f"{len(found)} stretches are hidden, and there are {len(free)} sentinels to show them by")
    text, moved = prompt.input, prompt.slots
    for (start, end), sentinel in reversed(list(zip(found, free, strict=False))):
        text = text[:start] + sentinel + text[end:]
        moved = tuple(_moved(slot, start, len(sentinel) - (end - start)) for slot in moved)
    return replace(prompt, input=text, slots=moved)


def sentinels_in(prompt: Prompt, columns: Collection[str]) -> dict[str, list[str]]:
    """The sentinels that stand in the values of these columns, in order: what `hide` wrote."""
    found: dict[str, list[str]] = {}
    for slot in prompt.slots:
        if slot.part == "input" and slot.column in columns:
            tags = [given.text for given in find_tags(prompt.input[slot.start : slot.end])]
            found.setdefault(slot.column, []).extend(name for name in tags if name.startswith(SENTINEL))
    return found


def filled(text: str, fills: Sequence[str]) -> str:
    """The text with its runs of marks filled, in order; a run without a fill loses its marks."""
    left = iter(fills)
    return _RUN.sub(lambda _: next(left, ""), text)


def _moved(slot: Slot, start: int, longer: int) -> Slot:
    """The slot after a stretch that begins at `start` became so many characters longer."""
    if slot.part != "input" or slot.end <= start:
        return slot
    return replace(slot, start=slot.start + (longer if slot.start > start else 0), end=slot.end + longer)


def _place(part: str, column: str) -> Span:
    found = _PLACES.fullmatch(part)
    if found is None:
        raise DataError(f"{part!r} is no stretch", where=f"column {column}", hint=_HOW)
    first = int(found[1])
    return first - 1, int(found[2] or first)


_HOW = 'places count characters from 1, ends included: "97-110; 26-33; 40"'
