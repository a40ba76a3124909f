"""Where CDR-H3 lies in a heavy chain, told from the sequence alone.

CDR3 is what IMGT's numbering calls 105 to 117 (Lefranc et al. 2003): the residues between the second conserved cysteine
(104), which stands at the end of framework 3 in `D-T-A-V-Y-Y-C`, and the tryptophan (118) that opens framework 4 in
`W-G-Q-G-T-L-V-T-V-S-S`. Programs that number a whole chain (ANARCI, abnumber) align it to germline profiles by HMMER;
the two motifs need nothing, and are enough for this one loop.

On the 1,555 different chains of RefineGNN's files (Jin et al. 2022), which mark the CDRs by IMGT's numbering, the rule
finds what is marked in 1,522. In 19 it finds none: one of the motifs is mutated, or was not resolved in the structure.
In 14 the file marks the third CDR of a light chain that is fused to the heavy one, and the rule finds the heavy
chain's. It gave no wrong end in any.
"""

from __future__ import annotations

import re

_CYSTEINE = re.compile(r"(?=[DEGNSHAVY][A-Z][AGSTDVPC][A-Z][YFHCL][A-Z]C)")
"""Residues 98 to 104 of framework 3."""
_CYSTEINE_AT = 7
"""From the first of these residues to the first of CDR-H3."""

_FRAMEWORK_4 = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?=WG[A-Z]G[A-Z]{2}[VIL][A-Z][VI])",  # the whole motif, so that W-G-x-G within the loop is not taken for it
        r"(?=[A-EG-Z][A-Z]{2}G[A-Z]{2}VTV)",  # the tryptophan or the glycine mutated; light chains have F there
        r"(?=WG[A-Z]G)",  # the chain ends here
    )
)
"""From the surest to the least sure; each begins at residue 118."""

FRAMEWORKS_1_TO_3 = 110
"""Residues before CDR-H3 that are a variable domain's at most: 104 of IMGT's numbering, and some inserted."""
FRAMEWORK_4 = 11
"""Residues 118 to 128."""
EARLIEST, SHORTEST, LONGEST = 60, 2, 70
"""Residues before CDR-H3 at least, since chains are cut in front, and its length. Those of cattle reach 67."""


def cdr_h3(chain: str) -> tuple[int, int] | None:
    """Residues [start, end) of CDR-H3; None where its ends are not told."""
    starts = [found.start() + _CYSTEINE_AT for found in _CYSTEINE.finditer(chain)]
    for motif in _FRAMEWORK_4:
        for found in motif.finditer(chain):
            end = found.start()
            fitting = [start for start in starts if start >= EARLIEST and SHORTEST <= end - start <= LONGEST]
            if fitting:
                return fitting[0], end
    return None


def variable_domain(chain: str, start: int, end: int) -> tuple[str, str, str]:
    """What stands before CDR-H3 in its domain, CDR-H3, and framework 4; constant and fused domains are left out."""
    return chain[max(0, start - FRAMEWORKS_1_TO_3) : start], chain[start:end], chain[end : end + FRAMEWORK_4]
