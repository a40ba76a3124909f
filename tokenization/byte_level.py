"""Converts text to bytes, and bytes to the visible characters with which byte-level alphabets write their tokens.

A token of such an alphabet is a sequence of UTF-8 bytes, which need not be whole characters. Files write each byte as
one character: a printable Latin-1 byte as itself, every other byte as a character from U+0100 on, in order. So a blank
is written as `Ġ` (Radford et al. 2019, GPT-2; the `ByteLevel` parts of the `tokenizers` library).
"""

from __future__ import annotations

_VISIBLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_HIDDEN = [byte for byte in range(256) if byte not in _VISIBLE]

CHARACTERS: tuple[str, ...] = tuple(
    chr(byte) if byte in _VISIBLE else chr(0x100 + _HIDDEN.index(byte)) for byte in range(256)
)
"""The character that represents each byte."""

_CHARACTERS = dict(enumerate(CHARACTERS))
_BYTES = {character: byte for byte, character in enumerate(CHARACTERS)}


def byte_characters(text: str) -> str:
    """Converts text to the characters that represent its bytes in the file."""
    return text.encode().decode("latin-1").translate(_CHARACTERS)


def to_bytes(token: str) -> bytes:
    """Converts a token of the file to its bytes."""
    return bytes(map(_BYTES.__getitem__, token))


def as_text(content: bytes) -> str | None:
    """Decodes bytes; None if they are not whole characters."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def readable(content: bytes) -> str:
    """Decodes bytes for display; bytes that are not whole characters are written as `\\xe2`."""
    return content.decode(errors="backslashreplace")
