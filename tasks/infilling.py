"""Hidden stretches in a sequence: how users mark them, how prompts show them, how answers fill them.

    heavy                          hidden            what the model reads
    EVQLVESGG____SLRLSCAAS                           EVQLVESGG<SENTINEL_ID_0>SLRLSCAAS
    EVQLVESGGGLVQSLRLSCAAS         10-13             the same
    CC(=O)_c1ccccc1C(=O)O                            CC(=O)<SENTINEL_ID_0>c1ccccc1C(=O)O

A run of marks is one stretch. No alphabet of sequences has the mark: in SMILES `*` is an atom and brackets hold one, in
DNA they hold a variant, and `-` and `.` are gaps and bonds. Positions count characters from 1, ends included, several
stretches apart by `;`. A prompt shows each stretch as the next sentinel that the template leaves free, as span
denoising does (Raffel et al. 2020, T5), and says nothing of its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from mammal.tasks.errors import DataError
from mammal.tokenization.prompt import Prompt, Slot, find_tags, parse, tag

MARK = "_"
ALPHABETS = frozenset({"AA", "DNA", "SMILES"})
"""Alphabets whose texts may hold marks; in names and prose `_` is a character like others."""

SENTINELS = 200
"""Sentinels there are: stretches that one prompt can hide."""

_RUN = re.compile(f"{MARK}+")
_STRETCH = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?")


def stretches(text: str) -> list[tuple[int, int]]:
    """Characters [start, end) of each run of marks."""
    return [found.span() for found in _RUN.finditer(text)]


def marked(text: str, hidden: str, column: str) -> str:
    """The text with marks in place of the characters that `hidden` names, such as "97-110" or "26-33; 51-58; 97".

    Raises:
        DataError: it can't be read, lies outside the text, or its stretches overlap or touch, which would be one.
    """
    ends = sorted(_ends(part, hidden, column) for part in hidden.split(";") if part.strip())
    if not ends:
        raise DataError("names no place", where=f"column {column}", hint='write places as "97-110; 26-33"')
    for start, end in ends:
        if not 1 <= start <= end <= len(text):
            raise DataError(f"{start}-{end} is no stretch of {len(text)} characters", where=f"column {column}")
    for (_, end), (start, _) in pairwise(ends):
        if start <= end + 1:
            raise DataError(f"{hidden!r} has stretches that overlap or touch", where=f"column {column}")
    for start, end in ends:
        text = text[: start - 1] + MARK * (end - start + 1) + text[end:]
    return text


def hide(prompt: Prompt) -> Prompt:
    """The prompt with a sentinel in place of each run of marks, from the first that its input does not use.

    Raises:
        DataError: there are more stretches than sentinels.
    """
    found = [
        (slot.start + start, slot.start + end)
        for slot in _maskable(prompt)
        for start, end in stretches(prompt.input[slot.start : slot.end])
    ]
    if not found:
        return prompt
    used = {given.text for given in find_tags(prompt.input)}
    free = [name for name in (tag(f"SENTINEL_ID_{i}") for i in range(SENTINELS)) if name not in used]
    if len(found) > len(free):
        raise DataError(f"{len(found)} hidden stretches, and {len(free)} sentinels to show them by")
    text, slots = prompt.input, list(prompt.slots)
    for (start, end), sentinel in reversed(list(zip(found, free, strict=False))):
        text = text[:start] + sentinel + text[end:]
        slots = [_moved(slot, start, len(sentinel) - (end - start)) for slot in slots]
    return replace(prompt, input=text, slots=tuple(slots))


def filled(text: str, fills: Sequence[str]) -> str:
    """The text with its runs of marks filled, in order; a run without a fill loses its marks."""
    left = iter(fills)
    return _RUN.sub(lambda _: next(left, ""), text)


def _maskable(prompt: Prompt) -> list[Slot]:
    """Slots of the input whose values hold marks, and whose alphabet does not know the mark as a character."""
    held = [s for s in prompt.slots if s.part == "input" and MARK in prompt.input[s.start : s.end]]
    segments = parse(prompt.input) if held else []
    alphabets = [[g.alphabet for g in segments if g.start <= slot.start][-1] for slot in held]
    return [slot for slot, alphabet in zip(held, alphabets, strict=True) if alphabet in ALPHABETS]


def _moved(slot: Slot, start: int, longer: int) -> Slot:
    """The slot after the text from `start` on became longer."""
    if slot.part != "input" or slot.end <= start:
        return slot
    return replace(slot, start=slot.start + (longer if slot.start > start else 0), end=slot.end + longer)


def _ends(part: str, hidden: str, column: str) -> tuple[int, int]:
    found = _STRETCH.fullmatch(part)
    if found is None:
        hint = 'places count characters from 1: "97-110; 26-33; 40"'
        raise DataError(f"{hidden!r} is no list of places", where=f"column {column}", hint=hint)
    start = int(found[1])
    return start, int(found[2] or start)
