"""From tokens to atoms, residues, bases and variants, and the substructures that are masked together."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from mammal.explanation.content import values_of
from mammal.explanation.drawings import largest_of, molecule_svg, sequence_html, variant_svg
from mammal.explanation.fragments import fragment_text, fragments_of
from mammal.explanation.parts import parts_of
from mammal.explanation.smiles_atoms import molecule_as_written, smiles_atoms
from mammal.tasks import build_task, load_task
from mammal.tokenization import Tokenizer

MOLECULES = [
    "ClCc1c[nH]c2ccccc12",
    "C[C@@H](N)C(=O)O",
    "O=S(=O)(N)c1ccc(Br)cc1",
    "C1CCCCC%10CC1CC%10",
    "[Na+].[O-]C(=O)c1ccccc1",
    "F/C=C/F",
    "[2H]C([2H])O",
    "C%(100)CCCC%(100)",
    "c1ccc2c(c1)[se]cn2",
    "N#CC(C)(C)N=NC(C)(C)C#N",
    "[NH3+]CC1=CN=C-1",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def values(tokenizer: Tokenizer, task: str, row: dict[str, str], every_token: bool = False):
    built = build_task(load_task(task), tokenizer)
    prompt = built.render(row)
    return values_of(prompt, tokenizer.encode(prompt), every_token)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_atoms_of_a_text_are_those_of_rdkit_in_its_order(smiles: str):
    found, molecule = smiles_atoms(smiles), molecule_as_written(smiles)
    assert molecule is not None and len(found.spans) == molecule.GetNumAtoms()
    for (start, end), atom in zip(found.spans, molecule.GetAtoms(), strict=True):
        element = smiles[start:end].strip("[]").lstrip("0123456789")
        assert element.lower().startswith(atom.GetSymbol().lower())
    assert all(sum(shares.values()) == pytest.approx(1) for shares in found.shares)


def test_characters_between_atoms_belong_to_the_atoms_they_join():
    #          0123456789
    found = smiles_atoms("C1CC(=O)N1")
    assert found.shares[1] == {0: 0.5, 4: 0.5}  # both digits of a ring closure join C and N
    assert found.shares[9] == {0: 0.5, 4: 0.5}
    assert found.shares[4] == {2: 1.0} == found.shares[7]  # a branch begins and ends at its atom
    assert found.shares[5] == {2: 0.5, 3: 0.5}  # a double bond
    cut = smiles_atoms("CC(=O)c1cc")
    assert len(cut.spans) == 6 and all(cut.shares)


@pytest.mark.parametrize("seed", range(5))
def test_another_order_of_the_atoms_gives_each_atom_its_own_number(tokenizer: Tokenizer, seed: int):
    """Attributions of 1 on every token of an atom end at that atom, whatever SMILES the molecule is written as."""
    molecule = Chem.MolFromSmiles("ClCc1c[nH]c2cc(S(N)(=O)=O)ccc12")
    order = np.random.default_rng(seed).permutation(molecule.GetNumAtoms()).tolist()
    written = Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False)
    (value,) = values(tokenizer, "bbbp", {"smiles": written})
    assert value.text == Chem.MolToSmiles(molecule), "the task reads the canonical SMILES"
    read = Chem.MolFromSmiles(value.text)
    tokens_L = np.zeros(100)
    sulfur = read.GetSubstructMatch(Chem.MolFromSmarts("S"))[0]
    for place, (start, end) in zip(value.tokens_T, value.spans, strict=True):
        if value.text[start:end] in ("S", "[nH]", "Cl"):
            tokens_L[place] = {"S": 1.0, "[nH]": 2.0, "Cl": 4.0}[value.text[start:end]]
    found = dict(enumerate(value.attributions(tokens_L).tolist()))
    expected = {sulfur: 1.0, read.GetSubstructMatch(Chem.MolFromSmarts("[nH]"))[0]: 2.0}
    expected[read.GetSubstructMatch(Chem.MolFromSmarts("Cl"))[0]] = 4.0
    assert {atom: number for atom, number in found.items() if number} == expected


def test_attributions_of_parts_sum_to_those_of_tokens(tokenizer: Tokenizer):
    rng = np.random.default_rng(0)
    rows = [("bbbp", {"smiles": smiles}) for smiles in MOLECULES]
    rows += [("clinvar", {"sequence": "ACGT[A/G]TTCA[AC/-]G[A/G:0.25]T"}), ("protein_solubility", None)]
    for task, row in rows:
        built = build_task(load_task(task), tokenizer)
        row = row or dict.fromkeys(built.columns, "MKTAYIAKQR")
        for every in (False, True):
            for value in values(tokenizer, task, row, every):
                tokens_L = rng.normal(size=200)
                total = tokens_L[value.tokens_T].sum()
                assert value.attributions(tokens_L).sum() == pytest.approx(total)


def test_variants_are_one_part_whatever_their_tokens(tokenizer: Tokenizer):
    (value,) = values(tokenizer, "clinvar", {"sequence": "ACG[A/G:0.25]TT[AC/-]G"})
    assert [part.text for part in value.parts.parts] == ["A", "C", "G", "[A/G:0.25]", "T", "T", "[AC/-]", "G"]
    assert [part.kind for part in value.parts.parts].count("variant") == 2
    assert len(value.tokens_of([6])) == 6, "an insertion or deletion is written in several tokens"
    assert [3] in fragments_of(value, "groups", 3) and [6] in fragments_of(value, "groups", 3)


def test_parts_that_were_cut_off_are_missing():
    parts = parts_of("MKTAY", "residue", [(0, 1), (1, 2), (2, 3)])
    found = parts.of_tokens([(0, 1), (1, 2), (2, 3)], np.array([1.0, 2.0, 3.0]))
    assert found[:3].tolist() == [1, 2, 3] and np.isnan(found[3:]).all()


def test_two_columns_keep_their_own_parts(tokenizer: Tokenizer):
    task = build_task(load_task("dti_bindingdb_pkd"), tokenizer)
    task.load_state({"scales": {column: {"mean": 0, "std": 1} for column in task.target_columns}})
    prompt = task.render(dict(zip(task.columns, ["MKT", "CCO"], strict=True)))
    protein, drug = values_of(prompt, tokenizer.encode(prompt))
    assert (protein.parts.kind, drug.parts.kind) == ("residue", "atom")
    assert not set(protein.tokens_T) & set(drug.tokens_T)


@pytest.mark.parametrize(
    ("smiles", "how", "expected"),
    [
        ("CCc1ccccc1S(N)(=O)=O", "groups", ["CC", "c1ccccc1", "NS(=O)=O"]),
        ("O=C(Nc1ccncc1)c1ccccc1", "groups", ["O=CN", "c1ccncc1", "c1ccccc1"]),
        ("c1ccc(-c2ccccc2)cc1", "groups", ["c1ccccc1", "c1ccccc1"]),
        ("CCC1CC1C=O", "groups", ["CC", "C1CC1", "C=O"]),
        ("CCOC(=O)c1ccccc1", "brics", ["CC", "O", "C=O", "c1ccccc1"]),
        ("CCO", "atom", ["C", "C", "O"]),
    ],
)
def test_fragments_divide_the_atoms(tokenizer: Tokenizer, smiles: str, how: str, expected: list[str]):
    (value,) = values(tokenizer, "bbbp", {"smiles": smiles})
    found = fragments_of(value, how)
    assert sorted(atom for fragment in found for atom in fragment) == list(range(len(value.parts)))
    texts = [fragment_text(value, fragment) for fragment in found]
    assert sorted(map(_formula, texts)) == sorted(map(_formula, expected))


def _formula(fragment: str) -> tuple[str, ...]:
    """The atoms of a fragment, sorted: its SMILES depends on the order of the molecule's."""
    return tuple(sorted(fragment[start:end] for start, end in smiles_atoms(fragment).spans))


def test_windows_have_the_requested_length(tokenizer: Tokenizer):
    (value,) = values(tokenizer, "tf_binding", {"sequence": "ACGT" * 40})
    assert {len(window) for window in fragments_of(value, "groups", 7)} == {7, 160 % 7}
    assert len(fragments_of(value, "groups")) <= 64


def test_drawings_show_numbers_and_no_markup_of_the_data():
    svg = molecule_svg("CCO", [0.5, -0.25, float("nan")], unit="<b>K</b>")
    assert svg is not None and "&lt;b&gt;" in svg and "+0.5" in svg and "<b>" not in svg
    assert molecule_svg("CCO", [0.5]) is None and molecule_svg("C(", [0.5, 1]) is None
    html = sequence_html(list("ACDEFGHIKLMN"), np.linspace(-1, 1, 12), unit="log-odds of <x>")
    assert "&lt;x&gt;" in html and 'title="12: 1"' in html and "</span> <span" in html
    track = variant_svg(["A", "[A/G]", "T"], ["base", "variant", "base"], [0.1, float("nan"), -2.0])
    assert "[A/G] at 2" in track and track.count("<title>") == 2
    assert largest_of([[0.0], [float("nan")]]) == 1.0 and largest_of([[1.0, -3.0]]) == 3.0
