"""Metals by their symbols: those that salts usually have, and all others."""

from __future__ import annotations

ALKALI_AND_EARTH = ("Li", "Na", "K", "Rb", "Cs", "Be", "Mg", "Ca", "Sr", "Ba")
"""Alkali metals and alkaline earth metals without radioactive ones."""

OF_SALTS = (*ALKALI_AND_EARTH, "Al", "Zn", "Ag", "Cu", "Fe", "Pb")
"""Metals that names of salts contain."""

_OTHERS = (
    *("Fr", "Ra", "Ga", "In", "Sn", "Tl", "Bi"),
    *("Sc", "Ti", "V", "Cr", "Mn", "Co", "Ni"),
    *("Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Cd"),
    *("La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu"),
    *("Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg"),
    *("Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr"),
)

METALS = frozenset({*OF_SALTS, *_OTHERS})
"""All metals up to lawrencium."""
