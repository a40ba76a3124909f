"""An alphabet on disk: a JSON file of the Hugging Face `tokenizers` library, and its entry in `config.yaml`.

Two kinds are supported: WordLevel (a table of whole tokens) and BPE (characters or bytes, merged by rules). The content
of the file is kept in `document`; parts that this package does not use are written back unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mammal.tokenization.byte_level import CHARACTERS, byte_characters
from mammal.tokenization.errors import TokenizerError

_LAYOUT = (
    "version",
    "truncation",
    "padding",
    "added_tokens",
    "normalizer",
    "pre_tokenizer",
    "post_processor",
    "decoder",
    "model",
)
_BPE_DEFAULTS: dict[str, Any] = {
    "type": "BPE",
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
    "vocab": {},
    "merges": [],
}
_PLAIN_TOKEN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


@dataclass(frozen=True)
class PieceSplit:
    """How text is split into pieces before the model of the alphabet is applied.

    Attributes:
        pattern: an Oniguruma regular expression.
        keeps_rest: True: text between two matches becomes a separate piece (Isolated). False: it is dropped (Removed
            and inverted; for example blanks in the published amino-acid alphabet).
    """

    pattern: str
    keeps_rest: bool


@dataclass
class AlphabetFile:
    """The content of the file of an alphabet and of its entry in `config.yaml`.

    Attributes:
        name: name of the alphabet in prompts.
        entry: its entry in `config.yaml`, including keys that only other programs read.
        document: content of the JSON file.
    """

    name: str
    entry: dict[str, Any]
    document: dict[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: Path, name: str, entry: Mapping[str, Any]) -> AlphabetFile:
        """Reads and checks a file.

        Args:
            path: the JSON file.
            name: name of the alphabet in prompts.
            entry: its entry in `config.yaml`.

        Raises:
            TokenizerError: the file is missing, is not JSON, or uses a part of the format that is not supported.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TokenizerError(f"the file of alphabet {name} is missing", where=str(path)) from None
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise TokenizerError(f"not a JSON file: {error}", where=str(path)) from None
        file = cls(name, dict(entry), document)
        try:
            file._check()
        except TokenizerError as error:
            raise TokenizerError(error.what, where=str(path), hint=error.hint) from None
        return file

    @property
    def file_name(self) -> str:
        path = self.entry.get("json_path") or self.entry.get("modular_json_path")
        if not path:
            raise TokenizerError(f"the config.yaml entry of alphabet {self.name} names no file", hint="add json_path")
        return Path(path).name

    @property
    def model(self) -> dict[str, Any]:
        return self.document["model"]

    @property
    def vocab(self) -> dict[str, int]:
        """Every token of this alphabet, including special tokens, with its id."""
        return self.model["vocab"]

    @property
    def specials(self) -> dict[str, int]:
        """The special tokens in file order. If the vocabulary of the model also lists a token, its id is used."""
        vocab = self.vocab
        return {token["content"]: vocab.get(token["content"], token["id"]) for token in self.document["added_tokens"]}

    @property
    def regular(self) -> dict[str, int]:
        specials = self.specials
        return {token: id for token, id in self.vocab.items() if token not in specials}

    def id_of(self, token: str) -> int | None:
        """The id of the token with this text; None if there is no such token."""
        spelling = byte_characters(token) if self.is_byte_level and token not in self.specials else token
        return self.vocab.get(spelling)

    @property
    def unknown(self) -> str:
        return self.model["unk_token"]

    @property
    def merges(self) -> list[tuple[str, str]]:
        """BPE rules by priority. Older files write "a b", newer files ["a", "b"]."""
        rules = (rule.split(" ") if isinstance(rule, str) else rule for rule in self.model.get("merges", []))
        try:
            return [(left, right) for left, right in rules]
        except (TypeError, ValueError):
            raise TokenizerError(f"a merge of alphabet {self.name} is not a pair") from None

    @property
    def split(self) -> PieceSplit | None:
        """How text is split before the model is applied; None if the model reads the whole text at once."""
        steps = self._pre_tokenizers
        steps = steps[:-1] if self.is_byte_level else steps
        if not steps:
            return None
        pre_tokenizer = steps[0]
        if len(steps) == 1 and pre_tokenizer["type"] == "Split" and "Regex" in pre_tokenizer["pattern"]:
            pattern = pre_tokenizer["pattern"]["Regex"]
            if (pre_tokenizer["behavior"], pre_tokenizer["invert"]) == ("Removed", True):
                return PieceSplit(pattern, keeps_rest=False)
            if (pre_tokenizer["behavior"], pre_tokenizer["invert"]) == ("Isolated", False):
                return PieceSplit(pattern, keeps_rest=True)
        raise TokenizerError(
            f"alphabet {self.name} has a pre-tokenizer that is not supported",
            hint="use one Split by a Regex, Isolated, or Removed and inverted; after it ByteLevel without a regex",
        )

    @property
    def is_byte_level(self) -> bool:
        """Whether the tokens are sequences of bytes (`mammal.tokenization.byte_level`), so that no text is unknown."""
        steps = self._pre_tokenizers
        plain = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
        return bool(steps) and plain.items() <= steps[-1].items()

    @property
    def _pre_tokenizers(self) -> list[dict[str, Any]]:
        pre_tokenizer = self.document.get("pre_tokenizer")
        if pre_tokenizer is None:
            return []
        return pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]

    @property
    def folding(self) -> dict[int, int]:
        """Characters replaced before reading (`str.translate` table), by `fold_case: upper` or a normalizer."""
        fold_case = self.entry.get("fold_case")
        if fold_case not in (None, "upper"):
            raise TokenizerError(f"alphabet {self.name} has fold_case: {fold_case}", hint="only 'upper' is supported")
        table = {ord(low): ord(low) - 32 for low in "abcdefghijklmnopqrstuvwxyz"} if fold_case else {}
        return table | _replacements(self.document.get("normalizer"), self.name)

    @property
    def max_len(self) -> int | None:
        """Maximal number of tokens of a segment, cut on the right; `config.yaml` has priority over the file."""
        if self.entry.get("max_len") is not None:
            return int(self.entry["max_len"])
        truncation = self.document.get("truncation")
        return truncation["max_length"] if truncation else None

    def add_specials(self, ids: Mapping[str, int]) -> None:
        """Adds special tokens that the file does not have yet."""
        self.document["added_tokens"] += [{"id": id, "content": token, **_PLAIN_TOKEN} for token, id in ids.items()]
        self.vocab.update(ids)

    def renumber(self, specials: Mapping[str, int], first_id: int) -> int:
        """Replaces the special tokens, and gives the regular tokens consecutive ids in their old order.

        Args:
            specials: the special tokens with their ids.
            first_id: id of the first regular token.

        Returns:
            The id after the last regular token.
        """
        regular = sorted((id, token) for token, id in self.vocab.items() if token not in specials)
        self.document["added_tokens"] = []
        self.model["vocab"] = {}
        self.add_specials(specials)
        self.vocab.update({token: id for id, (_, token) in enumerate(regular, first_id)})
        return first_id + len(regular)

    def rules(self) -> dict[str, Any]:
        """All content of the file that affects ids, in a normalised form."""
        split = self.split
        rules = {
            "model": self.model["type"],
            "vocab": self.vocab,
            "merges": self.merges,
            "options": {key: self.model.get(key, False) for key in ("fuse_unk", "byte_fallback", "ignore_merges")},
            "unknown": self.unknown,
            "specials": self.specials,
            "split": [split.pattern, split.keeps_rest] if split else None,
            "folding": {chr(old): chr(new) for old, new in self.folding.items()},
            "max_len": self.max_len,
        }
        return rules | {"bytes": True} if self.is_byte_level else rules

    def to_json(self) -> str:
        """The file in the form of the `tokenizers` library: tokens by id, every key of the format, merges as pairs."""
        model = self.model
        if model["type"] == "BPE":
            model = {key: model.get(key, default) for key, default in _BPE_DEFAULTS.items()}
            model["merges"] = [list(rule) for rule in self.merges]
        vocab = dict(sorted(self.vocab.items(), key=lambda item: item[1]))
        document = {key: self.document.get(key) for key in _LAYOUT} | {"model": model | {"vocab": vocab}}
        return json.dumps(document, indent=2, ensure_ascii=False)

    def _check(self) -> None:
        try:
            kind, unknown, vocab = self.model["type"], self.model["unk_token"], self.vocab
            added = {token["content"]: token for token in self.document["added_tokens"]}
            ids = {content: token["id"] for content, token in added.items()}
        except (KeyError, TypeError) as error:
            raise TokenizerError(f"not a file of the tokenizers library ({error!r})") from None
        if kind not in ("BPE", "WordLevel"):
            raise TokenizerError(f"the model is of type {kind}", hint="only BPE and WordLevel are supported")
        if unknown not in vocab and unknown not in added:
            raise TokenizerError(f"the unknown token {unknown!r} is not in the vocabulary")
        for part in ("padding", "post_processor"):
            if self.document.get(part):
                raise TokenizerError(f"the file sets {part}, which would add tokens to every segment")
        if (self.document.get("truncation") or {}).get("direction", "Right") != "Right":
            raise TokenizerError("the file truncates on the left")
        for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
            if self.model.get(option):
                raise TokenizerError(f"the BPE option {option} is not supported")
        for content, token in added.items():
            if any(token.get(flag) for flag in ("single_word", "lstrip", "rstrip", "normalized")):
                raise TokenizerError(f"the special token {content!r} has a matching rule that is not supported")
            if vocab.get(content, ids[content]) != ids[content]:
                raise TokenizerError(f"{content!r} has two ids, {ids[content]} and {vocab[content]}")
        if self.is_byte_level and not (kind == "BPE" and set(CHARACTERS) <= set(vocab)):
            raise TokenizerError("a byte-level alphabet must be of type BPE and have a token for every byte")
        self._check_rules()

    def _check_rules(self) -> None:
        """Reads all rules, which refuses unsupported ones."""
        _ = self.split, self.folding, self.merges


def _replacements(normalizer: Mapping[str, Any] | None, name: str) -> dict[int, int]:
    if normalizer is None:
        return {}
    steps = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    table: dict[int, int] = {}
    for step in steps:
        old, new = step.get("pattern", {}).get("String", ""), step.get("content", "")
        if step["type"] != "Replace" or len(old) != 1 or len(new) != 1:
            raise TokenizerError(
                f"alphabet {name} has a normalizer that is not supported", hint="it may only replace single characters"
            )
        table[ord(old)] = ord(new)
    return table
