"""What `Mammal.export` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        folder: the folder.
        format: `"transformers"` or `"onnx"`.
        files: paths of the files in the folder.
        differences: output -> largest absolute difference from the output of the model, over padded and single rows.
        tasks: tasks whose answers are outputs of the exported graph.
        not_exported: task of the bundle -> why its answers are not outputs.
        left_out: parts of the model that are not in the files.
    """

    folder: Path
    format: str
    files: Sequence[str]
    differences: Mapping[str, float]
    tasks: Sequence[str] = ()
    not_exported: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()
