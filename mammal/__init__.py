"""MAMMAL: molecules, proteins, DNA with variants and numbers in one prompt language, read and written by one model.

    import mammal
    model = mammal.load("checkpoints/…")        # a folder, a .ckpt file or a hub id
    model.predict(["CCO", "c1ccccc1"])

Public names are imported when first used (PEP 562), so that `import mammal` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Mammal": "mammal.inference",
    "load": "mammal.inference",
    "Tokenizer": "mammal.tokenization",
    "Prediction": "mammal.tasks.prediction",
    "MammalError": "mammal.errors",
}

__all__ = ["Mammal", "MammalError", "Prediction", "Tokenizer", "__version__", "load"]

if TYPE_CHECKING:
    from mammal.errors import MammalError
    from mammal.inference import Mammal, load
    from mammal.tasks.prediction import Prediction
    from mammal.tokenization import Tokenizer


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mammal' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
