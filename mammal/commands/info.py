"""Show what a bundle contains, and what it was made from: size, tokenizer, base model, tasks, data, results.

Weights are not read. Two bundles whose hashes of a split and of the rows are equal had the same data.

mammal info demo/bundle
mammal info ibm/biomed.omics.bl.sm.ma-ted-458m
mammal info esol                                a shipped head; without argument, all of them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.bundle.locate import CARD, CONFIG, DELTA, MEMBERS, METRICS, PRETRAINING_ROWS, TASKS, TOKENIZER, WEIGHTS
from mammal.errors import BundleError, ConfigError
from mammal.files import read_json
from mammal.tasks.metrics.undefined import UNDEFINED, estimate_text, is_estimate, what_it_needs

if TYPE_CHECKING:
    from mammal.bundle.locate import ModelSource


_SHOWN_DIGITS = 16
"""Digits of a hash that are shown."""


def run(argv: Sequence[str]) -> int:
    from mammal.bundle.locate import locate

    if not argv:
        print_heads()
        return 0
    if len(argv) != 1 or argv[0].startswith("-"):
        raise ConfigError("one bundle is needed", where="mammal info", hint="mammal info FOLDER")
    source = locate(argv[0].removeprefix("bundle="))
    for line in _describe(source):
        console.out(line)
    return 0


def print_heads() -> None:
    """Prints a line for each head that is installed with the package."""
    from mammal.bundle.heads import ENCODER, read_heads

    heads = read_heads()
    if not heads:
        console.out(f"no head ships with this installation; {ENCODER} does: mammal info {ENCODER}")
        return
    for head in heads:
        console.out(head.line)
    console.out(f"\n{len(heads)} heads on {ENCODER}. mammal predict task={heads[0].name} input=FILE uses one")


def _describe(source: ModelSource) -> Iterator[str]:
    config = read_json(source.folder / CONFIG)
    shape, own = config.get("t5_config") or {}, config.get("mammal") or {}
    weights = source.weights if source.weights.is_file() else _stored(source.folder)
    parameters = _parameters(weights)
    yield f"bundle      {source.folder}"
    size = f"{weights.stat().st_size / 1e6:,.1f} MB"
    yield f"weights     {weights.name}, {size}" + (f", {parameters / 1e6:,.2f} M parameters" if parameters else "")
    yield from _members(own.get("members"), source.folder / MEMBERS)
    layers = f"{shape.get('num_layers')} + {shape.get('num_decoder_layers') or shape.get('num_layers')} layers"
    widths = f"d_model {shape.get('d_model')}, {shape.get('num_heads')} heads, d_ff {shape.get('d_ff')}"
    yield f"model       {layers}, {widths}"
    yield f"heads       {', '.join(_heads(config, own)) or 'token head of the decoder'}"
    yield from _tokenizer(source.folder / TOKENIZER, shape, own, of_base=weights.name == DELTA)
    written = f"by mammal {own['version']}" if "version" in own else "in the published layout, without tasks"
    yield f"written     {written}"
    yield from _adaptation(own.get("adaptation"), weights)
    if (source.folder / PRETRAINING_ROWS).is_file():
        yield f"pretrained  on {_pretraining(source.folder / PRETRAINING_ROWS)}"
    metrics = read_json(source.folder / METRICS) if (source.folder / METRICS).is_file() else {}
    yield from _tasks(source.folder / TASKS, own.get("data") or {}, metrics)
    figures = list(_figures(metrics))
    if figures:
        yield "figures"
        yield from (f"  {name}: {value}" for name, value in figures)
    if (source.folder / CARD).is_file():
        yield f"card        {source.folder / 'README.md'}"


def _pretraining(file: Path) -> str:
    from mammal.tasks.pretraining.pretraining_rows import PretrainingRows

    return PretrainingRows.of_file(file).sentence


def _stored(folder: Path) -> Path:
    return folder / (DELTA if (folder / DELTA).is_file() else WEIGHTS)


def _members(made: Mapping[str, Any] | None, file: Path) -> Iterator[str]:
    if made:
        size = f", {file.stat().st_size / 1e6:,.1f} MB" if file.is_file() else ", which is missing"
        yield f"members     {made['count']} of an ensemble, each with weights of its own in {file.name}{size}"


def _adaptation(made: Mapping[str, Any] | None, weights: Path) -> Iterator[str]:
    if made:
        settings = ", ".join(f"{name} {_text(value)}" for name, value in made["settings"].items() if value != [])
        yield f"adapted     {made['method']}{f' ({settings})' if settings else ''} from {made['base']}"
        where = "not included; " if weights.name == DELTA else ""
        yield f"base        {where}its weights have hash {made['base_hash']}"


def _heads(config: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    yield "token head of the decoder"
    if config.get("encoder_head_layers") is not None:
        yield f"token head of the encoder {config['encoder_head_layers']}"
    if config.get("scalars_prediction_head"):
        yield "scalar head of the encoder"
    if (own.get("model") or {}).get("decoder_scalars"):
        yield "scalar head of the decoder"
    if config.get("support_input_scalars"):
        yield "input scalars"
    if named := (own.get("model") or {}).get("vector_heads"):
        yield f"heads of single tasks and features: {', '.join(named)}"
    if config.get("use_lora"):
        yield "LoRA adapters"


def _tokenizer(
    folder: Path, shape: Mapping[str, Any], own: Mapping[str, Any], *, of_base: bool = False
) -> Iterator[str]:
    from mammal.tokenization import Tokenizer

    if not folder.is_dir():
        yield "tokenizer   that of the base" if of_base else "tokenizer   none in the folder"
        return
    tokenizer = Tokenizer.load(folder)
    belongs = own.get("tokenizer_hash") in (None, tokenizer.hash)
    yield (
        f"tokenizer   {', '.join(tokenizer.alphabets)}; {shape.get('vocab_size'):,} rows; "
        f"hash {tokenizer.hash[:_SHOWN_DIGITS]}" + ("" if belongs else "; NOT the one the model was trained with")
    )


def _tasks(file: Path, recorded: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[str]:
    if not file.is_file():
        return
    import yaml

    from mammal.tasks.declaration.schema import unit_text

    for name, task in (yaml.safe_load(file.read_text(encoding="utf-8")).get("tasks") or {}).items():
        declared = task["config"]
        yield f"task        {name}: {declared['kind']}. {declared.get('about') or ''}".rstrip()
        yield f"  prompt    {declared['prompt']['input']}"
        if declared["prompt"].get("target"):
            yield f"  target    {declared['prompt']['target']}"
        labels = f"labels {', '.join(declared['labels'])}" if declared.get("labels") else ""
        if len(declared.get("labels") or ()) == 2:
            labels += f"; positive: {declared['labels'][1]}"
        if declared.get("labels_at"):
            labels += f"; one for each {' or '.join(declared['labels_at'])}"
        unit = f"unit {unit_text(declared['unit'])}" if declared.get("unit") else ""
        if labels or unit:
            yield f"  answers   {labels or unit}" + ("; from its own head" if declared.get("own_head") else "")
        yield from _data(declared, recorded.get(name) or _of_figures(metrics.get(name)))


def _data(declared: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
    """Which rows a task was trained on. Bundles of earlier versions have the split in their figures only."""
    if not record:
        return
    data, rows = declared.get("data") or {}, record.get("rows") or {}
    sizes = ", ".join(f"{rows[part]:,} {part}" for part in ("train", "valid", "test") if rows.get(part))
    facts = (
        data.get("path") or " ".join(filter(None, (data.get("source"), data.get("name")))),
        f"{sizes} rows" if sizes else "",
        f"split {record.get('split')}",
        f"task version {declared.get('version')}",
    )
    yield f"  data      {'; '.join(filter(None, facts))}"
    known = {"split": record.get("split_hash"), "rows": record.get("content")}
    if hashes := [f"{what} {value[:_SHOWN_DIGITS]}" for what, value in known.items() if value]:
        yield f"  hashes    {', '.join(hashes)}"


def _of_figures(parts: Any) -> Mapping[str, Any]:
    """Split and hash as the figures of a task record them; empty if there are none."""
    found = (part for part in parts.values() if isinstance(part, Mapping)) if isinstance(parts, Mapping) else ()
    return next(({key: part.get(key) for key in ("split", "split_hash")} for part in found if "split" in part), {})


def _figures(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield from _figures(child, (*path, str(key)))
    elif node not in (None, ""):
        text = _text(node)
        yield " · ".join(path), f"{text} (needs {what_it_needs(path[-1])})" if text == UNDEFINED else text


def _text(value: Any) -> str:
    if is_estimate(value):
        return estimate_text(value, lambda number: f"{number:.4g}")  # value and 95 % interval
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _parameters(weights: Path) -> int | None:
    """Returns the number of parameters, from the header of a safetensors file. None: it is a `.ckpt` file."""
    if weights.suffix != ".safetensors":
        return None
    from math import prod

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as stored:
            return sum(prod(stored.get_slice(name).get_shape()) for name in stored.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise BundleError(f"is not a valid safetensors file: {error}", where=str(weights)) from error
