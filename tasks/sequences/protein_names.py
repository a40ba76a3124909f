"""Cleaning of protein names in FASTA headers of databases: only the name of the product is kept, to make them
comparable.

    product_name("Glycogen phosphorylase (EC 2.4.1.1) (Fragment)")     # "Glycogen phosphorylase"
    product_name("putative sodium/glucose cotransporter")              # "Sodium/glucose cotransporter"
    product_name("Uncharacterized protein MJ1396")                     # None: not a name of a product

The removed parts describe the certainty of the annotation or the piece of the protein, not its function: `putative`, EC
numbers, `(Fragment)`, remarks after a semicolon. Locus tags and names of unknown proteins are not names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

LEAST = 3
"""Minimum number of characters of a name."""

_REMARKS = re.compile(
    r"""\s*(?: \((?:EC\ [^()]*|Fragments?)\) | \[(?:multifunctional|imported|validated)\]
          | \[(?:cleaved\ into|includes):.* | ;.* | ,\ (?:putative|partial|predicted|probable)\b | \ \(putative\) )""",
    re.VERBOSE | re.IGNORECASE,
)
_DOUBTS = re.compile(
    r"(?:(?:putative|probable|predicted|possible|hypothetical|conserved|similar to)\s+)+", re.IGNORECASE
)
_NO_NAME = re.compile(
    r"""uncharacteri[sz]ed | unknown | unnamed | hypothetical | unplaced | scaffold | shotgun | chromosome\ \d
      | \bcDNA\b | \bclone\b | \bDUF\d | \bUPF\d | \bORFs?\b | \d{4} | ^gp\d | open\ reading\ frame | expressed\ protein
      | ^(?:\w+\ )?(?:protein|proteins|product|gene\ product)$ | ^\S*\d{3}\S*$ | AltName: | \bFlags:""",
    re.VERBOSE | re.IGNORECASE,
)
"""Patterns of texts that are not names. A locus tag is a word with four consecutive digits, or a single word with
three."""
_INNER = r"\((?:[^()]|\([^()]*\))*\)"
_OTHER_NAMES = re.compile(rf"(?:\s+(?:{_INNER}|\[.*\]))+$")
_LOWER_START = re.compile(r"[a-z]{3,}(?![A-Z])")
_WORD = re.compile(r"[A-Za-z0-9]+")


def product_name(raw: str) -> str | None:
    """Returns the product name in a header's text, None if there is none; a plain first word gets a capital letter."""
    text = _DOUBTS.sub("", " ".join(_REMARKS.sub("", raw).split()), count=1).strip(" ,.-")
    if len(text) < LEAST or not any(map(str.isalpha, text)) or "<" in text or _NO_NAME.search(text):
        return None
    return text[0].upper() + text[1:] if _LOWER_START.match(text) else text


def first_name(raw: str) -> str:
    """Returns a name without the alternative names in parentheses that UniProt lists after it."""
    return _OTHER_NAMES.sub("", raw.strip())


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Returns the most common spelling of each word inside names, where capitals are meaningful.

    Returns:
        Word in lower case -> its most common spelling.
    """
    seen: dict[str, Counter[str]] = {}
    for name in names:
        for number, word in enumerate(_WORD.findall(name)):
            if number or not word[1:].islower():
                seen.setdefault(word.lower(), Counter())[word] += 1
    return {lower: max(found, key=lambda word: (found[word], word)) for lower, found in seen.items()}


def respelt(name: str, known: Mapping[str, str]) -> str:
    """Restores the capitals of a name in lower case.

    Args:
        name: the name.
        known: result of `spellings` for other names.
    """
    return _WORD.sub(lambda word: known.get(word[0], word[0]), name)
