"""Predict labels or numbers for every row of a file, in the units of the training data.

    mammal predict bundle=demo/bundle task=melting_point input=library.csv output=predicted.csv
    mammal predict bundle=demo/bundle task=[melting_point,bbbp] input=library.csv output=both.csv
    mammal predict bundle=demo/bundle input=few.csv          print the predictions
    mammal predict bundle=demo/bundle 'input=lib/*.csv.gz' file_column=source output=scores/
    mammal predict bundle=demo/bundle input=s3://bucket/lib.sdf output=predicted.sdf

The input is one file, a list [a.csv,b.csv], a pattern or a folder, also compressed (.gz, .zst, .bz2), also at s3://, gs://
or https://. An output that ends with / is a folder of Parquet parts, .sdf writes the molecules with their predictions,
and s3:// or gs:// uploads the complete output (docs/jobs.md).
With several tasks, or task=all, the name of the task is the prefix of its columns (bbbp_prediction). A row that only
some tasks can't read keeps the answers of the others; the column bbbp_error has the reason.
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
