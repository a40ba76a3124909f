"""Log-likelihood of a target given an input, for every row of a file (natural logarithm, summed over tokens).

mammal score bundle=demo/bundle task=molecules input=library.csv output=likelihoods.csv
mammal score bundle=FOLDER prompt='…<EOS>' target='…<EOS>'
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal.commands import rows


def run(argv: Sequence[str]) -> int:
    return rows.run("score", argv)
