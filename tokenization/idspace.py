"""The ids of all tokens. The alphabets of a tokenizer share one range of ids.

Special tokens have the same ids in every alphabet. A regular token belongs to one alphabet, so "C" of AA and "C" of
SMILES are two tokens with different ids. Checkpoints depend on the ids, so existing tokens never move; tokens are only
added. `numbering.py` assigns the ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from mammal.tokenization.alphabet_file import AlphabetFile
from mammal.tokenization.byte_level import readable, to_bytes
from mammal.tokenization.errors import TokenizerError, did_you_mean
from mammal.tokenization.folder import find_folder, read_folder, write_folder
from mammal.tokenization.numbering import Limits, highest_id, new_specials, number_alphabet, number_alphabets
from mammal.tokenization.prompt import tag

_DERIVED = ("specials", "hash", "_tokens", "_contents")


class IdSpace:
    """Alphabets and their ids; they can be created, loaded, saved, extended and looked up.

    Args:
        files: the alphabets in order, with consistent ids (`numbering.check_ids`).
        limits: highest allowed ids.
    """

    def __init__(self, files: Sequence[AlphabetFile], limits: Limits):
        self._files, self._limits = list(files), limits

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.alphabets)}; {len(self._tokens):,} tokens, {self.hash[:12]})"

    @classmethod
    def load(cls, source: str | Path | None = None) -> Self:
        """Loads a tokenizer.

        Args:
            source: folder of a tokenizer, folder of a bundle with `tokenizer/` inside, or a hub id. None: the
                vocabulary of this package.

        Raises:
            TokenizerError: there is no tokenizer, a file is malformed, or two tokens have the same id.
        """
        return cls(*read_folder(find_folder(source)))

    @classmethod
    def create(
        cls,
        alphabets: Mapping[str, str | Path | Mapping[str, Any]],
        special_tokens: Iterable[str] = (),
        max_token_id: int | None = None,
        max_special_id: int | None = None,
    ) -> Self:
        """Creates a tokenizer from alphabets, with new ids.

        Args:
            alphabets: name -> JSON file of the alphabet, or its entry in `config.yaml` (`json_path`, and optionally
                `minimal_token_id`, `max_len`, `fold_case`).
            special_tokens: first special tokens. Those of the files follow.
            max_token_id: highest allowed id. Default: no limit.
            max_special_id: highest id of a special token; regular tokens start after it. Default: no limit.

        Raises:
            TokenizerError: a file is malformed, or the tokens do not fit into the limits.
        """
        files = [_read_alphabet(name, entry, i) for i, (name, entry) in enumerate(alphabets.items())]
        limits = Limits(max_token_id, max_special_id)
        number_alphabets(files, special_tokens, limits)
        return cls(files, limits)

    def save(self, folder: str | Path) -> None:
        """Writes the folder that `load` reads. The published code can read it too.

        Args:
            folder: folder of the tokenizer; it is created if it does not exist.
        """
        write_folder(Path(folder), self._files, self._limits)

    def add_special_tokens(self, tokens: Iterable[str]) -> int:
        """Adds special tokens in alphabetical order, after the highest special id. Tokens that exist keep their ids.

        Two calls with one token each can give different ids than one call with both tokens.

        Args:
            tokens: texts of the tokens, such as `<MY_TASK>`.

        Returns:
            Number of tokens that were new.

        Raises:
            TokenizerError: there is no room left, or a token is a regular token of an alphabet.
        """
        ids = new_specials(tokens, self._files, self._limits)
        for file in self._files:
            file.add_specials(ids)
        self._changed()
        return len(ids)

    def add_subtokenizer(self, name: str, json_path: str | Path, minimal_token_id: int | None = None) -> None:
        """Adds an alphabet. Its tokens get ids above all existing ids.

        Args:
            name: of the alphabet.
            json_path: JSON file of the alphabet.
            minimal_token_id: lowest id of its tokens. Default: the next free id.

        Raises:
            TokenizerError: the name is in use, the file is malformed, or the tokens do not fit into the limits.
        """
        if name in self.alphabets:
            raise TokenizerError(f"the tokenizer has an alphabet {name} already")
        limit = {} if minimal_token_id is None else {"minimal_token_id": minimal_token_id}
        file = _read_alphabet(name, {"json_path": str(json_path), **limit}, len(self._files))
        number_alphabet(file, self._files, self._limits)
        self._files.append(file)
        self._changed()

    def _changed(self) -> None:
        """Deletes cached values that were computed from the files."""
        for name in _DERIVED:
            self.__dict__.pop(name, None)

    @property
    def alphabets(self) -> list[str]:
        """Names of the alphabets, in order."""
        return [file.name for file in self._files]

    @cached_property
    def specials(self) -> dict[str, int]:
        """Special tokens and their ids, which all alphabets share."""
        return self._files[0].specials

    @property
    def vocab_rows(self) -> int:
        """Number of embedding rows of a model for this tokenizer: the highest used or reserved id, plus one."""
        return max(highest_id(self._files), self._limits.any_token or 0) + 1

    def alphabet_ids(self, alphabet: str) -> np.ndarray:
        """Returns the ids of the regular tokens of an alphabet, int64 [n], sorted.

        Args:
            alphabet: its name.

        Raises:
            TokenizerError: there is no such alphabet.
        """
        regular = self._file(alphabet).regular
        return np.sort(np.fromiter(regular.values(), np.int64, len(regular)))

    def special_id(self, token: str) -> int:
        """Returns the id of a special token.

        Args:
            token: its text, such as `<EOS>`.

        Raises:
            TokenizerError: there is no such special token.
        """
        if token not in self.specials:
            hint = did_you_mean(token, self.specials, noun="special token")
            raise TokenizerError(f"the tokenizer has no special token {token}", hint=hint)
        return self.specials[token]

    def token_id(self, token: str, alphabet: str | None = None) -> int:
        """Returns the id of a token.

        Args:
            token: its text.
            alphabet: alphabet of the token; needed if several alphabets have a token with this text.

        Raises:
            TokenizerError: no alphabet has such a token, or several have.
        """
        files = self._files if alphabet is None else [self._file(alphabet)]
        ids = {found: file.name for file in files if (found := file.id_of(token)) is not None}
        if len(ids) == 1:
            return next(iter(ids))
        if ids:
            raise TokenizerError(f"{token!r} is a token of {', '.join(ids.values())}", hint="say which alphabet")
        raise TokenizerError(f"{token!r} is not a token of {alphabet or 'any alphabet'}")

    def token(self, id: int) -> str:
        """Returns the text of a token. Bytes that are not a whole character are written as `\\xe2`.

        Args:
            id: of the token.

        Raises:
            TokenizerError: there is no token with this id.
        """
        if id not in self._tokens:
            raise TokenizerError(f"id {id} names no token")
        return self._tokens[id]

    def token_bytes(self, id: int) -> bytes:
        """Returns the UTF-8 bytes of a token. In a byte-level alphabet, they can be a part of a character.

        Args:
            id: of the token.

        Raises:
            TokenizerError: there is no token with this id.
        """
        if id not in self._contents:
            raise TokenizerError(f"id {id} names no token")
        return self._contents[id]

    @property
    def pad_id(self) -> int:
        """Id of the special token `<PAD>`."""
        return self.special_id(tag("PAD"))

    @property
    def eos_id(self) -> int:
        """Id of the special token `<EOS>`."""
        return self.special_id(tag("EOS"))

    @property
    def unk_id(self) -> int:
        """Id of the special token `<UNK>`."""
        return self.special_id(tag("UNK"))

    @property
    def mask_id(self) -> int:
        """Id of the special token `<MASK>`."""
        return self.special_id(tag("MASK"))

    @property
    def scalar_id(self) -> int:
        """Id of the special token `<SCALAR>`."""
        return self.special_id(tag("SCALAR"))

    @property
    def decoder_start_id(self) -> int:
        """Id of the special token `<DECODER_START>`."""
        return self.special_id(tag("DECODER_START"))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that ids depend on: alphabets, tokens, rules and limits, but not the layout of
        files.
        """
        content = [[file.name, file.rules()] for file in self._files]
        limits = [self._limits.any_token, self._limits.special]
        text = json.dumps([content, limits], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _tokens(self) -> dict[int, str]:
        return {id: readable(content) for id, content in self._contents.items()}

    @cached_property
    def _contents(self) -> dict[int, bytes]:
        contents = {id: token.encode() for file in self._files for token, id in file.vocab.items()}
        files = [file for file in self._files if file.is_byte_level]
        return contents | {id: to_bytes(token) for file in files for token, id in file.regular.items()}

    def _file(self, alphabet: str) -> AlphabetFile:
        for file in self._files:
            if file.name == alphabet:
                return file
        hint = did_you_mean(alphabet, self.alphabets, noun="alphabet")
        raise TokenizerError(f"the tokenizer has no alphabet {alphabet!r}", hint=hint)


def _read_alphabet(name: str, entry: str | Path | Mapping[str, Any], index: int) -> AlphabetFile:
    given = dict(entry) if isinstance(entry, Mapping) else {"json_path": str(entry)}
    if "json_path" not in given:
        raise TokenizerError(f"alphabet {name} names no file", hint="add json_path")
    delimiters = {"start_delimiter": f"<start_{name}>", "end_delimiter": f"<end_{name}>"}
    ordered = {"name": name, "tokenizer_id": index, "json_path": given["json_path"], "modular_json_path": None}
    return AlphabetFile.read(Path(given["json_path"]), name, ordered | delimiters | given)
