"""The tokenizer: converts prompts to ids and back, in the published format and with the published ids.

    tokenizer = Tokenizer.load("…/tokenizer")          # folder, bundle or hub id; without: the package's vocabulary
    encoding = tokenizer.encode("<@TOKENIZER-TYPE=SMILES>CCO<EOS>")
    tokenizer.decode(encoding.ids_L)                   # "CCO<EOS>"

`idspace.py` manages the ids, `encoder.py` reads prompts.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mammal.tokenization.alphabet_file import AlphabetFile
from mammal.tokenization.encoder import Options, PromptEncoder
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.errors import PromptError, UnknownTokenError
from mammal.tokenization.idspace import IdSpace
from mammal.tokenization.notices import Notices
from mammal.tokenization.numbering import Limits
from mammal.tokenization.prompt import Prompt
from mammal.tokenization.specials import Specials
from mammal.tokenization.subtokenizer import build_subtokenizer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

OnUnknown = Literal["raise", "warn"]


class Tokenizer(IdSpace):
    """Converts prompts to token ids and back, with several alphabets that share one range of ids.

        tokenizer = Tokenizer.load(None)
        encoding = tokenizer.encode("<@TOKENIZER-TYPE=SMILES>CCO<EOS>")
        tokenizer.decode(encoding.ids_L)                   # "CCO<EOS>"

    `encode` can be called from several threads. A pickled tokenizer contains its alphabets and its random state, so
    data-loader workers can have a copy.

    Args:
        files: the alphabets in order, with consistent ids.
        limits: highest allowed ids.
        seed: seed of the random windows of TRUNC-MODE=RAND. The published seed is 1234.
    """

    def __init__(self, files: Sequence[AlphabetFile], limits: Limits, seed: int = 1234):
        super().__init__(files, limits)
        self._rng = random.Random(seed)
        self._encoder = self._build_encoder()

    def __getstate__(self) -> dict[str, Any]:
        return {"_files": self._files, "_limits": self._limits, "_rng": self._rng}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._encoder = self._build_encoder()

    def _changed(self) -> None:
        super()._changed()
        self._encoder = self._build_encoder()

    def _build_encoder(self) -> PromptEncoder:
        alphabets = {file.name: build_subtokenizer(file) for file in self._files}
        return PromptEncoder(alphabets, Specials(self.specials), self._rng)

    def encode(
        self,
        prompt: str | Prompt,
        *,
        max_len: int | None = None,
        pad: bool = False,
        on_unknown: OnUnknown | None = "raise",
        require_eos: bool = True,
        sample: Mapping[str, ArrayLike] | None = None,
    ) -> Encoding:
        """Encodes one prompt. Of a `Prompt`, its input is encoded.

        Args:
            prompt: text in the prompt language, or a rendered `Prompt`.
            max_len: number of tokens that are kept; the rest is cut on the right. Default: no limit.
            pad: fill up to `max_len` with `<PAD>`. Without `max_len`, nothing is filled.
            on_unknown: what happens to text without a token. `"raise"`: an error that names the text and its position.
                `"warn"` (and None): it becomes `<UNK>`, with a warning, as in the published code.
            require_eos: refuse a prompt whose text does not end with `<EOS>`.
            sample: arrays for the segments SCALARS_FROM_DICT and EXTERNAL_EMBEDDINGS_FROM_DICT, by name.

        Raises:
            PromptError: the prompt does not follow the grammar.
            UnknownTokenError: text has no token, and `on_unknown` is `"raise"`. For a rendered `Prompt`, the error
                names the column and the character of the user's own value.
        """
        notices = Notices()
        encoding = self._encode(prompt, sample, self._options(max_len, pad, on_unknown, require_eos), notices)
        notices.emit(stacklevel=2)
        return encoding

    def encode_batch(
        self,
        prompts: Iterable[str | Prompt],
        *,
        max_len: int | None = None,
        pad: bool = False,
        on_unknown: OnUnknown | None = "raise",
        require_eos: bool = True,
        samples: Iterable[Mapping[str, ArrayLike] | None] | None = None,
    ) -> list[Encoding]:
        """Encodes prompts in order. The results are the same as those of `encode`, with one warning of each kind for
        all prompts.

        Args:
            prompts: texts in the prompt language, or rendered prompts.
            max_len: as for `encode`.
            pad: as for `encode`.
            on_unknown: as for `encode`.
            require_eos: as for `encode`.
            samples: arrays of each prompt, as `sample` of `encode`. Default: none.

        Raises:
            PromptError: as for `encode`. If there are several prompts, the error names the index of the prompt.
        """
        prompts, notices = list(prompts), Notices()
        options = self._options(max_len, pad, on_unknown, require_eos)
        encodings: list[Encoding] = []
        try:
            for prompt, sample in zip(prompts, samples or [None] * len(prompts), strict=True):
                encodings.append(self._encode(prompt, sample, options, notices))
        except PromptError as error:
            if len(prompts) == 1:
                raise
            where = f"prompts[{len(encodings)}]" + (f": {error.where}" if error.where else "")
            raise type(error)(error.what, where=where, hint=error.hint) from None
        notices.emit(stacklevel=2)
        return encodings

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """Returns the texts of tokens, joined without separators.

        An id without a token becomes `<@TOKEN_MISSING-id>`. Bytes that are not a character become U+FFFD.

        Args:
            ids: sequence, array or tensor of ids.
            skip_special: leave out special tokens, and ids without a token.
        """
        ids = ids.tolist() if hasattr(ids, "tolist") else ids
        contents = self._contents
        if skip_special:
            special = set(self.specials.values())
            parts = [contents[id] for id in ids if id in contents and id not in special]
        else:
            parts = [contents.get(id) or b"<@TOKEN_MISSING-%d>" % id for id in ids]
        return b"".join(parts).decode(errors="replace")

    def _encode(
        self, prompt: str | Prompt, sample: Mapping[str, ArrayLike] | None, options: Options, notices: Notices
    ) -> Encoding:
        if not isinstance(prompt, Prompt):
            return self._encoder.encode(prompt, sample, options, notices)
        try:
            return self._encoder.encode(prompt.input, sample or prompt.sample, options, notices)
        except UnknownTokenError as error:
            value = prompt.value_span(*error.span) if error.span else None
            if value is None:
                raise
            column, start, _ = value
            raise UnknownTokenError(
                error.what, where=f"column {column}, character {start + 1}", hint=error.hint
            ) from None

    def _options(self, max_len: int | None, pad: bool, on_unknown: OnUnknown | None, require_eos: bool) -> Options:
        if max_len is not None and max_len < 0:
            raise PromptError(f"max_len={max_len} is negative")
        pad_id = self.pad_id if pad and max_len is not None else None
        return Options(max_len, pad_id, on_unknown, require_eos)
