"""Predict labels or numbers for every row of a file, in the units of the training data.

    mammal predict bundle=demo/bundle task=melting_point input=library.csv output=predicted.csv
    mammal predict bundle=demo/bundle input=few.csv          print the predictions

Rows that can't be read stay in a csv or tsv output without an answer, and the column `error` says why. They are also
listed in an errors file next to the output (predicted.errors.csv), and the exit code is 3. keep_rows=false leaves them
out of the output, keep_rows=true keeps them in other formats. To continue a job that was interrupted, run the same
command again. resume=false starts again; an earlier output is replaced once the new one is whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal.commands import rows


def run(argv: Sequence[str]) -> int:
    return rows.run("predict", argv)
