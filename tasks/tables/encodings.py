"""Encodings of text files: checking their names before a file is read."""

from __future__ import annotations

import codecs
from encodings.aliases import aliases
from functools import cache
from pathlib import Path

from mammal.tasks.errors import DataError
from mammal.tokenization.errors import likely_names

WITHOUT_ENCODING = ("parquet", "h5ad", "vcf", "bcf")
"""Formats whose text always has the same encoding: that of the format."""

EXAMPLES = "such as utf-8, utf-16, latin-1, cp1252"


def codec_name(encoding: object) -> str:
    """Returns Python's own name of an encoding, which is the same for all its other names.

    Args:
        encoding: any name of an encoding of text, such as `latin-1`.

    Raises:
        DataError: there is no such encoding of text; the hint gives the nearest names.
    """
    name = str(encoding)
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):  # ValueError: the name contains a null character
        found = None
    if found is None or not found._is_text_encoding:
        raise DataError(f"there is no encoding {name!r}", hint=likely_names(name, _names()) or EXAMPLES)
    return found.name


def checked_encoding(encoding: str | None, form: str, where: str | Path) -> str | None:
    """Returns the name of the encoding that a caller gives for a file, and None if none is given.

    Args:
        encoding: the encoding; None: none is given.
        form: format of the file, as `mammal.tasks.tables.readers.file_format` returns it.
        where: the file, for the error message.

    Raises:
        DataError: there is no such encoding, or the format has none to choose.
    """
    if encoding is None:
        return None
    name = codec_name(encoding)
    if form in WITHOUT_ENCODING:
        raise DataError(f"encoding is for text files, and .{form} has none to choose", where=str(where))
    return name


@cache
def _names() -> tuple[str, ...]:
    """Names of encodings of text, in the spelling in which people write them."""
    known = {*aliases, *aliases.values(), "utf_8_sig", "latin_1"}
    return tuple(sorted(name.replace("_", "-") for name in known if _is_text(name)))


def _is_text(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except LookupError:  # an encoding of another operating system
        return False
