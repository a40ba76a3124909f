"""Text to ids and back: the prompt language, its alphabets, and the tokenizer that reads the published folders.

    from mammal.tokenization import Tokenizer
    tokenizer = Tokenizer.load("…/tokenizer")
    encoding = tokenizer.encode("<@TOKENIZER-TYPE=SMILES>CCO<EOS>")

Public names are imported when first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "ENTITIES": "mammal.tokenization.entities",
    "Encoding": "mammal.tokenization.encoding",
    "Entity": "mammal.tokenization.entities",
    "Prompt": "mammal.tokenization.prompt",
    "Template": "mammal.tokenization.template",
    "Tokenizer": "mammal.tokenization.tokenizer",
}

__all__ = ["ENTITIES", "Encoding", "Entity", "Prompt", "Template", "Tokenizer"]

if TYPE_CHECKING:
    from mammal.tokenization.encoding import Encoding
    from mammal.tokenization.entities import ENTITIES, Entity
    from mammal.tokenization.prompt import Prompt
    from mammal.tokenization.template import Template
    from mammal.tokenization.tokenizer import Tokenizer


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mammal.tokenization' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
