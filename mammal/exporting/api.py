"""Export of a model, from Python and from the command line.

import mammal
mammal.export("demo/bundle", "demo/onnx", "onnx").differences
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mammal.errors import BundleError, ConfigError
from mammal.exporting.parts import INPUT_SCALARS, ONNX, check_format, check_parts, exported_model
from mammal.files import read_json
from mammal.inference.api import Mammal, load
from mammal.inference.exported import Exported
from mammal.jobs.loaded_model import read_by_model
from mammal.overwriting import refuse_overwriting
from mammal.rows.task_choice import TaskLike
from mammal.tasks.tables.atomic import atomic_folder
from mammal.version import __version__

if TYPE_CHECKING:
    from mammal.exporting.check_rows import Differences
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

DESCRIPTION = "export.json"
TOKENIZER = "tokenizer"
_WRITTEN_BY = "written_by"

HOW_IDS_ARE_MADE = (
    "from mammal.tokenization import Tokenizer; Tokenizer.load(FOLDER).encode(PROMPT).ids_L; a row of a task becomes a "
    "prompt with mammal.load(BUNDLE).find_task(NAME).render(ROW)"
)


def export(
    bundle: str | os.PathLike[str] | Mammal,
    output: str | os.PathLike[str],
    format: str,
    *,
    task: TaskLike | Sequence[TaskLike] | None = None,
    leave_out: Sequence[str] = (),
    overwrite: bool = False,
    tokenizer: str | os.PathLike[str] | Tokenizer | None = None,
    config_dirs: Sequence[str | Path] = (),
) -> Exported:
    """Writes a model in the format of another program, and compares what that program computes with the model.

    The weights are written in float32. Adapters are merged.

    Args:
        bundle: a loaded model, or what `mammal.load` opens: a folder, a `.ckpt`, a shipped bundle or a hub id.
        output: new or empty folder.
        format: `"transformers"`: a folder that `T5ForConditionalGeneration.from_pretrained` and
            `T5EncoderModel.from_pretrained` load. `"onnx"`: a graph of the encoder, from token ids to states and to the
            answers of tasks in encoder mode; it needs the extra `onnx`.
        task: one task or several: names, YAML files or declarations. For ONNX, their answers are outputs of the graph.
            Default: the tasks of the bundle; for ONNX, those of them in encoder mode.
        leave_out: parts of the model that may be missing in the files: `"encoder_head"`, `"scalars_prediction_head"`,
            `"decoder_scalars"`, `"input_scalars"`, `"external_embeddings"`. T5 of transformers has none of these, ONNX
            graphs have no external embeddings. Default: none; a model with such a part is refused.
        overwrite: replace an earlier export in the folder. Other folders are never replaced.
        tokenizer: as for `mammal.load`.
        config_dirs: as for `mammal.load`.

    Returns:
        What was written, with the largest differences. `export.json` in the folder has the same facts.

    Raises:
        ConfigError: there is no such format or part; the format can't hold the model; a package is not installed; or
            the folder is not empty.
        TaskError: there is no such task.
        BundleError: there is no such model, or an output of the export differs from that of the model by more than
            rounding. Nothing is written then.
    """
    check_format(format)
    if format == ONNX:
        from mammal.exporting.onnx_file import check_installed

        check_installed()
    folder = Path(output).expanduser()
    other = tokenizer if isinstance(tokenizer, str | os.PathLike) else None
    read = {} if isinstance(bundle, Mammal) else read_by_model(bundle=bundle, tokenizer=other)
    refuse_overwriting({"export": folder}, read)
    _check_folder(folder, overwrite=overwrite)
    if isinstance(bundle, Mammal):
        model = bundle
    else:
        how: dict[str, Any] = {"tokenizer": tokenizer, "config_dirs": config_dirs}
        model = load(bundle, device="cpu", dtype="float32", **how)
    left_out = check_parts(model.model, format, leave_out)
    tasks = _tasks(model, task)
    with atomic_folder(folder) as partial:
        write = _write_onnx if format == ONNX else _write_transformers
        try:
            about, found, why = write(model, exported_model(model.model), partial, tasks, left_out, task is not None)
            found.check()
        except BundleError as error:
            error.where = error.where or f"format={format}"
            raise
        model.tokenizer.save(partial / TOKENIZER)
        files = sorted(path.relative_to(partial).as_posix() for path in partial.rglob("*") if path.is_file())
        described = _described(model, format, about, found, why, left_out, [*files, DESCRIPTION])
        (partial / DESCRIPTION).write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    answered = list(about["tasks"]) if format == ONNX else []
    return Exported(folder, format, described["files"], dict(found.largest), answered, why, left_out)


Written = tuple[dict[str, Any], "Differences", dict[str, str]]


def _write_transformers(
    model: Mammal, network: MammalModel, folder: Path, tasks: dict[str, Task], left_out: Sequence[str], named: bool
) -> Written:
    from mammal.exporting.transformers_folder import write_transformers

    return *write_transformers(model, network, folder, tasks), {}


def _write_onnx(
    model: Mammal, network: MammalModel, folder: Path, tasks: dict[str, Task], left_out: Sequence[str], named: bool
) -> Written:
    from mammal.exporting.onnx_file import choose_tasks, write_onnx

    chosen, why = choose_tasks(tasks, network, left_out, named=named)
    values = network.config.support_input_scalars and INPUT_SCALARS not in left_out
    return *write_onnx(model, network, folder, chosen, values=values), why


def _tasks(model: Mammal, asked: TaskLike | Sequence[TaskLike] | None) -> dict[str, Task]:
    if asked is None:
        return dict(model.tasks)
    several: list[TaskLike] = list(asked) if isinstance(asked, list | tuple) else [cast(TaskLike, asked)]
    found = [model.find_task(one) for one in several]
    return {task.name: task for task in found}


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuses a folder with content, unless it is an earlier export that may be replaced.

    Raises:
        ConfigError: names the first file that an export did not write.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError("is a file", where=str(folder), hint="output=ANOTHER_FOLDER; nothing was changed")
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    if not there:
        return
    if not overwrite:
        hint = "overwrite=true replaces an earlier export; or output=ANOTHER_FOLDER"
        raise ConfigError("the folder exists already and is not empty", where=str(folder), hint=hint)
    earlier = read_json(folder / DESCRIPTION) if DESCRIPTION in there else {}
    written = set(earlier.get("files") or ()) if _WRITTEN_BY in earlier else set()
    if others := [name for name in there if name not in written]:
        what = "the file was not written by an export, so the folder is not replaced"
        raise ConfigError(what, where=str(folder / others[0]), hint="output=ANOTHER_FOLDER; nothing was changed")


def _described(
    model: Mammal,
    format: str,
    about: Mapping[str, Any],
    found: Differences,
    why: Mapping[str, str],
    left_out: Sequence[str],
    files: Sequence[str],
) -> dict[str, Any]:
    from mammal.exporting.check_rows import LENGTHS, TOLERANCE

    tokenizer = model.tokenizer
    ids = {"pad": tokenizer.pad_id, "eos": tokenizer.eos_id, "mask": tokenizer.mask_id}
    return {
        "format": format,
        _WRITTEN_BY: f"mammal {__version__}",
        **about,
        "not_exported": dict(why),
        "left_out": list(left_out),
        "merged_adapters": bool(model.model.adapters) or hasattr(model.model.t5_model, "peft_config"),
        "tokenizer": {"folder": TOKENIZER, "hash": tokenizer.hash, "how": HOW_IDS_ARE_MADE, "ids": ids},
        "check": {
            "rows": f"random tokens, one padded batch and single rows of {', '.join(map(str, LENGTHS))} tokens",
            "tolerance": TOLERANCE,
            "outputs": found.summary(),
        },
        "files": sorted(files),
    }
