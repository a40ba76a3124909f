"""Ids, masks and values are those of the published tokenizer, record by record.

`golden_tokens.jsonl` was written by running biomed-multi-alignment 0.2.4. What the published code refuses because of
the prompt must be refused here too, with the place; what it refuses because of how it is called is left out below.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammal.tokenization import Encoding, Tokenizer
from mammal.tokenization.errors import MammalError
from mammal.tokenization.prompt import segment

ABOUT_THE_PUBLISHED_API = {
    "no_ids_key": "its output key is missing",
    "trunc_without_sample_id": "it can't report a truncation without a sample id",
    "overall_trunc_without_sample_id": "it can't report a truncation without a sample id",
    "typed_list_empty": "its typed lists",
    "typed_list_bad": "its typed lists",
    "scalars_from_dict_numpy": "it takes torch tensors only; any array is read here",
    "scalars_from_dict_list": "it takes torch tensors only; any array is read here",
    "ctor_raise_call_none": "a default of its constructor",
}
WITHOUT_A_PLACE = {"max_seq_len_neg", "on_unknown_bad_unk"}
"""Refusals of an argument, not of the prompt."""


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "compat" / "fixtures"


@pytest.fixture(scope="module")
def records(fixtures: Path) -> list[dict[str, Any]]:
    with (fixtures / "golden_tokens.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def tokenizers(fixtures: Path) -> dict[str, Tokenizer]:
    return {name: Tokenizer.load(fixtures / f"tokenizer_{name}") for name in ("base", "modular", "added")}


def prompt_of(record: dict[str, Any]) -> str:
    """The record's prompt; a typed list in its wire form."""
    if isinstance(record["prompt"], str):
        return record["prompt"]
    return "".join(segment(alphabet, text, max_len, trunc) for alphabet, text, max_len, trunc in record["prompt"])


def sample_of(record: dict[str, Any]) -> dict[str, Any]:
    def array(value: Any) -> Any:
        return np.array(value["tensor"], dtype=value["dtype"]) if isinstance(value, dict) else value

    return {key: array(value) for key, value in (record.get("sample") or {}).items()}


def encode(tokenizer: Tokenizer, record: dict[str, Any]) -> Encoding:
    arguments = record.get("kwargs") or {}
    max_len = arguments.get("max_seq_len", (record.get("ctor") or {}).get("max_size"))
    return tokenizer.encode(
        prompt_of(record),
        max_len=max_len,
        pad=True,
        on_unknown=arguments.get("on_unknown", "warn"),
        require_eos=arguments.get("validate_ends_with_eos", True),
        sample=sample_of(record),
    )


def is_refused_number(record: dict[str, Any]) -> bool:
    """NaN and infinity are read by the published code and refused here."""
    return "SCALARS_LITERALS" in str(record["prompt"]) and bool(re.search("nan|inf", str(record["prompt"])))


def assert_equal(encoding: Encoding, record: dict[str, Any]) -> None:
    assert encoding.ids_L.tolist() == record["ids"], f"record {record['id']}"
    assert encoding.mask_L.astype(int).tolist() == [int(flag) for flag in record["attention_mask"]]
    if "scalars_values" not in record:
        return
    flags, values = record["scalars_valid_mask"], record["scalars_values"]
    length = len(record["ids"])
    assert encoding.has_value_L.astype(int).tolist() == ([0] * length if flags == "all 0" else flags)
    published = [-1000.0] * length if values == "all -1000.0" else values
    assert np.where(encoding.has_value_L, encoding.values_L, np.float32(-1000)).tolist() == published


def test_every_accepted_prompt_gives_the_published_ids_mask_and_values(records, tokenizers):
    checked = 0
    for record in records:
        if "error" in record or record["group"] == "rand_trunc" or is_refused_number(record):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoding = encode(tokenizers[record["tokenizer"]], record)
        assert_equal(encoding, record)
        checked += 1
    assert checked >= 150


def test_random_truncation_draws_the_published_windows_in_order(records, fixtures):
    tokenizer = Tokenizer.load(fixtures / "tokenizer_base")
    drawn = [record for record in records if record["group"] == "rand_trunc"]
    one_by_one = [encode(tokenizer, record) for record in drawn]
    for encoding, record in zip(one_by_one, drawn, strict=True):
        assert_equal(encoding, record)
    batch = Tokenizer.load(fixtures / "tokenizer_base").encode_batch([record["prompt"] for record in drawn])
    assert [encoding.ids_L.tolist() for encoding in batch] == [record["ids"] for record in drawn]


def test_every_prompt_the_published_code_refuses_is_refused_with_its_place(records, tokenizers):
    refused = set()
    for record in records:
        if "error" not in record or record["group"] in ABOUT_THE_PUBLISHED_API:
            continue
        with pytest.raises(MammalError) as error:
            encode(tokenizers[record["tokenizer"]], record)
        assert record["group"] in WITHOUT_A_PLACE or re.match(r"prompt, character \d+$", error.value.where)
        refused.add(record["group"])
    assert len(refused) >= 20


def test_nan_is_refused_though_the_published_code_reads_it(records, tokenizers):
    refused = [record for record in records if "error" not in record and is_refused_number(record)]
    assert refused
    for record in refused:
        with pytest.raises(MammalError, match="not a finite"):
            encode(tokenizers[record["tokenizer"]], record)


def test_records_that_were_warned_of_are_warned_of(records, tokenizers):
    for record in records:
        if record.get("warns") and "error" not in record and not record["group"].startswith("no_"):
            with pytest.warns(UserWarning):
                encode(tokenizers[record["tokenizer"]], record)
