"""On random prompts the ids equal those of the `tokenizers` library reading the same files.

The reference below is the published procedure in its plainest form: split at segment tags, encode each part with the
library, cut, join, cut, pad.
"""

from __future__ import annotations

import random
import re
import warnings
from pathlib import Path

import pytest
import tokenizers
import yaml

from mammal.tokenization import Tokenizer, vocabulary

FOLDERS = ["tokenizer_base", "tokenizer_added", "our own"]
TAG = "<@TOKENIZER-TYPE=%s>"
ODD = """
< > <> << >> <MASK MASK> <BBBP> <mask> [ ] [] [CL: @ = : <@TOKEN é 𝄞 ß İ \0 \x7f ﬁ \u200b never_seen_before never
<1.0> <10> <1><2> [a]b] <[x]> [<x>] <A[B>C] <A<C> [[A]] <UNK> <PAD>
"""
BLANKS = " \t\n\r\v\f\x1c\x1f\x85\xa0\u1680\u2003\u2028\u202f\u3000"
SMILES = ["CC(=O)Oc1ccccc1", "C[C@@H](N)C(=O)O", "[Na+].[Cl-]", "F/C=C/F", "C$C", "*C", "[2H]", "%10", "[se]", "Brc1"]
NAMES = ["2-methylpropanoic acid", "(3S,4R)-", "N,N-dimethyl", "[A/G]", "acgtn", "[-/AT]", "[CTT/-]", "RYSWKM"]
RESIDUES = "ACDEFGHIKLMNPQRSTVWYBXZUOJacgt:*-."


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request) -> Path:
    if request.param == "our own":
        return Path(vocabulary.__path__[0])
    return request.getfixturevalue("shared") / "compat" / "fixtures" / request.param / "tokenizer"


@pytest.fixture
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.load(folder)


@pytest.fixture(scope="module")
def library(folder: Path) -> dict[str, tokenizers.Tokenizer]:
    entries = yaml.safe_load((folder / "config.yaml").read_text())["tokenizers_info"]
    return {entry["name"]: tokenizers.Tokenizer.from_file(str(folder / entry["json_path"])) for entry in entries}


def random_text(draw: random.Random, words: list[str]) -> str:
    kinds = (words, ODD.split(), BLANKS, SMILES, NAMES, ["".join(draw.choices(RESIDUES, k=draw.randint(1, 15)))])
    return "".join(draw.choice(draw.choice(kinds)) for _ in range(draw.randint(0, 8)))


def random_prompt(draw: random.Random, tokenizer: Tokenizer, words: list[str]) -> str:
    prompt = ""
    for _ in range(draw.randint(1, 4)):
        head = draw.choice(tokenizer.alphabets)
        for attribute in draw.choices(["", f"@MAX-LEN={draw.randint(0, 12)}", "@TRUNC-MODE=RAND"], k=2):
            head += attribute
        prompt += TAG % head + random_text(draw, words)
    return prompt + draw.choice(["<EOS>", TAG % "AA" + "<EOS>"])


def published_ids(prompt: str, max_len: int | None, library: dict, rng: random.Random) -> list[int]:
    ids: list[int] = []
    parts = re.split(TAG % "([^>]*)", prompt)[1:]
    for head, text in zip(parts[::2], parts[1::2], strict=True):
        name, *attributes = head.split("@")
        encoding = library[name].encode(text)
        limits = [int(attribute[8:]) for attribute in attributes if attribute.startswith("MAX-LEN=")]
        if limits and len(encoding) > limits[-1]:
            if "TRUNC-MODE=RAND" in attributes:
                encoding.truncate(rng.randint(limits[-1], len(encoding)), direction="left")
            encoding.truncate(limits[-1], direction="right")
        ids += encoding.ids
    return ids if max_len is None else (ids + [1] * max_len)[:max_len]


@pytest.mark.parametrize("seed", range(4))
def test_random_prompts_give_the_library_s_ids(tokenizer, library, seed):
    draw, rng = random.Random(seed), random.Random(1234)
    words = draw.sample(sorted(tokenizer.specials), 60)
    for alphabet in tokenizer.alphabets:
        words += [tokenizer.token(id) for id in tokenizer.alphabet_ids(alphabet)[-30:].tolist()]
    for _ in range(700):
        prompt, max_len = random_prompt(draw, tokenizer, words), draw.choice([None, 0, 3, 20, 60])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoding = tokenizer.encode(prompt, max_len=max_len, pad=True, on_unknown="warn")
        assert encoding.ids_L.tolist() == published_ids(prompt, max_len, library, rng), prompt
        assert len(encoding.offsets_L2) == len(encoding)


def test_every_character_of_unicode_is_read_as_the_library_reads_it(tokenizer, library):
    text = "".join(map(chr, range(0x3100)))  # holds every blank
    for alphabet in tokenizer.alphabets:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ids = tokenizer.encode(TAG % alphabet + text, on_unknown="warn", require_eos=False).ids_L.tolist()
        assert ids == library[alphabet].encode(text).ids, alphabet
