"""Prints one row of a task at every step: row → prompt → tokens → batch → model → answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.errors import ConfigError, DataError
from mammal.tasks.declaration.schema import unit_text

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch, ModelOutput
    from mammal.tasks.batches.example import Example
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

TOKENS_SHOWN = 80

ENOUGH = 200
"""Approximate number of rows that are used to scale features, which is enough to show a prompt."""


def walk_task(
    name: str,
    number: int = 1,
    bundle: str | None = None,
    data: str | None = None,
    config_dirs: Sequence[Path] = (),
) -> None:
    """Prints every step for one row of the task's data, or for the example of the task if the data are not available.

    Args:
        name: name of the task.
        number: number of the row, counted from 1.
        bundle: bundle whose model answers. None: a tiny model with random weights shows the shapes.
        data: folder of local copies of data sets. Default: the folder in `MAMMAL_DATA`.
        config_dirs: folders of the user with `task/*.yaml`.

    Raises:
        TaskError: there is no such task.
        ConfigError: there is no such row.
        DataError: the row can't be read.
        PromptError: the prompt can't be written.
    """
    task, model = _task_and_model(name, bundle, config_dirs)
    _heading(task.config)
    row, origin = _row(task, number, data)
    _section(f"row: {origin}", [f"{column} = {_cut(row[column])}" for column in row if column in _columns(task)])
    prepared = task.prepare(row, target=True)
    if task.views:
        _section("views: training samples one; the one used otherwise is marked", list(_views(task, row)))
    _section("prepared: standardised, scaled, labels as codes", [f"{c} = {_cut(v)}" for c, v in prepared.items()])
    prompt = task.render(row, target=True)
    lines = [f"input   {_cut(prompt.input, 2000)}"]
    lines += [f"target  {_cut(prompt.target, 2000)}"] if prompt.target else []
    _section("prompt: what the tokenizer reads", lines)
    example = task.encode(row, number, target=True, judged=True)
    batch = task.collate([example])
    _section("tokens: id of each, value where one is carried", list(_tokens(example, batch, task.tokenizer)))
    _section("batch: B rows, D decoder rows, L tokens, T decoder tokens, R reads, V candidates", list(_shapes(batch)))
    _answer(task, model, row, batch, number, trained=bundle is not None)


def _views(task: Task, row: Mapping[str, Any]) -> Iterator[str]:
    shown = task.show(row)
    for column, slot in task.views.items():
        for view, text in slot.every(partial(task.text_if_any, row)):
            mark = "*" if view.name == shown[column].view.name else " "
            drawn = " (sampled again each time)" if view.is_drawn else ""
            yield f"{mark} {column} as {view.name} = {'none in this row' if text is None else _cut(text)}{drawn}"


def _task_and_model(name: str, bundle: str | None, config_dirs: Sequence[Path]) -> tuple[Task, MammalModel]:
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.kinds.build import build_task
    from mammal.tokenization.tokenizer import Tokenizer
    from mammal.training.build import feature_widths, vector_widths

    if bundle is not None:
        import mammal

        loaded = mammal.load(bundle, device="cpu", dtype="float32", config_dirs=config_dirs)
        return loaded.find_task(name), loaded.model
    tokenizer = Tokenizer.load(None)
    task, model = build_task(load_task(name, config_dirs=config_dirs), tokenizer), _random_model(tokenizer)
    model.add_external_embeddings(feature_widths({name: task}))
    model.add_vector_heads(vector_widths({name: task}))
    return task, model


def _random_model(tokenizer: Tokenizer) -> MammalModel:
    import torch

    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"d_model": 32, "d_ff": 64, "d_kv": 16, "num_heads": 2}
    sizes |= {"num_layers": 1, "num_decoder_layers": 1}
    heads: dict[str, Any] = {"encoder_head_layers": (), "scalars_prediction_head": {"layers": ()}}
    config = ModelConfig(tokenizer.vocab_rows, **sizes, **heads, support_input_scalars=True, decoder_scalars=True)
    return MammalModel(config).eval()


def _heading(config: TaskConfig) -> None:
    from mammal.tasks import catalogue

    paper = config.published
    figure = (
        f"{paper.metric} {paper.figure:g}, {paper.source}, {paper.split}" if paper.figure is not None else paper.source
    )
    console.out(f"{config.name}: {config.about}")
    facts = {
        "reads": catalogue.modality(config),
        "answers": f"{catalogue.what_is_predicted(config)}; {config.kind}, read from the {config.mode}",
        "labels": ", ".join(config.labels),
        "unit": unit_text(config.unit),
        "data": catalogue.source(config),
        "split": _split(config),
        "metrics": ", ".join(config.metrics),
        "published": figure,
        "checkpoint": config.checkpoint,
        "licence": config.licence,
        "citation": config.citation,
        "version": str(config.version),
        "input": config.prompt.input,
        "target": config.prompt.target,
    }
    for name, value in facts.items():
        if value:
            console.out(f"  {name.ljust(10)} {value}")


def _split(config: TaskConfig) -> str:
    data = config.data
    by = data.split_column or data.split_on
    columns = [str(by)] if isinstance(by, str) else [str(column) for column in by or ()]
    return f"{data.split} by {', '.join(columns)}" if columns else data.split


def _row(task: Task, number: int, folder: str | None) -> tuple[Mapping[str, Any], str]:
    """Returns a row and its origin. The task is fitted if necessary."""
    from mammal.tasks.data import load_dataset

    data = task.config.data
    if data.source == "file" and not data.path and not data.files:
        why = ConfigError("the task reads a file of yours, and none is named", hint=f"data.path={task.name}.csv")
        return _example(task, number, why)
    try:
        frame = load_dataset(data, {"data": folder})
    except (DataError, OSError) as error:
        return _example(task, number, error)
    if not 1 <= number <= len(frame):
        raise ConfigError(f"there is no row {number}", where=task.name, hint=f"rows 1 to {len(frame)}")
    rows = frame.to_dict("records")
    _fit_roughly(task, rows)
    return rows[number - 1], f"{number} of {len(frame):,}"


def _example(task: Task, number: int, why: Exception) -> tuple[Mapping[str, Any], str]:
    """Returns the example of the declaration instead of row 1, if the data are not available."""
    if number != 1 or not task.config.example:
        raise why
    _fit_roughly(task, [])
    _section("data: not available, so the example of the task's YAML is shown", [str(why)])
    return dict(task.config.example), "the example"


def _fit_roughly(task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
    """Fits scales, so that numbers can be shown: on all rows, or on a few if the task has features, which take long.

    Training fits them only on the training rows. Without rows, features are fitted on the example, and labels are not
    scaled.
    """
    if task.features or task.predicted_features:
        rows = rows[:: 1 + len(rows) // ENOUGH]
    if not task.features_are_fitted:
        task.fit_features(rows or [task.config.example])
    if not task.number_targets or task.state().get("scales"):
        return
    if rows:
        task.fit(rows)
    else:
        unit = {"mean": 0.0, "std": 1.0}
        numbers = {"scales": task.number_targets, "conditions": task.steering.numbers}
        task.load_state({name: dict.fromkeys(columns, unit) for name, columns in numbers.items()})


def _columns(task: Task) -> set[str]:
    aliases = task.aliases
    named = {*task.columns, *task.beside, *task.target_columns}
    return named | {aliases[column] for column in named if column in aliases}


def _tokens(example: Example, batch: Batch, tokenizer: Tokenizer) -> Iterator[str]:
    from mammal.tasks.batches.batch import IGNORE

    encoding = example.input
    carried = [f"={v:g}" if has else "" for v, has in zip(encoding.values_L, encoding.has_value_L, strict=True)]
    yield _token_line("input  ", encoding.ids_L.tolist(), carried, tokenizer)
    if batch.decoder_ids_DT is None or batch.decoder_mask_DT is None:
        return
    for row, (ids_T, mask_T) in enumerate(zip(batch.decoder_ids_DT, batch.decoder_mask_DT, strict=True)):
        yield _token_line("decoder", ids_T[mask_T].tolist(), [], tokenizer)
        if batch.labels_DR is not None:
            labels_R = batch.labels_DR[row]
            yield _token_line("answers", labels_R[labels_R != IGNORE].tolist(), [], tokenizer)


def _token_line(name: str, ids: Sequence[int], carried: Sequence[str], tokenizer: Tokenizer) -> str:
    values = carried or [""] * len(ids)
    shown = [f"{i}:{tokenizer.token(i)}{value}" for i, value in zip(ids, values, strict=True)]
    rest = [f"… {len(shown) - TOKENS_SHOWN} more"] if len(shown) > TOKENS_SHOWN else []
    return f"{name} ({len(shown)})  {' '.join([*shown[:TOKENS_SHOWN], *rest])}"


def _shapes(value: Batch | ModelOutput) -> Iterator[str]:
    for field in fields(value):
        content = getattr(value, field.name)
        if hasattr(content, "shape"):
            few = f"  {_rounded(content.tolist())}" if content.numel() <= 12 else ""
            yield f"{field.name.ljust(20)} {str(list(content.shape)).ljust(12)} {content.dtype}{few}"
        elif isinstance(content, str) or field.name == "wants":
            yield f"{field.name.ljust(20)} {content}"
        elif isinstance(content, Mapping):
            for name, vectors in content.items():
                yield f"{f'{field.name} {name}'.ljust(20)} {str(list(vectors.shape)).ljust(12)} {vectors.dtype}"


def _answer(
    task: Task, model: MammalModel, row: Mapping[str, Any], batch: Batch, number: int, *, trained: bool
) -> None:
    import torch

    with torch.inference_mode():
        output = model(batch)
        losses = [] if task.probes is not None else [f"{'loss'.ljust(20)} {float(task.loss(output, batch)):.4f}"]
    whose = "the bundle's model" if trained else "a tiny model with random weights, for its shapes only"
    _section(f"output of {whose}", [*_shapes(output), *losses])
    if task.family == "denoising":
        return
    from mammal.evaluation.evaluate_task import answers_of

    (said,) = answers_of(model, task, [row])[:1]
    _section("answer", list(_said(said, task)))
    if not task.target_is_text:
        _section("metrics over this row", [f"{n} {v:.4g}" for n, v in task.metrics([said], [row]).items() if v == v])


def _rounded(values: Any) -> Any:
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return round(values, 4) if isinstance(values, float) else values


_NOT_SHOWN = ("row_id", "by_target", "runners_up", "token_probabilities")
"""Fields of a prediction that are its row number, further predictions, or too long."""


def _said(said: Prediction, task: Task) -> Iterator[str]:
    from mammal.tasks.kinds.features import FeaturesTask

    if isinstance(task, FeaturesTask) and said.vectors is not None:
        for name in said.vectors:
            values_F = task.original(name, said)
            yield f"{name}: {_cut([] if values_F is None else _rounded(values_F.tolist()), 160)}"
    for target in task.target_columns:
        answer = said.for_target(target)
        shown = {f.name: getattr(answer, f.name) for f in fields(answer) if f.name not in _NOT_SHOWN}
        yield f"{target}: " + ", ".join(f"{k} {_cut(_rounded(v), 160)}" for k, v in shown.items() if v is not None)


def _section(title: str, lines: Sequence[str]) -> None:
    console.out(f"\n{title}")
    for line in lines:
        console.out(f"  {line}")


def _cut(value: Any, width: int = 400) -> str:
    text = str(value)
    return text if len(text) <= width else f"{text[:width]}… ({len(text):,} characters)"
