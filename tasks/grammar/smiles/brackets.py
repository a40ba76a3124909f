"""Bracket atoms written character by character: the characters that may follow, and the atoms that can result."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mammal.tasks.grammar.smiles.atoms import FLAT, ORGANIC, BondingSite, bonding_site, charge_of, read_atom
from mammal.tasks.grammar.smiles.valence import ANY, AROMATIC, SYMBOLS

_SYMBOLS = frozenset([*SYMBOLS, *AROMATIC])
_PREFIXES = frozenset(symbol[0] for symbol in _SYMBOLS)
_LETTERS = "".join(sorted({letter for symbol in _SYMBOLS for letter in symbol}))
_MOST_DIGITS = 3


class Bracket(NamedTuple):
    """The content of a bracket so far; of isotope and atom class only the number of digits is stored.

    Attributes:
        mapped: -1 before the `:` of an atom class, then its number of digits.
    """

    isotope: int = 0
    symbol: str = ""
    turn: str = ""
    hydrogens: str = ""
    charge: str = ""
    mapped: int = -1

    @property
    def site(self) -> BondingSite | None:
        """The atom, if the bracket may be closed here; else None."""
        if self.symbol not in _SYMBOLS or self.mapped == 0:
            return None
        return bonding_site(self.symbol, charge_of(self.charge), int(self.hydrogens[1:] or 1) if self.hydrogens else 0)


@lru_cache(maxsize=1 << 16)
def following(bracket: Bracket) -> dict[str, Bracket]:
    """Returns the characters that may follow, except `]`, with the bracket after each."""
    found: dict[str, Bracket] = {}
    if not bracket.symbol and bracket.isotope < _MOST_DIGITS:
        digits = "0123456789" if bracket.isotope else "123456789"
        found |= dict.fromkeys(digits, bracket._replace(isotope=bracket.isotope + 1))
    if not (bracket.turn or bracket.hydrogens or bracket.charge or bracket.mapped >= 0):
        longer = {letter: bracket.symbol + letter for letter in _LETTERS}
        kept = {c: s for c, s in longer.items() if s in _SYMBOLS or (len(s) == 1 and s in _PREFIXES)}
        found |= {letter: bracket._replace(symbol=symbol) for letter, symbol in kept.items()}
    if bracket.symbol in _SYMBOLS:
        found |= _behind_symbol(bracket)
    return found


def _behind_symbol(bracket: Bracket) -> dict[str, Bracket]:
    found: dict[str, Bracket] = {}
    if bracket.mapped >= 0:
        if bracket.mapped < _MOST_DIGITS:
            digits = "0123456789" if bracket.mapped else "123456789"
            found |= dict.fromkeys(digits, bracket._replace(mapped=bracket.mapped + 1))
        return found
    found[":"] = bracket._replace(mapped=0)
    if not bracket.charge:
        found |= {sign: bracket._replace(charge=sign) for sign in "+-"}
        if bracket.hydrogens == "H":
            found |= {digit: bracket._replace(hydrogens=f"H{digit}") for digit in "123456789"}
        elif not bracket.hydrogens:
            found["H"] = bracket._replace(hydrogens="H")
            if len(bracket.turn) < 2 and bracket.symbol not in FLAT:
                found["@"] = bracket._replace(turn=bracket.turn + "@")
    elif len(bracket.charge) == 1:
        found[bracket.charge] = bracket._replace(charge=bracket.charge * 2)
        found |= {digit: bracket._replace(charge=bracket.charge + digit) for digit in "123456789"}
    return found


def outcomes(bracket: Bracket) -> dict[BondingSite, int]:
    """Returns the atoms that can result, with the minimum number of further characters, `]` included."""
    if bracket.mapped >= 0:
        site = bracket._replace(mapped=1).site
        return {} if site is None else {site: 1 if bracket.mapped else 2}
    return _outcomes(bracket.symbol, bool(bracket.turn), bracket.hydrogens, bracket.charge)


@lru_cache(maxsize=1 << 16)
def _outcomes(symbol: str, turned: bool, hydrogens: str, charge: str) -> dict[BondingSite, int]:
    """As `outcomes`. Isotope, a further `@` and atom class don't matter, because they only make the text longer."""
    bracket = Bracket(_MOST_DIGITS, symbol, "@@" if turned else "", hydrogens, charge)
    found: dict[BondingSite, int] = {} if bracket.site is None else {bracket.site: 1}
    nexts = {(after.symbol, after.hydrogens, after.charge) for after in following(bracket).values()}
    for after_symbol, *others in nexts - {(symbol, hydrogens, charge)}:
        for site, characters in _outcomes(after_symbol, turned, *others).items():
            found[site] = min(found.get(site, characters + 1), characters + 1)
    return found


def _sites() -> tuple[BondingSite, ...]:
    """Every distinct atom, by its room or its Kekulé roles."""
    charges = ("", "+", "-")
    aromatic = [read_atom(f"[{s}{h}{c}]") for s in AROMATIC for h in ("", "H", "H2") for c in charges]
    found = [*map(BondingSite, range(ANY + 1)), *map(read_atom, (*ORGANIC, *AROMATIC)), *aromatic]
    return tuple(sorted({site for site in found if site is not None}))


SITES = _sites()
