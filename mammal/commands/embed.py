"""Compute one vector for every row of a file: the pooled states of the encoder.

mammal embed bundle=demo/bundle task=amp input=peptides.csv output=vectors.parquet
mammal embed bundle=demo/bundle task=amp 'input=lib/*.fasta.gz' output=vectors/     a folder of Parquet parts
mammal embed bundle=demo/bundle entity=smiles input=library.csv output=v.parquet 'columns={value: smiles}'
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal.commands import rows


def run(argv: Sequence[str]) -> int:
    return rows.run("embed", argv)
