"""Text as bytes, and bytes as the visible characters that byte-level alphabets spell their tokens with.

A token of such an alphabet is a run of UTF-8 bytes, not always whole characters. Files write each byte as one
character: a printable Latin-1 byte as itself, any other as a character from U+0100 on, in order, so that a blank is `Ġ`
(Radford et al. 2019, GPT-2; the `ByteLevel` parts of the `tokenizers` library).
"""

from __future__ import annotations

_VISIBLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_HIDDEN = [byte for byte in range(256) if byte not in _VISIBLE]

CHARACTERS: tuple[str, ...] = tuple(
    chr(byte) if byte in _VISIBLE else chr(0x100 + _HIDDEN.index(byte)) for byte in range(256)
)
"""The character of each byte."""

_SPELT = dict(enumerate(CHARACTERS))
_BYTES = {character: byte for byte, character in enumerate(CHARACTERS)}


def spelt(text: str) -> str:
    """Text as its bytes are spelt in the file."""
    return text.encode().decode("latin-1").translate(_SPELT)


def to_bytes(token: str) -> bytes:
    """The bytes that a token of the file stands for."""
    return bytes(map(_BYTES.__getitem__, token))


def as_text(content: bytes) -> str | None:
    """Bytes as text, None where they are no whole characters."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def readable(content: bytes) -> str:
    """Bytes as text to look at; those that are no whole character as `\\xe2`."""
    return content.decode(errors="backslashreplace")
