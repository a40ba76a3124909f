"""Folders and id spaces, and errors in them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mammal.tokenization import Tokenizer
from mammal.tokenization.errors import TokenizerError

SPECIALS = ["<UNK>", "<PAD>", "<EOS>", "<MASK>"]


def word_file(words: list[str], specials: list[str] = SPECIALS, **changes: Any) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": r"<.*?>|\S"}, "behavior": "Removed", "invert": True}
    added = [{"id": id, "content": token, "special": True} for id, token in enumerate(specials)]
    vocab = {token: id for id, token in enumerate([*specials, *words])}
    model = {"type": "WordLevel", "vocab": vocab, "unk_token": "<UNK>"}
    return {"version": "1.0", "added_tokens": added, "pre_tokenizer": split, "model": model} | changes


def pair_file(vocab: list[str], merges: list[Any], **options: Any) -> dict[str, Any]:
    file = word_file(vocab, pre_tokenizer=None)
    file["model"] |= {"type": "BPE", "merges": merges} | options
    return file


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {"LETTERS": word_file(list("BCA")), "PAIRS": pair_file(["A", "B", "AB", "ABAB"], ["A B", "AB AB"])}
    paths = {name: tmp_path / f"{name}.json" for name in contents}
    for name, content in contents.items():
        paths[name].write_text(json.dumps(content))
    return paths


@pytest.fixture
def folder(files: dict[str, Path], tmp_path: Path) -> Path:
    Tokenizer.create(files, ["<FIRST>"], max_token_id=100, max_special_id=9).save(tmp_path / "made")
    return tmp_path / "made"


def test_ids_are_special_tokens_first_then_each_alphabet_in_its_old_order(folder):
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.specials == {"<FIRST>": 0, "<UNK>": 1, "<PAD>": 2, "<EOS>": 3, "<MASK>": 4}
    assert [tokenizer.token(id) for id in tokenizer.alphabet_ids("LETTERS").tolist()] == ["B", "C", "A"]
    assert tokenizer.alphabet_ids("LETTERS").tolist() == [10, 11, 12]
    assert tokenizer.alphabet_ids("PAIRS").tolist() == [13, 14, 15, 16]
    assert tokenizer.vocab_rows == 101


def test_alphabets_can_begin_at_an_id_of_their_own(files):
    entries = {"LETTERS": files["LETTERS"], "PAIRS": {"json_path": files["PAIRS"], "minimal_token_id": 50}}
    assert Tokenizer.create(entries).alphabet_ids("PAIRS").tolist() == [50, 51, 52, 53]


def test_merges_are_read_in_both_spellings_and_hash_alike(files, tmp_path):
    old = Tokenizer.create(files)
    files["PAIRS"].write_text(json.dumps(pair_file(["A", "B", "AB", "ABAB"], [["A", "B"], ["AB", "AB"]]), indent=4))
    new = Tokenizer.create(files)
    prompt = "<@TOKENIZER-TYPE=PAIRS>ABABA<EOS>"
    assert old.decode(old.encode(prompt).ids_L) == "ABABA<EOS>"
    assert old.encode(prompt).ids_L.tolist() == new.encode(prompt).ids_L.tolist()
    assert len(old.encode(prompt)) == 3
    assert old.hash == new.hash


def test_the_hash_follows_whatever_ids_depend_on(folder, files):
    tokenizer = Tokenizer.load(folder)
    before = tokenizer.hash
    tokenizer.add_special_tokens(["<NEW>"])
    assert tokenizer.hash != before
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["tokenizers_info"][0]["max_len"] = 3
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert Tokenizer.load(folder).hash != before


def test_an_alphabet_s_own_max_len_cuts_before_the_segment_s(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["tokenizers_info"][0]["max_len"] = 2
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    tokenizer = Tokenizer.load(folder)
    prompt = "<@TOKENIZER-TYPE=LETTERS>ABC<@TOKENIZER-TYPE=PAIRS><EOS>"
    assert tokenizer.decode(tokenizer.encode(prompt).ids_L) == "AB<EOS>"


def test_new_special_tokens_are_numbered_alphabetically_and_read_everywhere(folder):
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.add_special_tokens(["<Z>", "<A>", "<EOS>", "<Z>", "plain"]) == 3
    assert [tokenizer.special_id(token) for token in ("<A>", "<Z>", "plain")] == [5, 6, 7]
    prompt = "<@TOKENIZER-TYPE=PAIRS>A<Z>plainB<EOS>"
    assert tokenizer.decode(tokenizer.encode(prompt).ids_L) == "A<Z>plainB<EOS>"
    with pytest.raises(TokenizerError, match="ids 8 to 9 are free"):
        tokenizer.add_special_tokens(["<B>", "<C>", "<D>"])
    assert tokenizer.add_special_tokens(["<B>", "<C>"]) == 2


@pytest.mark.parametrize("token", ["", "<@X>", "<@TOKENIZER-TYPE=AA>"])
def test_syntax_can_not_become_a_special_token(folder, token):
    with pytest.raises(TokenizerError, match="can't be a special token"):
        Tokenizer.load(folder).add_special_tokens([token])


def test_an_alphabet_is_added_above_all_ids_with_its_special_tokens(folder, tmp_path):
    tokenizer = Tokenizer.load(folder)
    path = tmp_path / "more.json"
    path.write_text(json.dumps(word_file(["x", "y"], ["<UNK>", "<NEW>"])))
    tokenizer.add_subtokenizer("MORE", path, minimal_token_id=40)
    assert tokenizer.alphabet_ids("MORE").tolist() == [40, 41]
    assert tokenizer.special_id("<NEW>") == 5
    tokenizer.save(tmp_path / "again")
    again = Tokenizer.load(tmp_path / "again")
    assert again.hash == tokenizer.hash
    prompt = "<@TOKENIZER-TYPE=MORE>x<MASK>y<@TOKENIZER-TYPE=LETTERS>A<NEW><EOS>"
    assert again.decode(again.encode(prompt).ids_L) == "x<MASK>yA<NEW><EOS>"
    with pytest.raises(TokenizerError, match="already"):
        tokenizer.add_subtokenizer("MORE", path)


def test_an_alphabet_that_does_not_fit_changes_nothing(folder, tmp_path):
    tokenizer = Tokenizer.load(folder)
    before = tokenizer.hash
    path = tmp_path / "more.json"
    path.write_text(json.dumps(word_file(["x"], ["<UNK>", "<NEW>"])))
    with pytest.raises(TokenizerError, match="above max_possible_token_id 100"):
        tokenizer.add_subtokenizer("MORE", path, minimal_token_id=101)
    assert Tokenizer.load(folder).hash == before == tokenizer.hash
    assert "<NEW>" not in tokenizer.specials


def test_too_many_special_tokens_are_refused(files):
    with pytest.raises(TokenizerError, match="5 special tokens don't fit"):
        Tokenizer.create(files, ["<FIRST>"], max_special_id=3)
    assert max(Tokenizer.create(files, ["<FIRST>"], max_special_id=4).specials.values()) == 4


def change_json(folder: Path, name: str, change) -> None:
    path = folder / f"{name}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


BREAKS = {
    "two tokens, one id": (lambda f: f["model"]["vocab"].update(A=11), "id 11 is not the id of one token: 'C'"),
    "ids of two alphabets": (lambda f: f["model"]["vocab"].update(A=14), "'A' of LETTERS, 'B' of PAIRS"),
    "special tokens differ": (
        lambda f: f["added_tokens"].append({"id": 5, "content": "<X>"}) or f["model"]["vocab"].update({"<X>": 5}),
        "disagree on special tokens: <X>",
    ),
    "above the limit": (lambda f: f["model"]["vocab"].update(A=101), "above max_possible_token_id 100"),
    "no unknown token": (lambda f: f["model"].update(unk_token="[UNK]"), "'\\[UNK\\]' is not in the vocabulary"),
    "a special token without id": (
        lambda f: f["model"]["vocab"].pop("<MASK>"),
        "'<MASK>' is not in the vocabulary of LETTERS",
    ),
    "other model": (lambda f: f["model"].update(type="Unigram"), "only BPE and WordLevel are supported"),
    "padding": (lambda f: f.update(padding={"strategy": "BatchLongest"}), "sets padding"),
    "post-processor": (lambda f: f.update(post_processor={"type": "TemplateProcessing"}), "sets post_processor"),
    "stripping": (lambda f: f["added_tokens"][0].update(lstrip=True), "matching rule that is not supported"),
    "left truncation": (lambda f: f.update(truncation={"direction": "Left", "max_length": 3}), "truncates on the left"),
    "other splits": (lambda f: f.update(pre_tokenizer={"type": "Whitespace"}), "pre-tokenizer that is not supported"),
    "other normalizers": (lambda f: f.update(normalizer={"type": "NFKC"}), "normalizer that is not supported"),
    "no model": (lambda f: f.pop("model"), "not a file of the tokenizers library"),
}


@pytest.mark.parametrize(("change", "says"), BREAKS.values(), ids=BREAKS)
def test_a_broken_alphabet_is_refused_with_its_file(folder, change, says):
    change_json(folder, "LETTERS", change)
    with pytest.raises(TokenizerError, match=says) as error:
        Tokenizer.load(folder)
    assert error.value.where.startswith(str(folder))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config.yaml", "tokenizers_info: [", "not a YAML file"),
        ("config.yaml", "- AA", "not a tokenizer configuration"),
        ("config.yaml", "tokenizers_info: [{name: AA}]", "malformed"),
        ("LETTERS.json", "{", "not a JSON file"),
    ],
)
def test_a_broken_file_is_refused_by_name(folder, name, text, says):
    (folder / name).write_text(text)
    with pytest.raises(TokenizerError, match=says) as error:
        Tokenizer.load(folder)
    assert error.value.where.endswith(name)


def test_a_missing_file_is_named(folder):
    (folder / "LETTERS.json").unlink()
    with pytest.raises(TokenizerError, match="the file of alphabet LETTERS is missing"):
        Tokenizer.load(folder)


@pytest.mark.parametrize("merges", [["A B C"], ["AB"], [["A"]], [3], ["A X"]])
def test_merges_that_make_no_sense_are_refused(folder, merges):
    change_json(folder, "PAIRS", lambda file: file["model"].update(merges=merges))
    with pytest.raises(TokenizerError, match="PAIRS"):
        Tokenizer.load(folder)


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match="holds no tokenizer"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("source", ["no/such/place/at all", "some-owner/no-such-tokenizer"])
def test_what_is_neither_a_folder_nor_a_hub_id_is_refused(source):
    with pytest.raises(TokenizerError, match="neither a folder nor a hub id"):
        Tokenizer.load(source)


def test_names_that_do_not_exist_get_the_nearest_one(folder):
    tokenizer = Tokenizer.load(folder)
    with pytest.raises(TokenizerError, match="did you mean <MASK>"):
        tokenizer.special_id("<MASKE>")
    with pytest.raises(TokenizerError, match="did you mean LETTERS"):
        tokenizer.alphabet_ids("LETTER")
    with pytest.raises(TokenizerError, match="no special token <SCALAR>"):
        _ = tokenizer.scalar_id
    with pytest.raises(TokenizerError, match="id 9 names no token"):
        tokenizer.token(9)


def test_loading_and_working_is_silent_and_light(folder):
    code = (
        "import pickle, sys; from mammal.tokenization import Tokenizer; t = Tokenizer.load(sys.argv[1]);"
        "t.encode('<@TOKENIZER-TYPE=PAIRS>ABABA<EOS>'); t.save(sys.argv[1]); pickle.loads(pickle.dumps(t));"
        "sys.exit(bool({'torch', 'pandas', 'rdkit', 'transformers', 'huggingface_hub'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_tokenizer_says_what_it_is(folder):
    tokenizer = Tokenizer.load(folder)
    assert repr(tokenizer) == f"Tokenizer(LETTERS, PAIRS; 12 tokens, {tokenizer.hash[:12]})"
