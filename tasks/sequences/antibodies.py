"""Location of CDR-H3 in a heavy chain, from the sequence alone.

CDR3 has the numbers 105 to 117 in IMGT's numbering (Lefranc et al. 2003): the residues between the second conserved
cysteine (104), at the end of framework 3 in `D-T-A-V-Y-Y-C`, and the tryptophan (118) at the start of framework 4 in
`W-G-Q-G-T-L-V-T-V-S-S`. Programs that number a whole chain (ANARCI, abnumber) align it to germline profiles with HMMER.
The two motifs need no further software, and are enough for this one loop.

The rule was compared with the 1,555 distinct chains of RefineGNN's files (Jin et al. 2022), which mark the CDRs by
IMGT's numbering. It finds the marked loop in 1,522. In 19 it finds no loop, because one of the motifs is mutated or was
not resolved in the structure. In 14 the file marks the third CDR of a light chain that is fused to the heavy chain, and
the rule finds that of the heavy chain. It gave no wrong end in any chain.
"""

from __future__ import annotations

import re

_CYSTEINE = re.compile(r"(?=[DEGNSHAVY][A-Z][AGSTDVPC][A-Z][YFHCL][A-Z]C)")
"""Residues 98 to 104 of framework 3."""
_CYSTEINE_AT = 7
"""Number of residues from the first of these to the first of CDR-H3."""

_FRAMEWORK_4 = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?=WG[A-Z]G[A-Z]{2}[VIL][A-Z][VI])",  # the whole motif, so that W-G-x-G within the loop does not match
        r"(?=[A-EG-Z][A-Z]{2}G[A-Z]{2}VTV)",  # tryptophan or glycine is mutated; light chains have F there
        r"(?=WG[A-Z]G)",  # the chain ends here
    )
)
"""Patterns from the most to the least specific; each begins at residue 118."""

FRAMEWORKS_1_TO_3 = 110
"""Maximum number of residues before CDR-H3 in a variable domain: 104 of IMGT's numbering, and some insertions."""
FRAMEWORK_4 = 11
"""Number of residues from 118 to 128."""
EARLIEST, SHORTEST, LONGEST = 60, 2, 70
"""Minimum number of residues before CDR-H3 (chains may be truncated in front), and minimum and maximum length of
CDR-H3. Those of cattle have up to 67 residues."""


def cdr_h3(chain: str) -> tuple[int, int] | None:
    """Returns the residues [start, end) of CDR-H3, counted from 0; None if its ends are not found."""
    starts = [found.start() + _CYSTEINE_AT for found in _CYSTEINE.finditer(chain)]
    for motif in _FRAMEWORK_4:
        for found in motif.finditer(chain):
            end = found.start()
            fitting = [start for start in starts if start >= EARLIEST and SHORTEST <= end - start <= LONGEST]
            if fitting:
                return fitting[0], end
    return None


def variable_domain(chain: str, start: int, end: int) -> tuple[str, str, str]:
    """Returns the residues of the variable domain before CDR-H3, CDR-H3, and framework 4.

    Constant and fused domains are removed.

    Args:
        chain: residues of the heavy chain.
        start: first residue of CDR-H3, counted from 0.
        end: residue after the last one of CDR-H3.
    """
    return chain[max(0, start - FRAMEWORKS_1_TO_3) : start], chain[start:end], chain[end : end + FRAMEWORK_4]
