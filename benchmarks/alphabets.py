"""How a vocabulary splits texts: tokens, unknown tokens, and texts that can't be decoded again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from mammal.tokenization import Tokenizer
from mammal.tokenization.prompt import segment

EOS = "<EOS>"


@dataclass(frozen=True)
class Cut:
    """The result of one alphabet on some texts.

    Attributes:
        texts, tokens, unknown: numbers of each; the `<EOS>` of each text is not counted.
        lost: number of texts that are not restored from their tokens.
    """

    texts: int
    tokens: int
    unknown: int
    lost: int

    @property
    def whole(self) -> bool:
        """Whether nothing is unknown and nothing is lost."""
        return not self.unknown and not self.lost

    def __str__(self) -> str:
        return f"{self.unknown / self.tokens:.2%} of tokens unknown, {self.lost / self.texts:.1%} of texts lost"


def cut(tokenizer: Tokenizer, alphabet: str, texts: Sequence[str], *, expected: Sequence[str] | None = None) -> Cut:
    """Encodes texts and decodes them again.

    Args:
        expected: the texts that decoding should return; default: `texts`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown tokens are counted
        encodings = tokenizer.encode_batch([segment(alphabet, text + EOS) for text in texts], on_unknown="warn")
    back = [tokenizer.decode(encoding.ids_L).removesuffix(EOS) for encoding in encodings]
    return Cut(
        texts=len(texts),
        tokens=sum(len(encoding) - 1 for encoding in encodings),
        unknown=sum(int((encoding.ids_L == tokenizer.unk_id).sum()) for encoding in encodings),
        lost=sum(one != other for one, other in zip(back, expected or texts, strict=True)),
    )
