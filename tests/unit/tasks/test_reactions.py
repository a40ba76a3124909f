"""Reactions: roles found by atoms, sides in the same order, sources without leaks, metrics of sets of molecules."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pandas as pd
import pytest

from mammal.tasks import build_task, load_task
from mammal.tasks.data import load_data
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.metrics.answers import Answers, object_array
from mammal.tasks.metrics.text_metrics import different_molecules, main_molecule_match, top5_molecule_match
from mammal.tasks.molecules.chemistry import canonical_or_none
from mammal.tasks.reactions.mapped import from_edits, from_maps
from mammal.tasks.reactions.sets import main_molecule
from mammal.tasks.reactions.writing import written
from mammal.tasks.sources.kept import kept
from mammal.tokenization import Tokenizer

ACYLATION = "[CH3:1][C:2](=[O:3])[Cl:4].[NH2:5][c:6]1[cH:7][cH:8][cH:9][cH:10][cH:11]1.[CH3:12][CH2:13][OH:14]"
ANILIDE = "CC(=O)Nc1ccccc1"
EDITS = "5;;2-4-1.0;2-5-1.0"
MAPPED_ANILIDE = "[CH3:1][C:2](=[O:3])[NH:5][c:6]1[cH:7][cH:8][cH:9][cH:10][cH:11]1"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def test_edits_and_map_numbers_tell_the_same_roles():
    by_edits = written(from_edits(ACYLATION, ANILIDE, EDITS))
    assert by_edits["reactants"] == "CC(=O)Cl.Nc1ccccc1"
    assert by_edits["reagents"] == "CCO"
    assert by_edits["precursors"] == "CC(=O)Cl.CCO.Nc1ccccc1"
    assert by_edits["product"] == ANILIDE
    assert by_edits == written(from_maps(ACYLATION, MAPPED_ANILIDE))


def test_a_molecule_that_reacts_twice_is_still_a_reactant():
    twice = from_edits("[OH:1][CH2:2][CH2:3][OH:4].[CH3:5][S:6](=[O:7])(=[O:8])[Cl:9]", "CS(=O)(=O)OCCOS(C)(=O)=O",
                       "1,4;;6-9-1.0;1-6-1.0,4-6-1.0")  # fmt: skip
    assert written(twice)["reactants"] == "CS(=O)(=O)Cl.OCCO"


def test_a_product_that_comes_from_nothing_is_refused():
    with pytest.raises(DataError, match="no atom of the product"):
        from_maps("[CH4:1]", "[CH4:2]")
    with pytest.raises(DataError, match="invalid SMILES"):
        from_maps("[CH5:1]", "[CH4:1]")


AMINE = ("[NH2:1][CH2:2][CH2:3][CH3:4].[Br:5][CH2:6][CH2:7][O:8][CH3:9]",
         "[CH3:9][O:8][CH2:7][CH2:6][NH:1][CH2:2][CH2:3][CH3:4]")  # fmt: skip
ESTER = ("[C@@H:1]([CH3:2])([NH2:3])[C:4](=[O:5])[Cl:6].[CH3:7][OH:8]",
         "[C@@H:1]([CH3:2])([NH2:3])[C:4](=[O:5])[O:8][CH3:7]")  # fmt: skip


@pytest.mark.parametrize(("precursors", "product"), [(ACYLATION, MAPPED_ANILIDE), AMINE, ESTER])
def test_an_aligned_side_is_the_same_molecules_from_the_same_first_atom(precursors: str, product: str):
    sides = written(from_maps(precursors, product))
    assert canonical_or_none(sides["aligned_reactants"]) == sides["reactants"]
    assert canonical_or_none(sides["aligned_product"]) == sides["product"]
    assert sides["aligned_reactants"][0] == sides["product"][0]


def test_aligned_reactants_stand_in_the_order_of_the_product():
    sides = written(from_maps(*AMINE))
    assert sides["product"] == "CCCNCCOC"
    assert sides["reactants"] == "CCCN.COCCBr" and sides["aligned_reactants"] == "CCCN.C(COC)Br"


def test_the_aligned_product_follows_the_reactants():
    sides = written(from_maps(ACYLATION, MAPPED_ANILIDE))
    assert sides["aligned_product"] == "CC(=O)Nc1ccccc1"
    swapped = written(from_maps("[NH2:5][CH2:6][CH2:7][CH3:8].[ClH:1].[CH3:2][C:3](=[O:4])[OH:9]",
                                "[CH3:2][C:3](=[O:4])[NH:5][CH2:6][CH2:7][CH3:8]"))  # fmt: skip
    assert swapped["aligned_product"].startswith("CC(")  # acetic acid stands first: CC(=O)O.CCCN
    assert swapped["reagents"] == "Cl"


LINE = f"{ACYLATION}>>{ANILIDE} {EDITS}\n"
OTHERS = (
    "[CH3:1][C:2](=[O:3])[Cl:4].[NH2:5][CH3:6]>>CNC(C)=O 5;;2-4-1.0;2-5-1.0\n",
    "[CH3:1][C:2](=[O:3])[Cl:4].[OH:5][CH3:6]>>COC(C)=O 5;;2-4-1.0;2-5-1.0\n",
    "[CH3:1][C:2](=[O:3])[Cl:4].[OH:5][CH2:6][CH3:7]>>CCOC(C)=O 5;;2-4-1.0;2-5-1.0\n",
)


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Local copies of a few reactions; one of train makes the product of a test row, one can't be read."""
    monkeypatch.setenv("MAMMAL_CACHE", str(tmp_path / "kept"))
    root = tmp_path / "data"
    parts = {"train": LINE + OTHERS[0] + "C>>[C 1;;;\n", "valid": OTHERS[1], "test": LINE + OTHERS[2]}
    for part, lines in parts.items():
        _put(root / f"uspto15k/{part}.txt.gz", gzip.compress(lines.encode()))
    table = "id,class,reactants>reagents>production\nUS1,5,[CH4:1]>>[CH4:1]\n"
    for part in ("eval", "test"):
        _put(root / f"uspto50k/{part}.csv.gz", gzip.compress(table.encode()))
    for part in ("valid", "test"):
        mapped = "[CH3:1][Br:2].[NH3:3]>>[CH3:1][NH2:3] 1-2;1-3\n"
        _put(root / f"uspto_mit/{part}.txt.gz", gzip.compress(mapped.encode()))
    full = f"input,target\n{MAPPED_ANILIDE},{ACYLATION}\n[CH3:1][OH:2],[CH3:1]I.[OH2:2]\n"
    _put(root / "uspto_full_gln/uspto_valT.csv.xz", lzma.compress(full.encode()))
    return {"data": str(root)}


def _put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_train_holds_no_product_of_the_rows_that_are_judged(copies: dict[str, str]):
    data = load_data(load_task("retrosynthesis"), copies)
    assert data.part("train")["product"].tolist() == ["CNC(C)=O"], "the anilide is a test product; one can't be read"
    assert data.part("test")["product"].tolist() == [ANILIDE, "CCOC(C)=O"]
    wide = load_data(load_task("retrosynthesis", {"data": {"name": "uspto15k_wide"}}), copies)
    assert sorted(set(wide.part("train")["product"])) == ["CN", "CNC(C)=O", "CO"], "the anilide of uspto_full left out"
    assert set(wide.part("train")["table"]) == {"uspto15k_train", "uspto_full", "uspto_mit_valid", "uspto_mit_test"}


def test_kept_tables_are_read_again_until_the_file_changes(copies: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    from mammal.tasks.sources import reactions

    config = load_task("forward_reaction")
    before = load_data(config, copies).frame
    read: list[str] = []
    original = reactions._read
    monkeypatch.setattr(reactions, "_read", lambda name, file: read.append(name) or original(name, file))
    assert load_data(config, copies).frame.equals(before) and read == []
    _put(Path(copies["data"]) / "uspto15k/valid.txt.gz", gzip.compress((OTHERS[1] * 2).encode()))
    assert len(load_data(config, copies).part("valid")) == 2 and read == ["uspto15k_valid"]


def test_the_side_to_be_learned_keeps_its_order_and_the_other_is_made_canonical(tokenizer: Tokenizer):
    task = build_task(load_task("retrosynthesis"), tokenizer)
    prompt = task.render({"product": "c1ccccc1NC(C)=O", "reactants": "Nc1ccccc1.CC(=O)Cl"}, target=True)
    assert f">{ANILIDE}<" in prompt.input and ">Nc1ccccc1.CC(=O)Cl<" in str(prompt.target)


def test_a_side_that_is_none_is_named(copies: dict[str, str]):
    with pytest.raises(TaskError, match="aligned is 'produkt'"):
        load_data(load_task("retrosynthesis", {"data": {"aligned": "produkt"}}), copies)


def answers(truth: str, *said: str) -> Answers:
    return Answers(object_array([truth]), object_array([said[0]]), ranked_N=object_array([said]))


def test_beams_that_spell_the_same_molecule_are_one_answer():
    spellings = ("CCO", "OCC", "C(C)O", "C(O)C", "OC(C)")
    assert different_molecules((*spellings, "CC", "x", "x")) == ["CCO", "CC", "x"]
    assert top5_molecule_match(answers("CC", *spellings, "C", "CC")).tolist() == [1.0]
    assert top5_molecule_match(answers("CC", "C", "N", "O", "S", "P", "CC")).tolist() == [0.0]


def test_a_set_of_molecules_matches_in_any_order_and_the_main_product_without_its_salts():
    assert top5_molecule_match(answers("CCO.N", "N.OCC")).tolist() == [1.0]
    assert main_molecule("Cl.CCN.O") == "CCN"
    assert main_molecule_match(answers("CCN", "Cl.NCC")).tolist() == [1.0]
    assert main_molecule_match(answers("CCN", "Cl")).tolist() == [0.0]


def test_a_row_of_the_published_file(shared: Path):
    root = shared / "data"
    if not (root / "uspto15k").is_dir():
        pytest.skip(f"no USPTO-15k at {root}")
    with gzip.open(root / "uspto15k/test.txt.gz", "rt") as lines:
        reaction, edits = lines.readline().split()
    before, _, product = reaction.split(">")
    sides = written(from_edits(before, product, edits))
    assert sides["reagents"] == "" and sides["reactants"].count(".") == 1
    assert sides["aligned_reactants"].startswith(sides["product"][:60])


def test_copying_and_the_commonest_answer_are_baselines(tokenizer: Tokenizer):
    from mammal.tasks.baselines.fit import baselines

    task = build_task(load_task("forward_reaction"), tokenizer)
    train = [{"reactants": "CC(=O)Cl.CN", "product": product} for product in ("CNC(C)=O", "CCO", "OCC", "C")]
    test = [{"reactants": "CC(=O)Cl.NC", "product": "CNC(C)=O"}, {"reactants": "C(", "product": "C"}]
    said = baselines(task, train, test)
    assert said["unchanged"][0].text == "CC(=O)Cl" and "invalid SMILES" in str(said["unchanged"][1].error)
    assert said["commonest"][0].text == "CCO", "in two spellings"
    assert len(said["commonest"][0].runners_up) == 2
    assert task.metrics(said["nearest"], test)["molecule_match"] == 1.0


def test_names_of_molecules_are_not_copied(tokenizer: Tokenizer):
    from mammal.tasks.baselines.fit import baselines

    row = {"iupac": "ethanol", "smiles": "CCO"}
    assert set(baselines(build_task(load_task("iupac_to_smiles"), tokenizer), [row], [row])) == {"nearest"}


def test_a_kept_table_is_made_anew_by_another_rdkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAMMAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "file").write_text("x")
    made: list[int] = []

    def make() -> pd.DataFrame:
        made.append(1)
        return pd.DataFrame({"smiles": ["C"]})

    for version in ("1", "1", "2"):
        monkeypatch.setattr("rdkit.__version__", version)
        kept("table", 1, [tmp_path / "file"], make)
    assert len(made) == 2
