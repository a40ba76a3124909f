"""Lengths of prompts in tokens, and the rows of which training would cut a part.

Shapes: L checked rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mammal.data_check.findings import ERROR, NOTE, WARNING, Finding, FlaggedRow, counted, percent
from mammal.errors import MammalError
from mammal.tasks.tables.spread_rows import spread_rows
from mammal.tokenization.prompt import Prompt, parse_prompt, segment

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData
    from mammal.tokenization.encoding import Encoding

Part = Literal["input", "target"]

MOST_ROWS = 20_000
WITH_FEATURES = 200
"""Rows that are encoded for a task that computes features, which is slow. They have no influence on the lengths."""
CHUNK = 2_000
MANY_CUT = 0.01
"""Share of cut rows from which they are a warning."""


@dataclass(frozen=True)
class CutValue:
    """A value that is longer than its limit.

    Attributes:
        row: the row.
        column: column of the value; `prompt` if the whole prompt is longer than `max_len`.
        tokens: its number of tokens.
        limit: number of tokens that are read.
    """

    row: int
    column: str
    tokens: int
    limit: int


@dataclass
class Lengths:
    """Lengths of the checked rows.

    Attributes:
        rows: the rows that were encoded.
        tokens: number of tokens of the input that the model reads, for each of them.
        cut: values that are cut.
        failed: row -> why it can't be encoded.
    """

    rows: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    cut: list[CutValue] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


def measure_lengths(data: CheckedData) -> Lengths:
    """Encodes rows as training does, and measures them. More rows than a limit are sampled evenly.

    Args:
        data: the rows.
    """
    task, found = data.task, Lengths()
    readable = [row for row, cells in enumerate(data.inputs) if cells is not None]
    most = WITH_FEATURES if task.features or task.predicted_features else MOST_ROWS
    places = spread_rows(len(readable), most)
    rows = [readable[at] for at in places.tolist()]
    if not task.features_are_fitted or task.steering.columns:
        task.fit_features([data.rows[row] for row in rows])
    for start in range(0, len(rows), CHUNK):
        _measure(data, rows[start : start + CHUNK], found)
    return found


def _measure(data: CheckedData, rows: Sequence[int], found: Lengths) -> None:
    """Measures some rows."""
    prompts: dict[int, Prompt] = {}
    for row in rows:
        try:
            prompts[row] = data.task.render_for_encoding(data.rows[row])
        except MammalError as error:
            found.failed[row] = str(error)
    for row, encoding in _encoded(data, prompts, "input", found).items():
        found.rows.append(row)
        found.tokens.append(len(encoding))
        if encoding.is_cut:
            found.cut += _cut_values(data, row, prompts[row], "input")
    if data.task.target_is_text and data.task.template.target is not None:
        _measure_targets(data, prompts, found)


def _measure_targets(data: CheckedData, prompts: Mapping[int, Prompt], found: Lengths) -> None:
    """Measures the target texts of generation tasks."""
    targets = {}
    for row in prompts:
        try:
            targets[row] = data.task.render(data.rows[row], target=True)
        except MammalError as error:
            found.failed.setdefault(row, str(error))
    for row, encoding in _encoded(data, targets, "target", found).items():
        if encoding.is_cut:
            found.cut += _cut_values(data, row, targets[row], "target")


def _encoded(data: CheckedData, prompts: Mapping[int, Prompt], part: Part, found: Lengths) -> dict[int, Encoding]:
    """Encodes one part of prompts; a prompt that can't be encoded is recorded with its reason."""
    texts: list[str | Prompt] = [p if part == "input" else str(p.target) for p in prompts.values()]
    limit = getattr(data.task.config.max_len, part)
    tokenizer, unknown = data.task.tokenizer, data.task.config.on_unknown
    how: dict[str, Any] = {"max_len": limit, "on_unknown": unknown, "require_eos": False}
    try:
        return dict(zip(prompts, tokenizer.encode_batch(texts, **how), strict=True))
    except MammalError:
        encodings = {}
    for row, text in zip(prompts, texts, strict=True):
        try:
            encodings[row] = tokenizer.encode_batch([text], **how)[0]
        except MammalError as error:
            found.failed[row] = str(error)
    return encodings


def _cut_values(data: CheckedData, row: int, prompt: Prompt, part: Part) -> Iterator[CutValue]:
    """The values of a prompt that are longer than the limits of their segments, or the prompt than `max_len`."""
    whole = 0
    for one in parse_prompt(prompt.input if part == "input" else str(prompt.target)):
        if one.alphabet.startswith(("SCALARS_", "EXTERNAL_")):
            continue
        how: dict[str, Any] = {"on_unknown": data.task.config.on_unknown, "require_eos": False}
        tokens = len(data.task.tokenizer.encode_batch([segment(one.alphabet, one.text)], **how)[0])
        if one.max_len is not None and tokens > one.max_len:
            inside = (s.column for s in prompt.slots if s.part == part and 0 <= s.start - one.start < len(one.text))
            yield CutValue(row, next(inside, part), tokens, one.max_len)
        whole += min(tokens, one.max_len or tokens)
    limit = getattr(data.task.config.max_len, part)
    if limit is not None and whole > limit:
        yield CutValue(row, f"whole {part}", whole, limit)


def length_findings(data: CheckedData, lengths: Lengths) -> Iterator[Finding]:
    """Finds the rows that are cut, by column, and describes the lengths.

    Args:
        data: the rows.
        lengths: their lengths.
    """
    by_column: dict[str, list[CutValue]] = defaultdict(list)
    for cut in lengths.cut:
        by_column[cut.column].append(cut)
    refused = data.task.config.too_long == "refuse"
    for column, several in by_column.items():
        yield _cut(data, column, several, len(lengths.rows), refused=refused)


def _cut(data: CheckedData, column: str, several: Sequence[CutValue], checked: int, *, refused: bool) -> Finding:
    share, longest = len(several) / checked, max(one.tokens for one in several)
    lost = np.median([1 - one.limit / one.tokens for one in several])
    limit = several[0].limit
    rows = [
        FlaggedRow(one.row, f"{one.tokens:,} tokens, {one.limit:,} are read", data.shown(one.row), None, one.tokens)
        for one in sorted(several, key=lambda one: (-one.tokens, one.row))
    ]
    outcome = "Training leaves these rows out (`too_long: refuse`)." if refused else "The model reads their first part."
    return Finding(
        "too_long",
        (ERROR if share > 0.5 else WARNING) if share >= MANY_CUT else NOTE,
        len(several),
        f"{counted(len(several), 'row')} ({percent(share)}) with a {column} of more than {limit:,} tokens (longest "
        f"{longest:,}; of such a row {percent(float(lost))} is lost in the median)",
        f"{outcome} Rows that differ only behind the limit look equal.",
        f"a higher limit in the prompt (`{{{column}:ENTITY@N}}`, `max_len`), or shorter values",
        column,
        rows,
        {"limit": limit, "longest": longest, "median share lost": float(lost)},
    )
