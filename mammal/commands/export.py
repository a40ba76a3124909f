"""Write a model in the format of another program, and compare what that program computes with the model.

    mammal export bundle=demo/bundle format=onnx output=demo/onnx
    mammal export bundle=demo/bundle format=onnx output=demo/onnx overwrite=true
    mammal export bundle=runs/seq2seq/bundle format=transformers output=t5 leave_out=[input_scalars]
    mammal export bundle=FOLDER_OF_A_PUBLISHED_MODEL task=dti_bindingdb_pkd format=onnx output=dti

format=transformers writes a folder that T5ForConditionalGeneration.from_pretrained loads. format=onnx writes a graph of
the encoder, whose outputs are its states and the answers of tasks in encoder mode (`pip install 'mammal[onnx]'`). Both
folders have the tokenizer and export.json, which describes inputs, outputs, labels, units and scaling. An export whose
outputs differ from those of the model by more than float32 rounding is not written (docs/export.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain
from mammal.errors import ConfigError

if TYPE_CHECKING:
    from mammal.inference.exported import Exported

VERB = "export"


def run(argv: Sequence[str]) -> int:
    return run_verb(VERB, argv, lambda config, config_dirs: _work(plain(config), config_dirs))


def _work(options: dict[str, Any], config_dirs: Sequence[Path]) -> int:
    if not isinstance(options["overwrite"], bool):
        what = f"overwrite must be true or false, not {options['overwrite']!r}"
        raise ConfigError(what, where=f"mammal {VERB}")
    options["leave_out"] = _listed(options["leave_out"])
    from mammal.exporting.api import export

    _report(export(config_dirs=config_dirs, **options))
    return 0


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _report(done: Exported) -> None:
    for name in done.left_out:
        console.note(f"left out: {name}")
    for name, reason in done.not_exported.items():
        console.note(f"task {name} is not in the graph: {reason}")
    for output, apart in done.differences.items():
        console.out(f"{output}: largest difference from the model {apart:.2g}")
    console.note(f"written: {done.folder} ({', '.join(name for name in done.files if '/' not in name)}, tokenizer/)")
