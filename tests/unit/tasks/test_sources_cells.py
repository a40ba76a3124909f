"""Cells from h5ad files, and the response of cell lines to drugs."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.tables import h5ad
from mammal.tasks.tables.h5ad import MAX_GENES, MIN_GENES
from mammal.tasks.tables.readers import iter_tables, read_table
from mammal.tokenization import Tokenizer
from mammal.tokenization.errors import PromptError

h5py = pytest.importorskip("h5py")

GENES = ["B2M", "ACTB", "MALAT1", "CD3E"]
COUNTS = [[8, 0, 90, 2], [0, 5, 0, 5], [0, 0, 0, 0]]
TYPES = ["CL:0000236", "CL:0000451", "CL:0000236"]


def write_h5ad(
    file: Path, counts: Any = COUNTS, genes: list[str] = GENES, form: str = "csr_matrix", **groups: Any
) -> Path:
    """An AnnData file of the current layout; `groups`: further columns of var (`var`) and raw counts (`raw`)."""
    with h5py.File(file, "w") as store:
        _write_matrix(store, np.array(counts, dtype=np.float32), form)
        _write_frame(store.create_group("var"), genes, groups.get("var", {}))
        if "raw" in groups:
            raw = store.create_group("raw")
            _write_matrix(raw, np.array(groups["raw"], dtype=np.float32), form)
            _write_frame(raw.create_group("var"), genes, {})
        cells = len(counts)
        obs = store.create_group("obs")
        _write_frame(obs, [f"cell{n}" for n in range(cells)], {"batch": np.arange(cells)})
        kinds = sorted(set(TYPES))
        group = obs.create_group("cell_type_ontology_term_id")
        group["categories"] = kinds
        group["codes"] = np.array([kinds.index(TYPES[n % 3]) for n in range(cells)], dtype=np.int8)
        obs.attrs["column-order"] = ["cell_type_ontology_term_id", "batch"]
    return file


def _write_matrix(group: Any, counts: np.ndarray, form: str) -> None:
    if form == "array":
        group["X"] = counts
        return
    matrix = sparse.csc_matrix(counts) if form == "csc_matrix" else sparse.csr_matrix(counts)
    node = group.create_group("X")
    node.attrs["encoding-type"], node.attrs["shape"] = form, counts.shape
    node["data"], node["indices"], node["indptr"] = matrix.data, matrix.indices, matrix.indptr


def _write_frame(group: Any, index: list[str], columns: dict[str, Any]) -> None:
    group.attrs["_index"], group.attrs["column-order"] = "_index", list(columns)
    group["_index"] = index
    for name, values in columns.items():
        group[name] = values


@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "array"])
def test_genes_are_ranked_by_expression_and_then_by_name(tmp_path: Path, form: str):
    frame = read_table(write_h5ad(tmp_path / "cells.h5ad", form=form))
    assert frame["genes"].tolist() == ["[MALAT1][B2M][CD3E]", "[ACTB][CD3E]", ""]
    assert frame["n_genes"].tolist() == [3, 2, 0]
    assert frame["cell"].tolist() == ["cell0", "cell1", "cell2"] and frame["batch"].tolist() == [0, 1, 2]
    assert frame["cell_type_ontology_term_id"].tolist() == TYPES


def test_ranks_do_not_depend_on_how_deeply_a_cell_was_read(tmp_path: Path):
    shallow, deep = [[1, 2, 4, 0]], [[10, 20, 40, 0]]
    frame = read_table(write_h5ad(tmp_path / "cells.h5ad", shallow + deep))
    assert frame["genes"].nunique() == 1


def test_genes_of_one_bin_stand_in_alphabetical_order(tmp_path: Path):
    frame = read_table(write_h5ad(tmp_path / "cells.h5ad", [[10, 11, 1000, 12]]))
    assert frame["genes"].tolist() == ["[MALAT1][ACTB][B2M][CD3E]"], "10, 11 and 12 of 1,033 share a bin"


def test_only_the_genes_that_a_prompt_holds_are_written(tmp_path: Path):
    genes = [f"G{n}" for n in range(MAX_GENES + 20)]
    frame = read_table(write_h5ad(tmp_path / "cells.h5ad", [[1] * len(genes)], genes))
    assert frame["genes"][0].count("[") == MAX_GENES and frame["n_genes"][0] == len(genes)


def test_raw_counts_go_before_normalised_ones_and_symbols_before_ids(tmp_path: Path):
    raw = [[1, 0, 9, 0]]
    frame = read_table(write_h5ad(tmp_path / "raw.h5ad", [[9.0, 0, 1.0, 0]], raw=raw))
    assert frame["genes"].tolist() == ["[MALAT1][B2M]"]
    ids = [f"ENSG0000{n}" for n in range(4)]
    frame = read_table(write_h5ad(tmp_path / "ids.h5ad", [[1, 0, 9, 0]], ids, var={"feature_name": GENES}))
    assert frame["genes"].tolist() == ["[MALAT1][B2M]"]


def by_whole_matrix(counts: np.ndarray, genes: list[str]) -> tuple[list[int], list[str]]:
    """Genes of each cell and their text, from one dense matrix: what reading by blocks must come to."""
    depth = (counts > 0).sum(axis=1)
    levels = np.log2(1 + counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    known = levels[depth >= MIN_GENES] if (depth >= MIN_GENES).any() else levels
    stored = known[known > 0]
    edges = np.linspace(stored.min(), stored.max(), h5ad.BINS + 1)
    texts = []
    for row, level in zip(counts, levels, strict=True):
        ranked = sorted((-int(np.digitize(level[g], edges)), genes[g]) for g in np.flatnonzero(row))
        texts.append("".join(f"[{name}]" for _, name in ranked[:MAX_GENES]))
    return depth.tolist(), texts


@pytest.mark.parametrize("rows", [1, 3, 500])
@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "array"])
def test_bins_are_those_of_the_whole_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, rows: int):
    monkeypatch.setattr(h5ad, "ROWS", rows)
    rng = np.random.default_rng(0)
    genes = [f"G{n}" for n in rng.permutation(300)]
    counts = rng.geometric(0.05, (11, 300)) * (rng.random((11, 300)) < np.linspace(0.0, 1.0, 11)[:, None])
    assert 0 < (np.count_nonzero(counts, axis=1) < MIN_GENES).sum() < 11, "shallow cells and deep ones"
    frame = pd.concat(h5ad.iter_cells(write_h5ad(tmp_path / "cells.h5ad", counts, genes, form), chunk=4))
    assert (frame["n_genes"].tolist(), frame["genes"].tolist()) == by_whole_matrix(counts, genes)


def test_stored_zeros_are_no_genes(tmp_path: Path):
    file = write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(file, "a") as store:
        store["X/data"][0] = 0.0
    frame = read_table(file)
    assert frame["n_genes"].tolist() == [2, 2, 0] and frame["genes"][0] == "[MALAT1][CD3E]"


@pytest.mark.parametrize("form", ["csr_matrix", "array"])
def test_memory_does_not_grow_with_the_counts_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str):
    monkeypatch.setattr(h5ad, "ROWS", 20)
    genes = [f"G{n}" for n in range(2000)]
    peaks = []
    for cells in (40, 400):
        file = write_h5ad(tmp_path / f"{cells}.h5ad", np.ones((cells, len(genes))), genes, form)
        next(h5ad.iter_cells(file, chunk=20))  # imports
        tracemalloc.start()
        assert sum(len(frame) for frame in h5ad.iter_cells(file, chunk=20)) == cells
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks


def test_cells_are_read_in_chunks_and_up_to_a_limit(tmp_path: Path):
    file = write_h5ad(tmp_path / "cells.h5ad")
    chunks = list(iter_tables(file, chunk=2))
    assert [len(chunk) for chunk in chunks] == [2, 1]
    whole = read_table(file)
    assert pd.concat(chunks, ignore_index=True).equals(whole)
    assert read_table(file, limit=2).equals(whole.head(2))


def test_what_is_no_h5ad_of_counts_is_refused(tmp_path: Path):
    (tmp_path / "text.h5ad").write_text("cell,gene\n")
    with pytest.raises(DataError, match=r"text\.h5ad.*not an AnnData file"):
        read_table(tmp_path / "text.h5ad")
    with pytest.raises(DataError, match="negative expression"):
        read_table(write_h5ad(tmp_path / "scaled.h5ad", [[-1.0, 0.5, 0, 0]]))
    with h5py.File(tmp_path / "other.h5ad", "w") as store:
        store["data"] = [1]
    with pytest.raises(DataError, match="not an AnnData file"):
        read_table(tmp_path / "other.h5ad")


def test_without_h5py_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match="pip install h5py"):
        read_table(file)


def test_zheng68k_leaves_shallow_cells_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    genes = [f"G{n}" for n in range(MIN_GENES)]
    (tmp_path / "cell_type_zheng68k").mkdir()
    counts = [[1] * MIN_GENES, [1] * (MIN_GENES - 1) + [0]]
    write_h5ad(tmp_path / "cell_type_zheng68k/zheng68k.h5ad", counts, genes)
    frame = load_dataset(load_task("zheng68k").data, {"data": tmp_path})
    assert frame["cell"].tolist() == ["cell0"] and "1 cells with fewer than 200 genes" in caplog.text


@pytest.fixture
def with_genes(tmp_path: Path) -> Tokenizer:
    """Our own tokenizer with small GENE and CELL_ATTRIBUTES alphabets above its ids."""
    tokenizer = Tokenizer.load(None)
    genes = [f"[{gene}]" for gene in (*GENES, "RPL10", "RPS27")]
    for name, tokens in {"GENE": genes, "CELL_ATTRIBUTES": load_task("zheng68k").codes}.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(_word_level(tokens, tokenizer.specials)))
        tokenizer.add_subtokenizer(name, file, minimal_token_id=8192)
    return tokenizer


def _word_level(tokens: list[str], specials: dict[str, int]) -> dict[str, Any]:
    """A WordLevel file whose words are tags, brackets with their content, or single characters."""
    first = max(specials.values()) + 1
    vocabulary = {**specials, **{token: first + n for n, token in enumerate(tokens)}}
    added = [
        {"id": id, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for token, id in specials.items()
    ]  # fmt: skip
    pattern = {"type": "Split", "pattern": {"Regex": r"<.*?>|\[.*?\]|\S"}, "behavior": "Isolated", "invert": False}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<UNK>"}
    return {"version": "1.0", "added_tokens": added, "pre_tokenizer": pattern, "model": model}


def test_cell_types_are_read_with_alphabets_added_above_our_own_ids(with_genes: Tokenizer):
    config = load_task("zheng68k")
    example = build_task(config, with_genes).encode(config.example, target=True)
    ids_L = example.input.ids_L
    assert (ids_L >= 8192).sum() == 4 and with_genes.unk_id not in ids_L
    assert [with_genes.token(int(id)) for id in ids_L[-3:]] == ["<CELL_TYPE_CLASS>", "<SENTINEL_ID_0>", "<EOS>"]


def test_without_the_gene_alphabet_the_error_says_where_it_comes_from(tokenizer: Tokenizer):
    with pytest.raises(PromptError, match="tokenizer=FOLDER"):
        build_task(load_task("zheng68k"), tokenizer)


@pytest.fixture
def gdsc(tmp_path: Path) -> Path:
    folder = tmp_path / "cell_line_drug_deepcdr"
    folder.mkdir()
    matrix = {"": ["GDSC:1", "GDSC:2", "GDSC:9"], "ACH-1": ["1.5", "NA", "0"], "ACH-2": ["-2.25", "3.0", "NA"]}
    drugs = {"drug_id": ["2", "1", "9"], "Name": ["two", "one", "nine"], "PubCHEM": ["22", "11", "none"]}
    field = {"depMapID": ["ACH-1"], "Site_Primary": ["lung"], "Histology": ["carcinoma"]}
    field |= {"Hist_Subtype1": ["small_cell_carcinoma"], "type_refined": ["NS"]}
    pd.DataFrame(matrix).to_csv(folder / "GDSC_IC50.csv.gz", index=False)
    pd.DataFrame(drugs).to_csv(folder / "Drug_list.csv.gz", index=False)
    pd.DataFrame([["22", "CCN"], ["11", "CCO"]]).to_csv(
        folder / "223drugs_pubchem_smiles.txt.gz", index=False, header=False, sep="\t"
    )
    pd.DataFrame(field).to_csv(folder / "Cell_lines_annotations_20181226.txt.gz", index=False, sep="\t")
    return tmp_path


def test_the_response_matrix_becomes_rows_of_drugs_with_a_structure(gdsc: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    frame = load_dataset(DataConfig(source="cells", name="gdsc"), {"data": gdsc})
    assert frame[["smiles", "cell_line", "ln_ic50"]].values.tolist() == [
        ["CCO", "ACH-1", 1.5], ["CCO", "ACH-2", -2.25], ["CCN", "ACH-2", 3.0],
    ]  # fmt: skip
    assert frame["pair"].tolist() == ["11 ACH-1", "11 ACH-2", "22 ACH-2"]
    assert "1 of 4 values" in caplog.text, "drug 9 has no structure"


def test_a_cell_line_is_written_in_words(gdsc: Path, tokenizer: Tokenizer):
    loaded = load_data(load_task("drug_response", {"data": {"fractions": [1.0, 0.0, 0.0]}}), {"data": gdsc})
    assert loaded.frame["attributes"].tolist() == ["lung; carcinoma; small cell carcinoma", "unknown", "unknown"]
    prompt = build_task(load_task("drug_response"), tokenizer).render(loaded.rows("train")[0])
    tags = "<MOLECULAR_ENTITY><MOLECULAR_ENTITY_CELL_LINE><SEQUENCE_NATURAL_START>ACH-1<SEQUENCE_NATURAL_END>"
    assert f"<@TOKENIZER-TYPE=IUPAC@MAX-LEN=24>{tags}" in prompt.input
    assert tokenizer.unk_id not in tokenizer.encode(prompt).ids_L


def test_gene_ranks_of_the_user_become_a_column(gdsc: Path):
    ranks = pd.DataFrame({"cell_line": ["ACH-2"], "genes": ["[MALAT1][B2M]"]})
    ranks.to_csv(gdsc / "cell_line_drug_deepcdr/gene_ranks.csv", index=False)
    frame = load_dataset(DataConfig(source="cells", name="gdsc"), {"data": gdsc})
    assert frame["genes"].tolist() == ["", "[MALAT1][B2M]", "[MALAT1][B2M]"]


def test_missing_copies_and_misspelt_sets_are_reported(tmp_path: Path):
    with pytest.raises(DataError, match=r"GDSC_IC50\.csv\.gz.*DeepCDR"):
        load_dataset(DataConfig(source="cells", name="gdsc"), {"data": tmp_path})
    with pytest.raises(DataError, match=r"zheng68k\.h5ad"):
        load_dataset(DataConfig(source="cells", name="zheng68k"), {"data": tmp_path})
    with pytest.raises(TaskError, match="did you mean zheng68k"):
        load_dataset(DataConfig(source="cells", name="zheng68"), {"data": tmp_path})


def test_sizes_of_the_real_data(shared: Path):
    if not (shared / "data/cell_line_drug_deepcdr").is_dir():
        pytest.skip("no local copy of the data")
    paths = {"data": shared / "data"}
    response = load_dataset(DataConfig(source="cells", name="gdsc"), paths)
    assert len(response) == 186_789 and response["cell_line"].nunique() == 969
    assert response["ln_ic50"].mean() == pytest.approx(2.077, abs=1e-3), "2.100 with the drugs that have no structure"
    cells = load_dataset(load_task("zheng68k").data, paths)
    assert len(cells) == 165 and set(cells["cell_type_ontology_term_id"]) == set(load_task("zheng68k").labels)
    assert cells["genes"].str.startswith("[").all()
