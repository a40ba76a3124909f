"""SMILES by grammar, valence and Kekulé structure: what RDKit reads is accepted, what is generated RDKit reads."""

from __future__ import annotations

import csv
import gzip
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDLogger

from mammal.tasks.errors import TaskError
from mammal.tasks.grammar.smiles.atoms import read_atom
from mammal.tasks.grammar.smiles.brackets import Bracket, outcomes
from mammal.tasks.grammar.smiles.closing import least
from mammal.tasks.grammar.smiles.part import SmilesPart
from mammal.tasks.grammar.smiles.state import Partial
from mammal.tasks.grammar.smiles.valence import SYMBOLS, capacity
from mammal.tokenization import Tokenizer
from mammal.tokenization.smiles_alphabet import PATTERN

_COMMON = r"""
C N O S P F Cl Br I c n o s ( ) = #
- / \ 1 2 3 4 [nH] [N+] [O-] [C@H] [C@@H] [C@] [n+] [NH+] [S+] [se] . %10 [ ] H + 5 @
"""
COMMON = _COMMON.split()
"""Tokens of drug-like molecules, and characters to spell bracket atoms with."""

_MOLECULES = r"""
CC(=O)Oc1ccccc1C(=O)O Cn1c(=O)c2c(ncn2C)n(C)c1=O c1ccc2c(c1)[nH]c1ccccc12 O=c1cc[nH]c(=O)[nH]1 C[N+](C)(C)CC([O-])=O
N[C@@H](Cc1c[nH]c2ccccc12)C(=O)O O=S(=O)(O)c1ccccc1 C1CC2CCC1C2 F/C=C/F CC1(C)SC2C(NC(=O)C)C(=O)N2C1C(=O)O
c1ccc(-c2ccccc2)cc1 [Na+].[Cl-] O=[N+]([O-])c1ccccc1 C#CC#N c1cc[se]c1 OP(=O)(O)O ClC(Cl)(Cl)Cl FS(F)(F)(F)(F)F
c1ccc2cc3ccccc3cc2c1 O=C1c2ccccc2C(=O)c2ccccc21 [2H]C([2H])([2H])O CC(C)(C)c1nn[n-]n1 [13CH4] [U] S=c1[nH]cccc1
[O-][n+]1ccccc1 C[Si](C)(C)C B(O)(O)c1ccccc1 C1CCC2(CC1)OCCO2 [35Cl-] C%10CCCCC%10 C1=CC=CN1 c1cc2cccc3ccc(c1)c2-3
"""
MOLECULES = _MOLECULES.split()


@pytest.fixture(scope="module", autouse=True)
def quiet():
    RDLogger.DisableLog("rdApp.*")
    yield
    RDLogger.EnableLog("rdApp.*")


@pytest.fixture(scope="module")
def tokens() -> dict[str, int]:
    """Our own SMILES alphabet, token -> column."""
    tokenizer = Tokenizer.load(None)
    return {tokenizer.token(id): column for column, id in enumerate(tokenizer.alphabet_ids("SMILES").tolist())}


@pytest.fixture(scope="module")
def part(tokens: dict[str, int]) -> SmilesPart:
    return SmilesPart(tokens, len(tokens))


def columns(tokens: dict[str, int], smiles: str) -> list[int]:
    pieces = [[piece] if piece in tokens else list(piece) for piece in re.findall(PATTERN, smiles)]
    return [tokens[token] for piece in pieces for token in piece]


def refused(part: SmilesPart, tokens: dict[str, int], smiles: str, left: int = 1000) -> str | None:
    """What of a text is accepted before the token that is not; None where the whole of it is."""
    state, spelled = part.start(), ""
    for column in columns(tokens, smiles):
        if not part.mask(state, left)[column]:
            return spelled
        state, left, spelled = part.advance(state, column), left - 1, smiles[: len(spelled) + 1]
    return None if part.ends(state) else smiles


def drawn(part: SmilesPart, names: list[str], rng: np.random.Generator, left: int) -> str:
    """A text of uniformly drawn tokens; ending it is one more choice. Every state can be kept in a set."""
    state, text, seen = part.start(), "", set()
    while True:
        allowed = np.flatnonzero(part.mask(state, left))
        choices = [*allowed.tolist(), None] if part.ends(state) else allowed.tolist()
        assert choices, f"stuck behind {text}"
        column = choices[int(rng.integers(len(choices)))]
        if column is None:
            return text
        state, left, text = part.advance(state, column), left - 1, text + names[column]
        seen.add(state)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_every_way_to_write_a_molecule_is_accepted(part: SmilesPart, tokens: dict[str, int], smiles: str):
    molecule = Chem.MolFromSmiles(smiles)
    written = [smiles, Chem.MolToSmiles(molecule), Chem.MolToSmiles(molecule, kekuleSmiles=True)]
    Chem.rdBase.SeedRandomNumberGenerator(7)
    written += [Chem.MolToSmiles(molecule, doRandom=True) for _ in range(2)]
    assert {text: refused(part, tokens, text) for text in written} == dict.fromkeys(written)


@pytest.mark.parametrize(
    ("smiles", "accepted"),
    [
        ("C(", "C("),
        ("C()", "C("),
        ("(C)", ""),
        ("CC)", "CC"),
        ("C1CC", "C1CC"),
        ("C11", "C1"),
        ("C1C1", "C1C"),
        ("C12CC12", "C12CC1"),
        ("C=", "C="),
        ("C==C", "C="),
        ("C..C", "C."),
        ("FC#N=C", "FC#N"),
        ("CF(C)", "CF"),
        ("O=C=C=C=C=O=C", "O=C=C=C=C=O"),
        ("N(C)(C)(C)C", "N(C)(C)(C)"),
        ("cc", "c"),
        ("c1cccc1", "c1cccc1"),
        ("c1ccccc1=O", "c1ccccc1"),
        ("c1ccccc1:C", "c1ccccc1"),
        ("[CH5]", "[CH5"),
        ("[Q]", "["),
        ("[C@@@]", "[C@@"),
        ("[+]", "["),
        ("C=1CC#1", "C=1CC#"),
        ("*C", ""),
    ],
)
def test_what_is_no_molecule_is_refused_where_it_stops_being_one(
    part: SmilesPart, tokens: dict[str, int], smiles: str, accepted: str
):
    assert refused(part, tokens, smiles) == accepted


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 8, 13, 30])
def test_random_tokens_make_molecules_that_end_in_time(tokens: dict[str, int], budget: int):
    part = SmilesPart({token: column for column, token in enumerate(COMMON)}, len(COMMON))
    rng = np.random.default_rng(budget)
    texts = [drawn(part, COMMON, rng, budget) for _ in range(15)]
    assert max(len(re.findall(PATTERN, text)) for text in texts) <= budget
    assert [text for text in texts if Chem.MolFromSmiles(text) is None] == []


def test_with_few_tokens_left_only_those_are_allowed_that_close_in_time(part: SmilesPart, tokens: dict[str, int]):
    state = part.start()
    for column in columns(tokens, "c1ccc(C"):
        state = part.advance(state, column)
    exact = part.left(state)
    names = {column: token for token, column in tokens.items()}
    assert not part.mask(state, exact - 1).any()
    assert {names[column] for column in np.flatnonzero(part.mask(state, exact)).tolist()} == {"1"}
    assert "%10" in {names[column] for column in np.flatnonzero(part.mask(state, 50)).tolist()}


def test_the_plan_that_finishes_a_molecule_gets_shorter_with_every_token(part: SmilesPart, tokens: dict[str, int]):
    rng = np.random.default_rng(5)
    names = list(tokens)
    for text in ("c1ccc2c(c1", "C1CC2(C", "c1c(n", "O=c1n(C", "[nH]1c", "s1c(=", "C1C(C(C"):
        state = part.start()
        for column in columns(tokens, text):
            state = part.advance(state, column)
        while not part.ends(state):
            left = part.left(state)
            allowed = np.flatnonzero(part.mask(state, left))
            column = int(rng.choice(allowed))
            state, text = part.advance(state, column), text + names[column]
            assert part.left(state) < left
        assert Chem.MolFromSmiles(text) is not None, text


def test_valences_are_those_of_rdkit():
    table = Chem.GetPeriodicTable()
    for symbol in SYMBOLS:
        limits = list(table.GetValenceList(symbol))
        assert capacity(symbol) == (7 if -1 in limits else max(limits)), symbol
    for text, bonds in {"[N+]": 4, "[O-]": 1, "[C-]": 3, "[S-]": 5, "[BH-]": 3, "[Fe+2]": 7}.items():
        assert read_atom(text).room == bonds
    assert read_atom("[CH5]") is None and read_atom("[Qq]") is None


def test_an_alphabet_with_several_atoms_in_a_token_has_no_grammar():
    with pytest.raises(TaskError, match=r"'C\(=O\)' holds several parts"):
        SmilesPart({"C": 0, "C(=O)": 1}, 2)


def test_nothing_is_needed_to_finish_but_one_atom():
    assert least(Partial()) == 1


def test_druglike_molecules_are_accepted_however_they_are_written(
    shared: Path, part: SmilesPart, tokens: dict[str, int]
):
    table = shared / "data" / "pretrain_moses" / "test.csv.gz"
    if not table.is_file():
        pytest.skip(f"no MOSES molecules at {table}")
    with gzip.open(table, "rt") as lines:
        molecules = [Chem.MolFromSmiles(row["SMILES"]) for row in islice(csv.DictReader(lines), 0, 2000, 100)]
    written = [Chem.MolToSmiles(molecule, doRandom=random) for molecule in molecules for random in (False, True)]
    assert [text for text in written if refused(part, tokens, text) is not None] == []


def test_the_symbol_of_a_bracket_is_complete_before_its_chirality() -> None:
    """`[K` can become krypton, which needs no bond, but `[K@` can't."""
    krypton = Bracket(symbol="Kr").site
    assert krypton is not None and krypton != Bracket(symbol="K").site
    assert krypton in outcomes(Bracket(symbol="K"))
    assert krypton not in outcomes(Bracket(symbol="K", turn="@"))
    assert outcomes(Bracket(symbol="K", turn="@")) == outcomes(Bracket(symbol="K", turn="@@"))
