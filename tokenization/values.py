"""Numbers and vectors in a prompt: written as text, or given by name and looked up in `sample`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mammal.tokenization.errors import PromptError, did_you_mean
from mammal.tokenization.prompt import Segment, place

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_WRITTEN_VALUES = re.compile(r"(\[[^\[\]:/]*(?:/[^\[\]:/]*)+):([^\[\]]*)(?=\])")


class VariantText(NamedTuple):
    """DNA text without the numbers that were written in it.

    Attributes:
        text: the text without numbers, such as `[A/G]` for `[A/G:0.23]`.
        values: pairs (index in `text`, value); the index is that of the `/` before the allele of the value.
        cuts: pairs (index in `text` before which characters were removed, number of removed characters).
    """

    text: str
    values: list[tuple[int, float]]
    cuts: list[tuple[int, int]]


def literal_values(segment: Segment) -> np.ndarray:
    """Returns the numbers of a SCALARS_LITERALS segment, float32 [n].

    Args:
        segment: the segment.

    Raises:
        PromptError: a part between commas is not a number, or it is not finite in float32.
    """
    values, start = [], segment.start
    for piece in segment.text.split(","):
        values.append(_number(piece, start))
        start += len(piece) + 1
    return np.array(values, dtype=np.float32)


def literal_spans(segment: Segment) -> list[tuple[int, int]]:
    """Returns the characters [start, end) of each number in the prompt."""
    ends = np.cumsum([len(piece) + 1 for piece in segment.text.split(",")]) + segment.start
    starts = [segment.start, *ends[:-1].tolist()]
    return [(start, end - 1) for start, end in zip(starts, ends.tolist(), strict=True)]


def sample_values(segment: Segment, sample: Mapping[str, Any] | None) -> np.ndarray:
    """Returns the numbers of a SCALARS_FROM_DICT segment, float32 [n].

    Args:
        segment: the segment; its text is a key of `sample`.
        sample: arrays by name.

    Raises:
        PromptError: `sample` lacks the key, or the value is not a finite one-dimensional array.
    """
    values = _look_up(segment, segment.text, sample)
    try:
        with np.errstate(over="ignore"):  # becomes infinity, which is refused below
            values = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise PromptError(f"sample[{segment.text!r}] holds no numbers", where=place(segment.start)) from None
    if values.ndim != 1:
        shape = list(values.shape)
        raise PromptError(f"sample[{segment.text!r}] has shape {shape}, not one row", where=place(segment.start))
    if not np.isfinite(values).all():
        raise PromptError(f"sample[{segment.text!r}] holds NaN or infinity", where=place(segment.start))
    return values


def embedding_count(segment: Segment) -> int:
    """Returns the number of tokens of an EXTERNAL_EMBEDDINGS segment: the number after the second colon, else 1."""
    parts = segment.text.split(":")
    if len(parts) != 3:
        return 1
    try:
        return max(0, int(parts[2]))
    except ValueError:
        raise PromptError(f"{parts[2]!r} is not a number of embeddings", where=place(segment.start)) from None


def embedding_model(segment: Segment) -> str:
    """Returns the name of the model of an EXTERNAL_EMBEDDINGS segment, which is before its first colon."""
    return segment.text.split(":")[0]


def sample_vectors(segment: Segment, sample: Mapping[str, Any] | None) -> np.ndarray | None:
    """Returns the vectors of an EXTERNAL_EMBEDDINGS_FROM_DICT segment.

    Args:
        segment: the segment; its text contains a key of `sample`.
        sample: arrays by name.

    Returns:
        The vectors, float32 [count, width]; None if the value in `sample` is a string, which another model of the
        caller embeds later.

    Raises:
        PromptError: the text is not `model:key` or `model:key:count`, or `sample` contains no such vectors.
    """
    parts = segment.text.split(":")
    if len(parts) not in (2, 3):
        raise PromptError(
            f"{segment.text!r} is not the name of an embedding",
            where=place(segment.start),
            hint="write model:key or model:key:count",
        )
    value = _look_up(segment, parts[1], sample)
    if isinstance(value, str):
        return None
    count = embedding_count(segment)
    try:
        vectors = np.atleast_2d(np.asarray(value, dtype=np.float32))
    except (TypeError, ValueError):
        raise PromptError(f"sample[{parts[1]!r}] holds no vectors", where=place(segment.start)) from None
    if vectors.ndim != 2 or len(vectors) != count:
        shape = list(np.shape(value))
        raise PromptError(f"sample[{parts[1]!r}] has shape {shape}, not [{count}, width]", where=place(segment.start))
    return vectors


def take_variant_values(text: str, start: int) -> VariantText:
    """Removes the numbers from variants such as `[A/G:0.23]`, `[-/AT:0.1]` or `[A/C/G:0.1,0.2]`.

    Args:
        text: DNA text.
        start: position of the text in the prompt, for error messages.

    Returns:
        The text without numbers, and the numbers.

    Raises:
        PromptError: the number of values of a variant differs from the number of its alternate alleles.
    """
    kept, values, cuts = [], [], []
    read, length = 0, 0
    for match in _WRITTEN_VALUES.finditer(text):
        before = text[read : match.end(1)]
        slashes = [length + match.start() - read + i for i, letter in enumerate(match[1]) if letter == "/"]
        numbers = match[2].split(",")
        if len(numbers) != len(slashes):
            raise PromptError(
                f"{match.group()}] has {len(numbers)} values for {len(slashes)} alternate alleles",
                where=place(start + match.start()),
            )
        values += [(at, _number(number, start + match.start(2))) for at, number in zip(slashes, numbers, strict=True)]
        kept.append(before)
        length, read = length + len(before), match.end()
        cuts.append((length, match.end() - match.end(1)))
    return VariantText("".join([*kept, text[read:]]), values, cuts)


def _number(text: str, start: int) -> float:
    try:
        value = float(text)  # as in the published code: accepts blanks, "1_000" and digits of any script
    except ValueError:
        hint = "write numbers with commas between them; a number to predict is a <MASK> in an alphabet's segment"
        raise PromptError(f"{text!r} is not a number", where=place(start), hint=hint) from None
    if not math.isfinite(value) or abs(value) > _FLOAT32_MAX:
        raise PromptError(f"{text!r} is not a finite float32 number", where=place(start))
    return value


def _look_up(segment: Segment, key: str, sample: Mapping[str, Any] | None) -> Any:
    if sample is None or key not in sample:
        raise PromptError(
            f"{segment.alphabet} needs {key!r}, which sample lacks",
            where=place(segment.start),
            hint=did_you_mean(key, sample, noun="key") if sample else "pass sample={…} to encode",
        )
    return sample[key]
