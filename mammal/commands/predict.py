"""Labels or numbers for every row of a file, in the units of the training data.

    mammal predict bundle=demo/bundle task=melting_point input=library.csv output=predicted.csv
    mammal predict bundle=demo/bundle input=few.csv          answers on the terminal

Rows that can't be read end in OUTPUT.errors.parquet with their reason, and the exit code is 3. A job that was cut off
goes on where it was when the same command is given again.
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal.commands import rows


def run(argv: Sequence[str]) -> int:
    return rows.run("predict", argv)
