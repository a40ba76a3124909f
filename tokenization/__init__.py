"""Converts text to token ids and back: the prompt language, its alphabets, and the tokenizer for published folders.

    from mammal.tokenization import Tokenizer
    tokenizer = Tokenizer.load("…/tokenizer")
    encoding = tokenizer.encode("<@TOKENIZER-TYPE=SMILES>CCO<EOS>")

Public names are imported when they are first used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _PUBLIC)
