"""Id spaces are made, extended and written as by the published tokenizer, byte for byte.

Recorded in `tokenizer_behaviour.json` and the `created*` and `tokenizer_added` folders. Two of its results are bugs of
the published code and differ here: the last special id can be used, and an alphabet can be added.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mammal.tokenization import Tokenizer
from mammal.tokenization.errors import TokenizerError

FILES = {
    "AA": "t5_tokenizer_AA_special.json",
    "SMILES": "bpe_tokenizer_trained_on_chembl_zinc_with_aug_4272372_samples_balanced_1_1.json",
    "CELL_ATTRIBUTES": "cell_attributes_tokenizer.json",
}
FIRST_SPECIALS = ["<UNK>", "<PAD>", "<EOS>", "<SCALAR>", "<MASK>", "<DECODER_START>", "<MY_FIRST>"]


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "compat" / "fixtures"


@pytest.fixture(scope="module")
def behaviour(fixtures: Path) -> dict[str, Any]:
    return json.loads((fixtures / "tokenizer_behaviour.json").read_text(encoding="utf-8"))


@pytest.fixture
def modular(fixtures: Path) -> Tokenizer:
    return Tokenizer.load(fixtures / "tokenizer_modular")


def inputs(fixtures: Path) -> dict[str, Path]:
    return {alphabet: fixtures / "created" / "inputs" / name for alphabet, name in FILES.items()}


def assert_same_files(folder: Path, published: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in published.iterdir())
    for path in folder.iterdir():
        assert path.read_bytes() == (published / path.name).read_bytes(), path.name


def test_created_ids_and_files_are_the_published_ones(fixtures, tmp_path):
    tokenizer = Tokenizer.create(inputs(fixtures), max_token_id=5000, max_special_id=500)
    tokenizer.save(tmp_path)
    assert_same_files(tmp_path, fixtures / "created" / "tokenizer")
    assert tokenizer.hash == Tokenizer.load(fixtures / "created").hash


def test_created_ids_and_files_without_limits_are_the_published_ones(fixtures, behaviour, tmp_path):
    tokenizer = Tokenizer.create(inputs(fixtures), FIRST_SPECIALS)
    tokenizer.save(tmp_path)
    assert_same_files(tmp_path, fixtures / "created_nolimits" / "tokenizer")
    added = tokenizer.add_special_tokens(["<B_NEW>", "<A_NEW>"])
    ids = tokenizer.special_id("<A_NEW>"), tokenizer.special_id("<B_NEW>")
    highest = ("<B_NEW>", tokenizer.vocab_rows - 1)
    assert str((added, *ids, highest)) == behaviour["nolimits_add"]["ok"]


def test_added_special_tokens_get_the_published_ids_and_files(fixtures, behaviour, modular, tmp_path):
    assert modular.add_special_tokens(behaviour["requested"]) == behaviour["returned"]
    assert modular.add_special_tokens(behaviour["requested"]) == behaviour["second_call"]
    assert {token: modular.special_id(token) for token in behaviour["ids"]} == behaviour["ids"]
    modular.save(tmp_path)
    assert_same_files(tmp_path, fixtures / "tokenizer_added" / "tokenizer")
    assert modular.encode("<@TOKENIZER-TYPE=SMILES><BBBP>never_seen_beforeC<EOS>").ids_L.tolist() == [314, 318, 549, 5]


def test_a_regular_token_can_not_become_special(modular):
    before = modular.hash
    with pytest.raises(TokenizerError, match="regular token of AA"):
        modular.add_special_tokens(["<NEW>", "C"])
    assert modular.hash == before


def test_every_special_id_up_to_the_limit_can_be_used(modular):
    names = [f"<NEW_{i}>" for i in range(188)]
    with pytest.raises(TokenizerError, match="ids 314 to 500 are free"):
        modular.add_special_tokens(names)
    assert modular.add_special_tokens(names[:187]) == 187
    assert max(modular.specials.values()) == 500


def test_tokens_are_found_as_published(behaviour, modular):
    assert modular.token_id("C", "AA") == behaviour["get_token_id_C_AA"]
    assert modular.token_id("C", "SMILES") == behaviour["get_token_id_C_SMILES"]
    with pytest.raises(TokenizerError, match="say which alphabet"):
        modular.token_id("C")
    with pytest.raises(TokenizerError):
        modular.token_id("no such token")


def test_decoding_writes_the_published_text(behaviour, fixtures):
    tokenizer = Tokenizer.load(fixtures / "tokenizer_base")
    decode = behaviour["decode"]
    assert tokenizer.decode(decode["ids"]) == decode["text"]
    assert tokenizer.decode(decode["ids"], skip_special=True) == decode["skip_special"]


@pytest.mark.parametrize(("name", "rows"), [("base", 100_001), ("modular", 5_001), ("added", 5_001)])
def test_saving_and_loading_keeps_everything(fixtures, tmp_path, name, rows):
    tokenizer = Tokenizer.load(fixtures / f"tokenizer_{name}")
    tokenizer.save(tmp_path / "bundle" / "tokenizer")
    again = Tokenizer.load(tmp_path / "bundle")
    assert again.hash == tokenizer.hash
    assert again.vocab_rows == rows
    again.save(tmp_path / "twice")
    assert_same_files(tmp_path / "twice", tmp_path / "bundle" / "tokenizer")


def test_genes_can_be_added_without_moving_an_id(fixtures, modular):
    base = Tokenizer.load(fixtures / "tokenizer_base")
    ids = {alphabet: modular.alphabet_ids(alphabet).tolist() for alphabet in modular.alphabets}
    gene_file = fixtures / "tokenizer_base" / "tokenizer" / "gene_tokenizer.json"
    with pytest.raises(TokenizerError, match="above max_possible_token_id 5000"):
        modular.add_subtokenizer("GENE", gene_file, minimal_token_id=5000)
    created = Tokenizer.create(inputs(fixtures), max_token_id=100_000, max_special_id=500)
    created.add_subtokenizer("GENE", gene_file, minimal_token_id=5000)
    assert created.alphabet_ids("GENE")[[0, -1]].tolist() == [5000, 99903]
    assert created.token_id("[BRCA1]") == base.token_id("[BRCA1]")
    assert {alphabet: modular.alphabet_ids(alphabet).tolist() for alphabet in modular.alphabets} == ids
