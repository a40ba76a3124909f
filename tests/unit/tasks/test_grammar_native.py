"""The state machine in C++ gives the same masks as the one in Python, and the package works without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mammal.tasks.grammar.smiles import native
from mammal.tasks.grammar.smiles.native import NativeSmilesPart, is_built, smiles_part_class
from mammal.tasks.grammar.smiles.part import SmilesPart
from mammal.tokenization import Tokenizer

ROOT = Path(__file__).resolve().parents[3]
BARRED = (1, 2)
OFTEN = {"[": 8, "]": 8, "H": 8, "+": 8, "-": 8, "@": 8} | dict.fromkeys("Cc12(=NnO", 40)
RINGS = OFTEN | {"c": 400, "1": 100, "2": 100}

needs_engine = pytest.mark.skipif(not is_built(), reason="the module in C++ was not built: no compiler was found")


@pytest.fixture(scope="module")
def tokens() -> dict[str, int]:
    tokenizer = Tokenizer.load(None)
    return {tokenizer.token(id): column for column, id in enumerate(tokenizer.alphabet_ids("SMILES").tolist())}


def both(tokens: dict[str, int], side_chain: str | None) -> tuple[SmilesPart, SmilesPart]:
    how = {} if side_chain is None else {"side_chain": side_chain, "barred": BARRED, "dots": False}
    return SmilesPart(tokens, len(tokens), **how), NativeSmilesPart(tokens, len(tokens), **how)


@needs_engine
@pytest.mark.parametrize("side_chain", [None, "", "=", "/"], ids=["molecule", "side chain", "by =", "by /"])
@pytest.mark.parametrize("liked", [OFTEN, RINGS, {}], ids=["often", "rings", "any"])
def test_masks_are_those_of_the_reference(
    tokens: dict[str, int], side_chain: str | None, liked: dict[str, int]
) -> None:
    reference, engine = both(tokens, side_chain)
    rng, weights = np.random.default_rng(7), np.ones(len(tokens))
    for token, weight in liked.items():
        weights[tokens[token]] = weight
    compared = brackets = 0
    for budget in (9, 14, 25, 40, 90):
        expected, state = reference.start(), engine.start()
        for left in range(budget, 0, -1):
            for limit in {left, left - 1, left + 30}:
                mask = reference.mask(expected, limit)
                assert np.array_equal(mask, engine.mask(state, limit)), (expected, limit)
            assert reference.left(expected) == engine.left(state)
            assert reference.ends(expected) == engine.ends(state)
            compared, brackets = compared + 1, brackets + (state.bracket is not None)
            chances = weights * reference.mask(expected, left)
            if not chances.any():
                assert reference.ends(expected), "the molecule can neither go on nor end"
                break
            column = int(rng.choice(len(chances), p=chances / chances.sum()))
            expected, state = reference.advance(expected, column), engine.advance(state, column)
    assert compared > 40
    assert brackets or side_chain is not None or not liked, "no bracket atom was spelled"


@needs_engine
def test_states_are_equal_when_the_molecules_are(tokens: dict[str, int]) -> None:
    _, engine = both(tokens, None)

    def written(smiles: str) -> object:
        state = engine.start()
        for token in smiles:
            state = engine.advance(state, tokens[token])
        return state

    assert written("CC1") == written("CC1") and hash(written("CC1")) == hash(written("CC1"))
    assert written("CC1") != written("CC2") and written("CC(") != written("CC")


@needs_engine
def test_equal_masks_are_one_array(tokens: dict[str, int]) -> None:
    _, engine = both(tokens, None)
    state = engine.advance(engine.advance(engine.start(), tokens["C"]), tokens["C"])
    longer = engine.advance(engine.advance(state, tokens["C"]), tokens["C"])
    first, second = engine.mask(state, 100), engine.mask(longer, 90)
    assert first is second and not first.flags.writeable


def test_without_the_module_the_one_in_python_is_used(tokens: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "is_built", lambda: False)
    part = smiles_part_class()(tokens, len(tokens), "=", BARRED, dots=False)
    assert type(part) is SmilesPart
    assert part.mask(part.start(), 20)[tokens["C"]] and not part.mask(part.start(), 20)[tokens["F"]]


def test_an_installation_without_a_compiler_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("pybind11")
    shutil.copy(ROOT / "setup.py", tmp_path)
    (tmp_path / "tasks/grammar/smiles").mkdir(parents=True)
    shutil.copy(ROOT / "tasks/grammar/smiles/engine.cpp", tmp_path / "tasks/grammar/smiles")
    without = os.environ | {"CC": "no-compiler", "CXX": "no-compiler"}
    build = [sys.executable, "setup.py", "build_ext", "--build-lib", "built"]
    done = subprocess.run(build, cwd=tmp_path, env=without, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not [*tmp_path.rglob("*.so"), *tmp_path.rglob("*.pyd")]
