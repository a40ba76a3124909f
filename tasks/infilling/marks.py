"""Hidden stretches in a sequence: marks written by users, sentinels in prompts, and fills from answers.

    heavy                         hidden     what the model reads
    EVQLVESGG____SLRLSCAAS                   EVQLVESGG<SENTINEL_ID_0>SLRLSCAAS
    EVQLVESGGGLVQSLRLSCAAS        10-13      the same
    CC(=O)_c1ccccc1C(=O)O                    CC(=O)<SENTINEL_ID_0>c1ccccc1C(=O)O

Consecutive marks are one stretch. The mark `_` has no other meaning in any alphabet of sequences; other signs do: in
SMILES `*` is an atom and brackets enclose one, in DNA they enclose a variant, and `-` and `.` are bonds and gaps.
Places count characters from 1, both ends included; several stretches are separated by `;`. A prompt shows each stretch
as the next sentinel that the template does not use, as in span denoising (Raffel et al. 2020, T5), without its length.
With `infill_lengths: true` of a task, the sentinel is followed by one letter for any residue or base for each mark:

    EVQLVESGG____SLRLSCAAS                   EVQLVESGG<SENTINEL_ID_0>XXXXSLRLSCAAS
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from mammal.tasks.errors import DataError
from mammal.tokenization.prompt import Prompt, Slot, find_tags, tag

MARK = "_"
ALPHABETS = frozenset({"AA", "DNA", "SMILES"})
"""Alphabets in which marks are allowed; in names and prose `_` is an ordinary character."""

ANY = {"AA": "X", "DNA": "N"}
"""Alphabet -> its letter for any residue or base. SMILES has no such letter."""

SENTINEL = "<SENTINEL_ID_"
SENTINELS = 200
"""Number of sentinels, and therefore the maximum number of hidden stretches of a prompt."""

_RUN = re.compile(f"{MARK}+")
_PLACES = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")

Span = tuple[int, int]


def stretches(text: str) -> list[Span]:
    """Returns the characters [start, end) of each run of marks."""
    return [found.span() for found in _RUN.finditer(text)]


def places(hidden: str, length: int, column: str) -> list[Span]:
    """Parses the places of a cell such as "97-110" or "26-33; 51-58; 97".

    Args:
        hidden: the cell.
        length: number of characters of the text.
        column: column of the cell, for messages.

    Returns:
        Characters [start, end) of each stretch, in order.

    Raises:
        DataError: the cell can't be read or names no place, a place is outside the text, or stretches overlap or touch.
    """
    spans = sorted(_place(part.strip(), column) for part in hidden.split(";") if part.strip())
    if not spans:
        raise DataError(f"{hidden!r} names no place", where=f"column {column}", hint=_HOW)
    for start, end in spans:
        if not 0 <= start < end <= length:
            raise DataError(f"{start + 1}-{end} is not a stretch of {length} characters", where=f"column {column}")
    for (first, end), (start, last) in pairwise(spans):
        if start <= end:
            what = f"{first + 1}-{end} and {start + 1}-{last} overlap or touch"
            raise DataError(what, where=f"column {column}", hint="write them as one stretch")
    return spans


def marked(text: str, spans: Sequence[Span], counts: Sequence[int] | None = None) -> str:
    """Returns the text with marks instead of stretches.

    Args:
        text: the text.
        spans: characters [start, end) of each stretch.
        counts: number of marks of each stretch; default: one for each character.
    """
    counts = [end - start for start, end in spans] if counts is None else counts
    for (start, end), count in reversed(list(zip(spans, counts, strict=True))):
        text = text[:start] + MARK * count + text[end:]
    return text


def hide(prompt: Prompt, columns: Collection[str], letters: Mapping[str, str] | None = None) -> Prompt:
    """Returns the prompt with a sentinel instead of each run of marks in these input columns.

    Sentinels are taken in order, from the first that the input does not use.

    Args:
        prompt: the prompt with marks.
        columns: input columns with marks.
        letters: column -> letter that is written after the sentinel, once for each mark; None: nothing is written.

    Raises:
        DataError: there are more stretches than sentinels.
    """
    slots = [slot for slot in prompt.slots if slot.part == "input" and slot.column in columns]
    found = [
        (slot.start + start, slot.start + end, (letters or {}).get(slot.column, "") * (end - start))
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
    for (start, end, shown), sentinel in reversed(list(zip(found, free, strict=False))):
        text = text[:start] + sentinel + shown + text[end:]
        moved = tuple(_moved(slot, start, len(sentinel) + len(shown) - (end - start)) for slot in moved)
    return replace(prompt, input=text, slots=moved)


def sentinels_in(prompt: Prompt, columns: Collection[str]) -> dict[str, list[str]]:
    """Returns, for each of these columns, the sentinels that `hide` wrote into its value, in order."""
    found: dict[str, list[str]] = {}
    for slot in prompt.slots:
        if slot.part == "input" and slot.column in columns:
            tags = [given.text for given in find_tags(prompt.input[slot.start : slot.end])]
            found.setdefault(slot.column, []).extend(name for name in tags if name.startswith(SENTINEL))
    return found


def filled(text: str, fills: Sequence[str]) -> str:
    """Returns the text with its runs of marks replaced by the fills, in order; runs without a fill are removed."""
    left = iter(fills)
    return _RUN.sub(lambda _: next(left, ""), text)


def _moved(slot: Slot, start: int, longer: int) -> Slot:
    """The slot after the text that begins at `start` became `longer` characters longer."""
    if slot.part != "input" or slot.end <= start:
        return slot
    return replace(slot, start=slot.start + (longer if slot.start > start else 0), end=slot.end + longer)


def _place(part: str, column: str) -> Span:
    found = _PLACES.fullmatch(part)
    if found is None:
        raise DataError(f"{part!r} is not a stretch", where=f"column {column}", hint=_HOW)
    first = int(found[1])
    return first - 1, int(found[2] or first)


_HOW = 'places count characters from 1, ends included: "97-110; 26-33; 40"'
