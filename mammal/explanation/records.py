"""Explanations as columns of a table: one record for each row, or one for each part of a row (long form).

    one record for a row
        explained       what is explained: the target with its unit, or the log-odds of a label
        output          its value for the row
        baseline        its value for the baseline (integrated gradients)
        difference      output - baseline - sum of the attributions (integrated gradients)
        steps           steps of the integral (integrated gradients)
        read            the value as the model reads it; atoms, residues and bases are numbered in this text
        part            what the numbers of `attribution` belong to: atom, residue, base, number or token
        parts           JSON: the text of each part
        attribution     one number for each part, in the unit of `explained`; NaN for a part that was cut off
        fragments       JSON: text, positions from 1 and effect of each fragment (occlusion)
    one record for each part
        row             number of the row in the input, from 1
        explained … steps   as above
        column          column of the value
        read            as above
        part            kind of the part: also `variant`, for DNA
        position        number of the part in `read`, from 1
        text            its characters
        attribution     its attribution
        fragment        text of its fragment (occlusion)

If a task reads several columns, the names of `read` to `fragments` start with the name of the column (`drug_read`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mammal.explanation.content import Value
from mammal.explanation.fragments import fragment_text
from mammal.explanation.occlusion import Fragment
from mammal.rows.answer_columns import AnswerColumn, Holds, Record


@dataclass(frozen=True)
class ExplainedValue:
    """The attributions of one value of a row.

    Attributes:
        value: the value.
        attribution_P: attribution of each part, float64 [P], in the unit of the explanation. Occlusion: the effect of
            the fragment that the part is in.
        fragments: occlusion: its fragments, with effects in the unit of the explanation. None: integrated gradients.
    """

    value: Value
    attribution_P: np.ndarray
    fragments: Sequence[Fragment] | None = None


@dataclass(frozen=True)
class Explanation:
    """The explanation of one row.

    Attributes:
        output: what is explained.
        number: its value for the row.
        values: the values of the user.
        baseline: the output of the baseline. None: occlusion.
        difference: what is left of output - baseline after the attributions. None: occlusion.
        steps: steps of the integral. None: occlusion.
    """

    output: str
    number: float
    values: Sequence[ExplainedValue]
    baseline: float | None = None
    difference: float | None = None
    steps: int | None = None


Columns = Sequence[tuple[str, Holds]]

_OUTPUT: Columns = (("explained", "text"), ("output", "number"))
_GRADIENTS: Columns = (("baseline", "number"), ("difference", "number"), ("steps", "integer"))
_VALUE: Columns = (("read", "text"), ("part", "text"), ("parts", "text"), ("attribution", "vector"))
_OF_PART: Columns = (
    ("column", "text"),
    ("read", "text"),
    ("part", "text"),
    ("position", "integer"),
    ("text", "text"),
    ("attribution", "number"),
)


class Layout:
    """The columns of explanations, and their records.

    Args:
        columns: columns that the task reads.
        occludes: whether the method is occlusion.
        long: one record for each part.
        prefix: text before each name.
    """

    def __init__(self, columns: Sequence[str], *, occludes: bool, long: bool, prefix: str = ""):
        self._read, self._occludes, self._long = list(columns), occludes, long
        about_row = [*_OUTPUT, *(() if occludes else _GRADIENTS)]
        if long:
            names = [("row", "integer"), *about_row, *_OF_PART, *([("fragment", "text")] if occludes else [])]
        else:
            of_value = [*_VALUE, *([("fragments", "text")] if occludes else [])]
            starts = [""] if len(columns) == 1 else [f"{column}_" for column in columns]
            names = [*about_row, *((start + name, holds) for start in starts for name, holds in of_value)]
        self.columns = [AnswerColumn(prefix + name, holds) for name, holds in names]  # type: ignore[arg-type]

    def records(self, row: int, explanation: Explanation) -> list[Record]:
        """Returns the records of a row.

        Args:
            row: position of the row in the input, from 0.
            explanation: its explanation.
        """
        about_row = [explanation.output, explanation.number]
        if not self._occludes:
            about_row += [explanation.baseline, explanation.difference, explanation.steps]
        if not self._long:
            by_column = {explained.value.column: explained for explained in explanation.values}
            cells = [cell for column in self._read for cell in self._cells(by_column.get(column))]
            return [(*about_row, *cells)]
        return [(row + 1, *about_row, *line) for explained in explanation.values for line in self._lines(explained)]

    def _cells(self, explained: ExplainedValue | None) -> list[object]:
        if explained is None:  # the row lacks a value that it may lack
            return [None] * (len(_VALUE) + self._occludes)
        value = explained.value
        texts = json.dumps([part.text for part in value.parts.parts], ensure_ascii=False)
        cells: list[object] = [value.text, value.parts.kind, texts, explained.attribution_P.astype(np.float32)]
        return [*cells, _fragments_json(explained)] if self._occludes else cells

    def _lines(self, explained: ExplainedValue) -> list[list[object]]:
        value = explained.value
        named: dict[int, str] = {}
        for fragment in explained.fragments or ():
            named |= dict.fromkeys(fragment.parts, fragment_text(value, fragment.parts))
        lines: list[list[object]] = []
        for number, part in enumerate(value.parts.parts):
            attribution = float(explained.attribution_P[number])
            of_part = [part.kind, number + 1, part.text, None if math.isnan(attribution) else attribution]
            lines.append([value.column, value.text, *of_part, *([named[number]] if self._occludes else [])])
        return lines


def _fragments_json(explained: ExplainedValue) -> str:
    found = [
        {
            "text": fragment_text(explained.value, fragment.parts),
            "positions": [part + 1 for part in fragment.parts],
            "effect": None if math.isnan(fragment.effect) else float(f"{fragment.effect:.6g}"),
        }
        for fragment in explained.fragments or ()
    ]
    return json.dumps(found, ensure_ascii=False)
