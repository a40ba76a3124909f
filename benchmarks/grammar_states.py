"""Compares the masks of the grammar of SMILES in C++ with those of the reference in Python, on random walks.

    python benchmarks/grammar_states.py 200000 1       number of masks, seed

Walks prefer tokens of molecules, of ring systems, or none. They include side chains of scaffolds, atoms that are
spelled in brackets, and states with few and with many tokens left. Prints the number of masks that differ, which must
be 0, and the number of walks that end in a molecule without a way to finish it.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from mammal.tasks.grammar.smiles.native import NativeSmilesPart, is_built
from mammal.tasks.grammar.smiles.part import SmilesPart
from mammal.tokenization import Tokenizer

BARRED = (1, 2)
BUDGETS = (6, 12, 25, 40, 80, 128, 200)
COMMON = {"[": 8, "]": 8, "H": 8, "+": 8, "-": 8, "@": 8} | dict.fromkeys("Cc123()nO=N", 40)
RINGS = COMMON | {"c": 400, "1": 100, "2": 100}


def parts(tokens: dict[str, int], bond: str | None) -> tuple[SmilesPart, SmilesPart]:
    """The reference and the one in C++: for a whole molecule, or for a side chain that starts by a bond."""
    how = {} if bond is None else {"side_chain": bond, "barred": BARRED, "dots": False}
    return SmilesPart(tokens, len(tokens), **how), NativeSmilesPart(tokens, len(tokens), **how)


def main(masks: int, seed: int) -> int:
    if not is_built():
        print("the module in C++ is not built")
        return 1
    tokenizer, rng = Tokenizer.load(None), np.random.default_rng(seed)
    tokens = {tokenizer.token(id): column for column, id in enumerate(tokenizer.alphabet_ids("SMILES").tolist())}
    pairs = [parts(tokens, bond) for bond in (None, None, None, "", "=", "/")]
    liked = [np.ones(len(tokens)) for _ in range(3)]
    for weights, preferred in zip(liked, (COMMON, RINGS, {}), strict=True):
        for token, weight in preferred.items():
            weights[tokens[token]] = weight
    compared = different = spelled = dead_ends = 0
    seconds = {"reference": 0.0, "C++": 0.0}
    while compared < masks:
        reference, native = pairs[rng.integers(len(pairs))]
        weights, left = liked[rng.integers(len(liked))], int(rng.choice(BUDGETS))
        expected, state = reference.start(), native.start()
        while left > 0 and reference.left(expected) <= left:
            for limit in {left, left - 1, left + 30, 1 << 20}:
                start = time.thread_time()
                mask_V = reference.mask(expected, limit)
                between = time.thread_time()
                ours_V = native.mask(state, limit)
                seconds["reference"] += between - start
                seconds["C++"] += time.thread_time() - between
                compared, spelled = compared + 1, spelled + (state.bracket is not None)
                different += not np.array_equal(mask_V, ours_V)
            different += reference.ends(expected) != native.ends(state) or reference.left(expected) != native.left(
                state
            )
            chances_V = weights * reference.mask(expected, left)
            if not chances_V.any():
                dead_ends += not reference.ends(expected)
                break
            if reference.ends(expected) and rng.random() < 0.05:
                break
            column = int(rng.choice(len(chances_V), p=chances_V / chances_V.sum()))
            expected, state, left = reference.advance(expected, column), native.advance(state, column), left - 1
    each = ", ".join(f"{name} {took / compared * 1e6:.0f} µs" for name, took in seconds.items())
    print(f"{compared:,} masks, {spelled:,} of them in brackets: {different} differ. Processor time of a mask: {each}")
    print(f"{dead_ends} walks came to a molecule that can neither go on nor end")
    return int(different + dead_ends > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
