"""Decoding: generates sequences for an encoded batch by greedy search, beam search or sampling.

It also computes likelihoods of given sequences. Public names are imported when they are first used (PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Generated": "mammal.decoding.generate_batch",
    "GenerationConfig": "mammal.decoding.config",
    "generate": "mammal.decoding.generate_batch",
}

__all__ = ["Generated", "GenerationConfig", "generate"]

if TYPE_CHECKING:
    from mammal.decoding.config import GenerationConfig
    from mammal.decoding.generate_batch import Generated, generate

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
