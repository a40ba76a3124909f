"""In-place DNA text in other ways: one allele, the other strand, a shorter window, and the variant at another site.

    in place              ACGTAC[A/G]TTCACAT      as prompts have it (`mammal.tokenization.variants`)
    reference             ACGTACATTCACAT          tells the place, not the change
    alternate             ACGTACGTTCACAT          tells the place after the change
    random site           ACGTACATTC[A/G]CAT      tells the window and the change, not where it is: a control
    reverse complement    ATGTGAA[T/C]GTACGT      the same molecule, read from the other strand

`random_site` answers what a model could know from the variant's token and the window alone. Whatever it reaches, the
site has not been used; a model that reads variants in place must do better for the site to matter.

What is drawn here is drawn by content: the same text and seed give the same answer in every run and on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.variants import Placed, Variant, parse, write_in_place

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
    """Where the variants of in-place text stand in its reference.

    Raises:
        PromptError: the text is no in-place notation.
    """
    window, placed = "", []
    for piece in parse(text):
        if isinstance(piece, Variant):
            placed.append(Placed(len(window), piece))
        window += piece.ref if isinstance(piece, Variant) else piece
    return Located(window, tuple(placed))


def dna_columns(template: Template) -> list[str]:
    """Columns that a template writes in the DNA alphabet."""
    alphabets = {
        slot.column: ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
        for slot in template.slots
        if slot.kind in ("entity", "alphabet")
    }
    return [column for column, alphabet in alphabets.items() if alphabet == DNA]


def cropped(text: str, window: int, shift: int = 0) -> str:
    """At most `window` reference bases, with the first variant in their middle.

    A single-nucleotide variant stands at index `window // 2`, as in windows cut from a genome; near an end of the text
    the window is clipped there. Further variants stay where they lie wholly within it, and their reference bases do
    where not. Text without a variant, and text that is no longer, is left as it is.

    Args:
        text: in-place notation.
        window: reference bases to keep, at least 1.
        shift: move the window by up to so many bases to either side, drawn by content, as far as the variant stays
            within: where the variant always stands in the middle, the middle gives the site away, even in a prompt that
            does not mark it.

    Raises:
        PromptError: the text is no in-place notation.
        DataError: the variant replaces more bases than the window holds.
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
    """The same variant at another site of the same window: same alleles and frequencies, same reference sequence.

    The site is drawn among those that hold the reference allele between the same two neighbours (of a single-nucleotide
    variant: the same trinucleotide), because mutability and base composition hang on these; where there is none, among
    those that hold the reference allele. Sites at which an insertion or deletion would give the same alternate sequence
    as before, as within a repeat, are the same site and not drawn.

    Returns:
        None for text without a variant or with several, and where no other site holds the reference allele.

    Raises:
        PromptError: the text is no in-place notation.
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
    """A number below `count`, each as likely, that depends on text and seed alone."""
    return int.from_bytes(blake2b(f"{seed}\n{text}".encode(), digest_size=8).digest(), "big") % count


def _sites(window: str, variant: Variant) -> list[Placed]:
    """Every place of the window that holds the reference allele; of an insertion, every gap."""
    found, at = [], window.find(variant.ref)
    while at >= 0:
        found.append(Placed(at, variant))
        at = window.find(variant.ref, at + 1)
    return found


def _differs(window: str, here: Placed, there: Placed) -> bool:
    """Whether the variant at `there` gives other alternate sequences than at `here`.

    Between two sites only the stretch from the one to the other is read differently.
    """
    low, high = min(here.start, there.start), max(here.end, there.end)
    one, other = (
        [window[low : at.start] + alt + window[at.end : high] for alt in at.variant.alts] for at in (here, there)
    )
    return one != other


def _neighbours(window: str, at: Placed) -> tuple[str, str]:
    """The bases before and behind a site; "" at an end of the window."""
    return window[max(0, at.start - 1) : at.start], window[at.end : at.end + 1]
