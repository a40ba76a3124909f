"""Builds the vocabulary of this package, which `Tokenizer.load(None)` reads.

    python -m mammal.tokenization.build_vocabulary [FOLDER] [--text CORPUS --text-size TOKENS]

The default of FOLDER is the packaged folder, tokenization/vocabulary. The program only needs the `chemicals` package
(names and SMILES of 73,000 compounds, from PubChem). With the versions in `SOURCES` it always writes the same bytes.
Shipped checkpoints depend on the ids: a change may append tokens to a block, but must not move a token.

The rules of TEXT were learned from text that no installed package contains. So without `--text` they are copied from
the packaged file. With `--text` (one text per line), learning continues from these rules until the alphabet has TOKENS
tokens. `benchmarks/text_alphabet.py` writes the corpus from which they were first learned: captions of ChEBI-20
(CC BY 4.0) and the names of proteins in UniProt (CC BY 4.0), EcoCyc and RefSeq that train the tasks `molecule_caption`
and `protein_name`.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import permutations
from pathlib import Path
from typing import Any

from mammal.tokenization import smiles_alphabet, text_alphabet
from mammal.tokenization.special_tokens import LAST_SPECIAL_ID, SPECIAL_TOKENS

log = logging.getLogger(__name__)

SOURCES = {"chemicals": "1.5.2", "tokenizers": "0.23.3"}
"""Package versions with which the shipped files were built."""

FOLDER = Path(__file__).parent / "vocabulary"
BLOCKS = {"AA": (501, 599), "DNA": (600, 699), "SMILES": (700, 1499), "IUPAC": (1500, 3499), "TEXT": (3500, 8191)}
"""First and last id that each alphabet may use; GENE and CELL_ATTRIBUTES start above them."""

RESIDUES = "ABCDEFGHIKLMNOPQRSTUVWXYZ:"
"""The published residue tokens: the 20 amino acids, U and O, the ambiguous B, Z and X, and the chain break."""
RESIDUE_PATTERN = r"<.*?>|\S"

BASES = "ACGTN" + "RYSWKMBDHV"
"""Bases and ambiguity codes (Cornish-Bowden 1985, Nucleic Acids Res. 13:3021)."""
SNVS = tuple(f"[{ref}/{alt}]" for ref, alt in permutations("ACGT", 2))
DNA_PATTERN = r"\[[ACGT]/[ACGT]\]|."

IUPAC_SIZE = 1024
IUPAC_PATTERN = r"[A-Za-z]+|."
"""Merges only occur inside a sequence of letters: digits, locants and punctuation are single tokens."""

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
"""The entry of the `tokenizers` library for tokens that consist of bytes."""


@dataclass(frozen=True)
class Alphabet:
    """An alphabet: its tokens in the order of their ids, and how text is split before tokens are looked up."""

    name: str
    tokens: list[str]
    pattern: str
    merges: tuple[tuple[str, str], ...] = ()
    folds_case: bool = False
    of_bytes: bool = False

    @property
    def file_name(self) -> str:
        return f"{self.name.lower()}_tokenizer.json"


def build(folder: Path, corpus: Iterable[str] = (), text_size: int = 0) -> None:
    """Writes `config.yaml` and a JSON file for each alphabet.

    Args:
        folder: where the files are written.
        corpus: texts from which further rules of TEXT are learned.
        text_size: number of tokens of TEXT after learning.
    """
    folder.mkdir(parents=True, exist_ok=True)
    alphabets = [_residues(), _dna(), _smiles(), _iupac(), _text(corpus, text_size)]
    for alphabet in alphabets:
        text = json.dumps(_tokenizer_json(alphabet), ensure_ascii=False, indent=1)
        (folder / alphabet.file_name).write_text(text + "\n", encoding="utf-8")
        log.info("%s: %d tokens", alphabet.name, len(alphabet.tokens))
    (folder / "config.yaml").write_text(_config(alphabets), encoding="utf-8")


def _residues() -> Alphabet:
    return Alphabet("AA", list(RESIDUES), RESIDUE_PATTERN)


def _dna() -> Alphabet:
    return Alphabet("DNA", [*BASES, *"[/-]", *SNVS], DNA_PATTERN, folds_case=True)


def _smiles() -> Alphabet:
    return Alphabet("SMILES", smiles_alphabet.tokens(_compounds("smiles")), smiles_alphabet.PATTERN)


def _iupac() -> Alphabet:
    """Byte-pair encoding (Sennrich et al. 2016, ACL) of the sequences of letters in systematic names."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Split
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Split(Regex(IUPAC_PATTERN), "isolated")
    trainer = BpeTrainer(
        vocab_size=IUPAC_SIZE,
        initial_alphabet=list(smiles_alphabet.PRINTABLE),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(_compounds("iupac_name")), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    return Alphabet("IUPAC", tokens, IUPAC_PATTERN, tuple((left, right) for left, right in model["merges"]))


def _text(corpus: Iterable[str], size: int) -> Alphabet:
    merges = text_alphabet.learn(corpus, size, shipped_merges())
    return Alphabet("TEXT", text_alphabet.tokens(merges), text_alphabet.PATTERN, tuple(merges), of_bytes=True)


def shipped_merges() -> list[tuple[str, str]]:
    """The packaged rules of TEXT, in order; none if the packaged file does not exist yet."""
    file = FOLDER / "text_tokenizer.json"
    rules = json.loads(file.read_text(encoding="utf-8"))["model"]["merges"] if file.is_file() else []
    return [(left, right) for left, right in rules]


def _compounds(column: str) -> Iterator[str]:
    """SMILES or IUPAC names of the `chemicals` package (its PubChem tables have no header)."""
    index = {"smiles": 4, "iupac_name": 7}[column]
    tables = resources.files("chemicals") / "Identifiers"
    for size in ("large", "small"):
        with (tables / f"chemical identifiers pubchem {size}.tsv").open(encoding="utf-8") as lines:
            for line in lines:
                value = line.rstrip("\n").split("\t")[index]
                if value and value != "None":
                    yield value


def _tokenizer_json(alphabet: Alphabet) -> dict[str, Any]:
    """An alphabet in the form of Hugging Face `tokenizers`; every file contains all special tokens, as published."""
    first, last = BLOCKS[alphabet.name]
    if first + len(alphabet.tokens) - 1 > last:
        raise ValueError(f"{alphabet.name} has {len(alphabet.tokens)} tokens, more than its block {first}-{last}")
    vocabulary = {token: number for number, token in enumerate(SPECIAL_TOKENS)}
    vocabulary |= {token: first + number for number, token in enumerate(alphabet.tokens)}
    published_form = alphabet.name == "AA"
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(number, token) for number, token in enumerate(SPECIAL_TOKENS)],
        "normalizer": _upper_case(BASES) if alphabet.folds_case else None,
        "pre_tokenizer": _split(alphabet.pattern, keep_all=not published_form, of_bytes=alphabet.of_bytes),
        "post_processor": None,
        "decoder": BYTE_LEVEL if alphabet.of_bytes else None,
        "model": _word_level(vocabulary) if published_form else _bpe(vocabulary, alphabet.merges),
    }


def _added_token(number: int, token: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": token, **flags, "special": True}


def _upper_case(letters: str) -> dict[str, Any]:
    """Reads lower case as upper case, because genomes mark repeats with lower case."""
    steps = [{"type": "Replace", "pattern": {"String": letter.lower()}, "content": letter} for letter in letters]
    return {"type": "Sequence", "normalizers": steps}


def _split(pattern: str, *, keep_all: bool, of_bytes: bool) -> dict[str, Any]:
    """Splits by a pattern. Text between matches is kept, or dropped (blanks in the published residue alphabet)."""
    how = {"behavior": "Isolated", "invert": False} if keep_all else {"behavior": "Removed", "invert": True}
    cut = {"type": "Split", "pattern": {"Regex": pattern}, **how}
    return {"type": "Sequence", "pretokenizers": [cut, BYTE_LEVEL] if of_bytes else [cut]}


def _word_level(vocabulary: dict[str, int]) -> dict[str, Any]:
    return {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<UNK>"}


def _bpe(vocabulary: dict[str, int], merges: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A piece in the vocabulary is one token (`ignore_merges`); other pieces are merged from characters."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<UNK>",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": True,
        "vocab": vocabulary,
        "merges": [list(pair) for pair in merges],
    }


def _config(alphabets: Iterable[Alphabet]) -> str:
    lines = ["tokenizers_info:"]
    for number, alphabet in enumerate(alphabets):
        lines += [
            f"- name: {alphabet.name}",
            f"  tokenizer_id: {number}",
            f"  json_path: ./{alphabet.file_name}",
            f"  modular_json_path: ./{alphabet.file_name}",
            f"  start_delimiter: <start_{alphabet.name}>",
            f"  end_delimiter: <end_{alphabet.name}>",
            f"  minimal_token_id: {BLOCKS[alphabet.name][0]}",
        ]
    lines += ["max_possible_token_id: null", f"max_special_token_id: {LAST_SPECIAL_ID}"]
    return "\n".join(lines) + "\n"


def _main() -> None:
    parser = argparse.ArgumentParser(description="Builds the vocabulary of this package.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument(
        "--text", type=Path, help="a file with one text per line, from which further rules of TEXT are learned"
    )
    parser.add_argument("--text-size", type=int, default=0, help="number of tokens of TEXT after learning")
    options = parser.parse_args()
    corpus = options.text.read_text(encoding="utf-8").splitlines() if options.text else ()
    build(options.folder, corpus, options.text_size)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _main()
