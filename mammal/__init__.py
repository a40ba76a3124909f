"""MAMMAL: molecules, proteins, DNA with variants and numbers in one prompt language, read and written by one model.

    import mammal
    model = mammal.load("checkpoints/…")        # a folder, a .ckpt file or a hub id
    model.predict(["CCO", "c1ccccc1"])

Public names are imported on first use (PEP 562), so that `import mammal` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammal.renamed_modules import install
from mammal.tokenization.lazy import lazy_names
from mammal.upper_layers import register
from mammal.version import __version__

_HOMES = {
    "Mammal": "mammal.inference.api",
    "MammalError": "mammal.errors",
    "Prediction": "mammal.tasks.batches.prediction",
    "Tokenizer": "mammal.tokenization",
    "check_data": "mammal.data_check.api",
    "evaluate": "mammal.evaluation.api",
    "export": "mammal.exporting.api",
    "finetune": "mammal.training.finetune",
    "load": "mammal.inference.api",
    "push_to_hub": "mammal.bundle.push",
}

__all__ = [
    "Mammal",
    "MammalError",
    "Prediction",
    "Tokenizer",
    "__version__",
    "check_data",
    "evaluate",
    "export",
    "finetune",
    "load",
    "push_to_hub",
]

if TYPE_CHECKING:
    from mammal.bundle.push import push_to_hub
    from mammal.data_check.api import check_data
    from mammal.errors import MammalError
    from mammal.evaluation.api import evaluate
    from mammal.exporting.api import export
    from mammal.inference.api import Mammal, load
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tokenization import Tokenizer
    from mammal.training.finetune import finetune

install()
register("export", _HOMES["export"])
register("finetune", _HOMES["finetune"])
register("report", "mammal.report.gather")
register("write_report", "mammal.report.gather")

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
