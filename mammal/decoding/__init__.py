"""Decoding: an encoded batch to sequences, by greedy search, beam search or sampling; and likelihoods of given ones.

Public names are imported when first used (PEP 562).
"""

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Generated": "mammal.decoding.generate_batch",
    "GenerationConfig": "mammal.decoding.config",
    "generate": "mammal.decoding.generate_batch",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
