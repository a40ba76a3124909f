"""Tables for pretraining: what is cleaned, left out and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammal.corpus import build as building
from mammal.corpus.build import build_corpus
from mammal.corpus.held_out import chosen_tasks, overlaps
from mammal.corpus.recipe import CorpusRecipe, read_recipe
from mammal.errors import ConfigError, DataError
from mammal.tasks.pretraining.cleaning import Cleaned, clean

MOLECULES = [
    "OCC",
    "CCO",
    "c1ccccc1",
    "not a molecule",
    "",
    "CC(=O)O",
    "C[S+](C)[O-]",
    "CCCCCCCCCCCC",
    "C[C@H](N)C(=O)O",
]


def test_texts_get_one_spelling_and_a_key() -> None:
    ethanol, sulfoxide, bad = clean(["OCC", "C[S+](C)[O-]", "xyz"], "molecule", 1, 100)
    assert (ethanol.text, ethanol.key) == ("CCO", "LFQSCWFLJHTTHZ")
    assert sulfoxide.text == "CS(C)=O"
    assert bad.reason == "not a valid SMILES"
    assert clean(["mktw*"], "protein", 1, 9) == [Cleaned("MKTW", "MKTW")]
    assert clean(["MK1"], "protein", 1, 9)[0].reason == "unknown residues 1"
    assert clean(["acg[A/G]t"], "dna", 1, 9) == [Cleaned("ACG[A/G]T", "ACGAT")]
    assert [one.reason for one in clean(["CC", "CCCCC"], "molecule", 3, 4)] == ["too short", "too long"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of molecules, and a task whose test row is alanine without stereo."""
    pd.DataFrame({"smiles": MOLECULES}).to_csv(tmp_path / "one.csv", index=False)
    pd.DataFrame({"SMILES": ["CCO", "CCN", "CCCl"]}).to_csv(tmp_path / "two.csv", index=False)
    parts = {"smiles": ["CCCC", "CC(N)C(=O)O"], "y": [1, 2], "split": ["train", "test"]}
    pd.DataFrame(parts).to_csv(tmp_path / "assay.csv", index=False)
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "assay.yaml").write_text(
        "defaults: [schema, _regression, _self_]\nname: assay\n"
        f"data: {{source: file, path: {tmp_path / 'assay.csv'}, split: given}}\n"
        'prompt: {input: "<MASK>{smiles:smiles}", target: "{y:scalar}"}\n'
    )
    return tmp_path


def recipe(folder: Path, **changes: Any) -> CorpusRecipe:
    files = [{"path": str(folder / "one.csv"), "licence": "CC0"}, {"path": str(folder / "two.csv")}]
    molecules = {"entity": "smiles", "longest": 10, "files": files}
    return read_recipe({"name": "mine", "sets": {"molecules": molecules}, "held_out": ["assay"], **changes})


def test_a_corpus_counts_what_it_leaves_out(folder: Path) -> None:
    manifest = build_corpus(recipe(folder), folder / "corpus", config_dirs=[folder])

    table = pd.read_parquet(folder / "corpus" / "molecules.parquet")
    assert sorted(table["smiles"]) == sorted(["CCO", "c1ccccc1", "CC(=O)O", "CS(C)=O", "CCN", "CCCl"])
    one, two = manifest["sets"]["molecules"]["files"]
    expected = {"repeated": 1, "not a valid SMILES": 1, "empty or damaged": 1, "too long": 2}
    assert (one["read"], one["kept"], one["left_out"]) == (9, 4, expected)
    assert two["left_out"] == {"repeated": 1}
    assert one["licence"] == "CC0"
    assert two["licence"] == "not stated"
    assert json.loads((folder / "corpus" / "corpus.json").read_text()) == manifest
    assert not (folder / "corpus" / ".parts").exists()


def test_a_stereoisomer_of_a_test_molecule_is_left_out(folder: Path) -> None:
    wide = recipe(folder, sets={"m": {"entity": "smiles", "files": [{"path": str(folder / "one.csv")}]}})
    manifest = build_corpus(wide, folder / "corpus", config_dirs=[folder])
    assert manifest["sets"]["m"]["files"][0]["left_out"]["in a validation or test set"] == 1
    assert manifest["held_out"]["rows"] == {"assay": 1}
    free = recipe(folder, held_out=[], sets={"m": {"entity": "smiles", "files": [{"path": str(folder / "one.csv")}]}})
    assert "in a validation or test set" not in build_corpus(free, folder / "all")["sets"]["m"]["files"][0]["left_out"]


def test_the_same_recipe_gives_the_same_bytes_and_part_of_each_molecule(folder: Path) -> None:
    half = recipe(folder, valid_share=0.5)
    first = build_corpus(half, folder / "first", config_dirs=[folder])
    second = build_corpus(half, folder / "second", config_dirs=[folder], workers=2)
    assert first["sets"]["molecules"]["hash"] == second["sets"]["molecules"]["hash"]
    parts = pd.read_parquet(folder / "first" / "molecules.parquet").set_index("smiles")["split"]
    assert set(parts) == {"train", "valid"}
    only_two = {"entity": "smiles", "files": [{"path": str(folder / "two.csv")}]}
    build_corpus(recipe(folder, valid_share=0.5, sets={"m": only_two}), folder / "third", config_dirs=[folder])
    others = pd.read_parquet(folder / "third" / "m.parquet").set_index("smiles")["split"]
    assert {name: others[name] for name in ("CCN", "CCO")} == {name: parts[name] for name in ("CCN", "CCO")}


def test_an_interrupted_build_continues(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "CHUNK", 2)
    cleaned: list[int] = []
    real = building.clean

    def stopping(texts: list[str], *how: Any) -> list[Cleaned]:
        cleaned.append(len(texts))
        if len(cleaned) == 3:
            raise KeyboardInterrupt
        return real(texts, *how)

    monkeypatch.setattr(building, "clean", stopping)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(recipe(folder), folder / "corpus", config_dirs=[folder])
    with pytest.raises(ConfigError, match="unfinished corpus of another recipe"):
        build_corpus(recipe(folder, seed=1), folder / "corpus", config_dirs=[folder])
    manifest = build_corpus(recipe(folder), folder / "corpus", config_dirs=[folder])
    whole = build_corpus(recipe(folder), folder / "whole", config_dirs=[folder])
    assert manifest["sets"] == whole["sets"]
    assert sum(cleaned) == 2 * 3 + (9 - 4 + 3) + 12  # no chunk that was finished is cleaned again
    with pytest.raises(ConfigError, match="holds a corpus"):
        build_corpus(recipe(folder), folder / "corpus", config_dirs=[folder])


def test_a_file_can_be_sampled(folder: Path) -> None:
    some = {"entity": "smiles", "files": [{"path": str(folder / "two.csv"), "rows": 2}]}
    manifests = [
        build_corpus(recipe(folder, sets={"m": some}, held_out=[], seed=s), folder / f"c{s}") for s in range(6)
    ]
    assert all(made["sets"]["m"]["files"][0]["read"] == 2 for made in manifests)
    chosen = {tuple(sorted(pd.read_parquet(folder / f"c{s}" / "m.parquet")["smiles"])) for s in range(6)}
    assert len(chosen) > 1


def test_training_rows_of_a_task_can_be_a_source(folder: Path) -> None:
    one = {"entity": "smiles", "files": [{"task": "assay", "column": "smiles"}]}
    manifest = build_corpus(recipe(folder, sets={"m": one}), folder / "corpus", config_dirs=[folder])
    assert pd.read_parquet(folder / "corpus" / "m.parquet")["smiles"].tolist() == ["CCCC"]
    assert manifest["sets"]["m"]["files"][0]["name"] == "task assay"


def test_similar_proteins_are_left_out(folder: Path) -> None:
    held = "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTL"
    near, far = "A" + held[1:], "MTEYKLVVVGAGGVGKSALTIQLIQNHFVDEYDPTIEDSYRKQVVIDGETCLLDILDTAG"
    (folder / "p.csv").write_text(f"sequence,y,split\n{far[::-1]},1,train\n{held},2,test\n")
    (folder / "task" / "fold.yaml").write_text(
        "defaults: [schema, _regression, _self_]\nname: fold\n"
        f"data: {{source: file, path: {folder / 'p.csv'}, split: given}}\n"
        'prompt: {input: "<MASK>{sequence:protein}", target: "{y:scalar}"}\n'
    )
    (folder / "p.fasta").write_text(f">a\n{near}\n>b\n{far}\n")
    one = {"entity": "protein", "identity": 0.5, "files": [{"path": str(folder / "p.fasta")}]}
    build_corpus(recipe(folder, sets={"p": one}, held_out=["fold"]), folder / "corpus", config_dirs=[folder])
    assert pd.read_parquet(folder / "corpus" / "p.parquet")["sequence"].tolist() == [far]


def test_dna_overlaps_by_stretches_on_either_strand() -> None:
    held = "ACGTTGCATTAGCCGATAGCTTAGGCTAACGGATCCATTAGCA"
    from mammal.tokenization.strands import reverse_complement

    texts = [held[5:40], reverse_complement(held), "A" + held[:31] + "T" * 20, "ACGT" * 10]
    assert overlaps(texts, [held]) == [True, True, False, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": {}}, "sets must name the tables"),
        ({"valid_share": 1.5}, "valid_share must be from 0"),
        ({"sets": {"m": {"entity": "smile", "files": [{"path": "a"}]}}}, "did you mean smiles"),
        ({"sets": {"m": {"entity": "smiles", "files": []}}}, "at least one file"),
        ({"sets": {"m": {"entity": "smiles", "files": [{"path": "a", "task": "b"}]}}}, "a path or a task"),
        ({"sets": {"m": {"entity": "smiles", "files": [{"path": "a", "colum": "b"}]}}}, "did you mean column"),
        ({"held_outs": []}, "did you mean held_out"),
    ],
)
def test_slips_in_a_recipe_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe(folder, **changes)


def test_unknown_tasks_and_columns_are_refused(folder: Path) -> None:
    assert chosen_tasks(["a*"], ["ab"], ["aa", "ab", "b"]) == ["aa"]
    with pytest.raises(ConfigError, match="assay"):
        build_corpus(recipe(folder, held_out=["asay"]), folder / "corpus", config_dirs=[folder])
    wrong = {"entity": "smiles", "files": [{"path": str(folder / "one.csv"), "column": "smile"}]}
    with pytest.raises(DataError, match="did you mean smiles"):
        build_corpus(recipe(folder, sets={"m": wrong}, held_out=[]), folder / "other")
