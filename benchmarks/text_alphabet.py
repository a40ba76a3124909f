"""Learns TEXT alphabets of several sizes and measures their characters per token on held-out texts.

    python benchmarks/text_alphabet.py [--corpus FILE]     needs MAMMAL_DATA, with chebi20/ and pretrain_proteins/

The corpus is the training texts of the tasks `molecule_caption` and `protein_name`; the measurement uses their test
rows. With --corpus the corpus is written to FILE. The shipped alphabet (256 bytes and 2,048 merges) was learned from
such a file with `python -m mammal.tokenization.build_vocabulary --text FILE --text-size 2304`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers.models import BPE

from mammal.console import table
from mammal.tasks.data import load_data
from mammal.tasks.declaration.registry import load_task
from mammal.tokenization import text_alphabet
from mammal.tokenization.byte_level import byte_characters

TASKS = {"molecule_caption": "description", "protein_name": "name"}
MERGES = (512, 1024, 2048, 4096)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="write the corpus here, one text per line, and learn nothing")
    options = parser.parse_args()
    corpus, held_out = read_texts()
    if options.corpus:
        options.corpus.write_text("".join(f"{text}\n" for text in corpus), encoding="utf-8")
        return
    learnt = text_alphabet.learn(corpus, 256 + max(MERGES))
    rows = [
        [f"{256 + count:,}", *(cell for t in held_out.values() for cell in figures(learnt[:count], t))]
        for count in MERGES
    ]
    heads = [head for task in held_out for head in (f"{task}: characters a token", "tokens a text", "at most")]
    table(rows, ["tokens", *heads])


def read_texts() -> tuple[list[str], dict[str, list[str]]]:
    """Returns the training texts, and the texts of the test part of each task."""
    corpus: list[str] = []
    held_out = {}
    for name, column in TASKS.items():
        data = load_data(load_task(name))
        corpus += data.part("train")[column].tolist()
        held_out[name] = data.part("test")[column].tolist()
    return corpus, held_out


def figures(merges: Sequence[tuple[str, str]], texts: Sequence[str]) -> list[str]:
    """Returns characters per token, tokens per text, and tokens of the longest text."""
    tokens = text_alphabet.tokens(merges)
    model = BPE(vocab={token: id for id, token in enumerate(tokens)}, merges=list(merges), ignore_merges=True)
    pieces = [re.findall(text_alphabet.PATTERN, text) for text in texts]
    lengths = [sum(len(model.tokenize(byte_characters(piece))) for piece in found) for found in pieces]
    return [f"{sum(map(len, texts)) / sum(lengths):.2f}", f"{sum(lengths) / len(lengths):.1f}", str(max(lengths))]


if __name__ == "__main__":
    main()
