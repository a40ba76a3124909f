"""Predict labels or numbers for every row of a file, in the units of the training data.

    mammal predict bundle=demo/bundle task=melting_point input=library.csv output=predicted.csv
    mammal predict bundle=demo/bundle input=few.csv          print the predictions

Rows that can't be read are written to OUTPUT.errors.parquet with the reason, and the exit code is 3. To continue a job
that was interrupted, run the same command again.
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal.commands import rows


def run(argv: Sequence[str]) -> int:
    return rows.run("predict", argv)
