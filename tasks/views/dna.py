"""Other forms of DNA text with variants in place: one allele, other strand, shorter window, variant at another site.

    in place              ACGTAC[A/G]TTCACAT      as in prompts (`mammal.tokenization.variants`)
    reference             ACGTACATTCACAT          shows the place, not the change
    alternate             ACGTACGTTCACAT          shows the place after the change
    random site           ACGTACATTC[A/G]CAT      shows the window and the change, not its position: a control
    reverse complement    ATGTGAA[T/C]GTACGT      the same molecule, read from the other strand

`random_site` shows how well a model can predict from the variant's token and the window alone, without the site. A
model that reads variants in place uses the site only if it is better than that.

Random choices depend only on the text and a seed: both give the same result in every run and on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.variants import Placed, Variant, parse_variants, write_in_place

if TYPE_CHECKING:
    from mammal.tokenization.template import Template

DNA = "DNA"
"""The alphabet of bases and of variants in place."""


@dataclass(frozen=True)
class Located:
    """In-place text as its reference sequence and its variants, in order."""

    window: str
    placed: tuple[Placed, ...]

    def __str__(self) -> str:
        return write_in_place(self.window, self.placed)


def located(text: str) -> Located:
    """Parses in-place text to its reference sequence and the positions of its variants.

    Raises:
        PromptError: the text is not valid in-place notation.
    """
    window, placed = "", []
    for piece in parse_variants(text):
        if isinstance(piece, Variant):
            placed.append(Placed(len(window), piece))
        window += piece.ref if isinstance(piece, Variant) else piece
    return Located(window, tuple(placed))


def dna_columns(template: Template) -> list[str]:
    """Returns the columns that a template writes in the DNA alphabet."""
    alphabets = {
        slot.column: ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
        for slot in template.slots
        if slot.kind in ("entity", "alphabet")
    }
    return [column for column, alphabet in alphabets.items() if alphabet == DNA]


def cropped(text: str, window: int, shift: int = 0) -> str:
    """Crops in-place text to at most `window` reference bases, with the first variant in the middle.

    A single-nucleotide variant is at index `window // 2`, as in windows cut from a genome; near an end of the text the
    window is clipped. Further variants are kept if they are completely inside; otherwise their reference bases are
    kept. Text without a variant, and text that is not longer than `window`, stays unchanged.

    Args:
        text: in-place notation.
        window: reference bases to keep, at least 1.
        shift: move the window by up to this many bases to either side, at random but fixed for each text, as far as the
            variant stays inside. If the variant were always in the middle, its position would reveal the site even in a
            prompt that does not mark it.

    Raises:
        PromptError: the text is not valid in-place notation.
        DataError: the variant replaces more bases than the window has.
    """
    whole = located(text)
    if len(whole.window) <= window or not whole.placed:
        return text
    first = whole.placed[0]
    length = len(first.variant.ref)
    if length > window:
        raise DataError(f"the variant replaces {length:,} bases, more than the window of {window:,} holds")
    start = first.start + length // 2 - window // 2 + drawn(text, 2 * shift + 1) - shift
    start = min(max(start, first.end - window), first.start)
    end = min(start + window, len(whole.window))
    start = max(0, start)
    kept = [Placed(at.start - start, at.variant) for at in whole.placed if start <= at.start and at.end <= end]
    return str(Located(whole.window[start:end], tuple(kept)))


def random_site(text: str, seed: int = 0) -> str | None:
    """Moves the variant of a text to another site of its window; alleles, frequencies and reference stay the same.

    The site is sampled from those with the reference allele between the same two neighbours (for a single-nucleotide
    variant: the same trinucleotide), because mutability and base composition depend on these. If there is none, it is
    sampled from all sites with the reference allele. Sites at which an insertion or deletion would give the same
    alternate sequence as before, as within a repeat, are excluded.

    Args:
        text: in-place notation.
        seed: seed of the choice.

    Returns:
        The changed text; None for text without a variant or with several, and if no other site has the reference
        allele.

    Raises:
        PromptError: the text is not valid in-place notation.
    """
    whole = located(text)
    if len(whole.placed) != 1:
        return None
    (here,) = whole.placed
    others = [there for there in _sites(whole.window, here.variant) if _differs(whole.window, here, there)]
    matched = [there for there in others if _neighbours(whole.window, there) == _neighbours(whole.window, here)]
    sites = matched or others
    return str(Located(whole.window, (sites[drawn(text, len(sites), seed)],))) if sites else None


def drawn(text: str, count: int, seed: int = 0) -> int:
    """Returns a uniformly distributed number from 0 to `count` - 1 that depends only on the text and the seed."""
    from hashlib import blake2b  # its import takes longer than that of this module

    return int.from_bytes(blake2b(f"{seed}\n{text}".encode(), digest_size=8).digest(), "big") % count


def _sites(window: str, variant: Variant) -> list[Placed]:
    """Every position of the window with the reference allele; for an insertion, every position between bases."""
    found, at = [], window.find(variant.ref)
    while at >= 0:
        found.append(Placed(at, variant))
        at = window.find(variant.ref, at + 1)
    return found


def _differs(window: str, here: Placed, there: Placed) -> bool:
    """Whether the variant at `there` gives other alternate sequences than at `here`.

    Outside of the stretch from one site to the other the sequences are equal, so only this stretch is compared.
    """
    low, high = min(here.start, there.start), max(here.end, there.end)
    one, other = (
        [window[low : at.start] + alt + window[at.end : high] for alt in at.variant.alts] for at in (here, there)
    )
    return one != other


def _neighbours(window: str, at: Placed) -> tuple[str, str]:
    """The bases before and behind a site, "" at an end of the window."""
    return window[max(0, at.start - 1) : at.start], window[at.end : at.end + 1]
