"""Names of proteins as databases write them in FASTA headers, made comparable: the product's name alone.

    product_name("Glycogen phosphorylase (EC 2.4.1.1) (Fragment)")     # "Glycogen phosphorylase"
    product_name("putative sodium/glucose cotransporter")              # "Sodium/glucose cotransporter"
    product_name("Uncharacterized protein MJ1396")                     # None: it names nothing

What is taken off says how sure the annotator was, or which piece it is, not what the protein does: `putative`, EC
numbers, `(Fragment)`, remarks behind a semicolon. Names that are a locus tag or admit that nothing is known are no
names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

LEAST = 3
"""Characters of a name at least."""

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
"""A locus tag is a word with four digits in a row, or a single word with three."""
_INNER = r"\((?:[^()]|\([^()]*\))*\)"
_OTHER_NAMES = re.compile(rf"(?:\s+(?:{_INNER}|\[.*\]))+$")
_LOWER_START = re.compile(r"[a-z]{3,}(?![A-Z])")
_WORD = re.compile(r"[A-Za-z0-9]+")


def product_name(raw: str) -> str | None:
    """The name that a header's product text gives, with a capital first where it is a plain word; None for none."""
    text = _DOUBTS.sub("", " ".join(_REMARKS.sub("", raw).split()), count=1).strip(" ,.-")
    if len(text) < LEAST or not any(map(str.isalpha, text)) or "<" in text or _NO_NAME.search(text):
        return None
    return text[0].upper() + text[1:] if _LOWER_START.match(text) else text


def first_name(raw: str) -> str:
    """A name without the other names in parentheses behind it, as UniProt lists them."""
    return _OTHER_NAMES.sub("", raw.strip())


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Lower-case word -> how the names write it most often inside a name, where capitals mean something."""
    seen: dict[str, Counter[str]] = {}
    for name in names:
        for number, word in enumerate(_WORD.findall(name)):
            if number or not word[1:].islower():
                seen.setdefault(word.lower(), Counter())[word] += 1
    return {lower: max(found, key=lambda word: (found[word], word)) for lower, found in seen.items()}


def respelt(name: str, known: Mapping[str, str]) -> str:
    """A name that lost its capitals, with those that its words have elsewhere."""
    return _WORD.sub(lambda word: known.get(word[0], word[0]), name)
