"""The wire prompt of every task is frozen: a checkpoint understands the prompt that it was trained on and no other.

`prompts.json` holds each task's example row as it was first rendered. A prompt that must change needs a new `version`
of its task; then run this file as a script to write the new one down. `published_prompts.json` holds the prompts, label
scales and lengths of the published code (biomed-multi-alignment 0.2.4) and paper, written down without our YAML.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mammal.tasks.declaration.registry import list_tasks, load_task
from mammal.tasks.infilling.marks import hide
from mammal.tasks.kinds.build import build_task
from mammal.tasks.prompts.columns import prompt_columns
from mammal.tokenization import Tokenizer
from mammal.tokenization.template import Template, label_code

FROZEN = Path(__file__).parent / "prompts.json"
PUBLISHED_TAGS = ["<BBBP>", "<FDA_APPR>", "<CARCINOGENICITY>"]
"""Tags that fine-tuned checkpoints add to the base tokenizer."""

PUBLISHED = json.loads((Path(__file__).parent / "published_prompts.json").read_text(encoding="utf-8"))
ALL = sorted(list_tasks())


def rendered(name: str) -> dict[str, str | None]:
    """Wire input, and wire target where it needs no fitted label scale; the input in each other way to write it."""
    config = load_task(name)
    template = Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)
    values: dict[str, str | None] = dict(config.example)
    if config.kind == "classification":
        codes = config.codes or [label_code(i, len(config.labels)) for i in range(len(config.labels))]
        for column in prompt_columns(config).targets:
            values[column] = codes[config.labels.index(values[column])] if values[column] else None
    if config.kind == "token_classification":
        task = build_task(config, Tokenizer.load(None))
        values |= task.prepare_target(config.example)
    ways = [(c, way, s.sources[way]) for c, s in prompt_columns(config).views.items() for way in s.ways if s.ways[1:]]
    prompts = [template.render({**values, c: values[read]}, target=True, written={c: w}) for c, w, read in ways]
    prompt, *others = prompts or [template.render(values, target=True)]
    prompt = hide(prompt, template.columns("input")) if config.infill else prompt
    views = {f"input as {way}": other.input for (_, way, _), other in zip(ways[1:], others, strict=True)}
    return {"input": prompt.input, "target": prompt.target, **views}


def test_every_task_has_an_example_and_a_frozen_prompt():
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    assert sorted(frozen) == ALL, "a task was added or removed: write its prompt down (see the top of this file)"


@pytest.mark.parametrize("name", ALL)
def test_the_prompt_is_the_one_that_was_frozen(name: str):
    assert rendered(name) == json.loads(FROZEN.read_text(encoding="utf-8"))[name]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_prompts_are_those_of_the_published_code(name: str):
    example = load_task(name).example
    assert rendered(name)["input"] == PUBLISHED[name]["input"].format(**example)


@pytest.mark.parametrize("name", [n for n in sorted(PUBLISHED) if load_task(n).kind == "classification"])
def test_published_classes_are_asked_for_as_published(name: str, published: Tokenizer):
    task = build_task(load_task(name), published)
    start, sentinel = published.token_id("<DECODER_START>"), published.token_id("<SENTINEL_ID_0>")
    batch = task.collate([task.encode(task.config.example)])
    assert batch.decoder_ids_DT.tolist() == [[start, sentinel]]
    assert batch.read_DR.tolist() == [[1]]
    if name != "cell_type":
        assert batch.candidates_V.tolist() == [published.token_id("<0>"), published.token_id("<1>")]
    else:
        assert [published.token(i) for i in batch.candidates_V.tolist()] == sorted(
            task.config.codes, key=lambda code: published.token_id(code, "CELL_ATTRIBUTES")
        )


@pytest.mark.parametrize("name", [n for n in sorted(PUBLISHED) if "scale" in PUBLISHED[n]])
def test_published_label_scales(name: str):
    assert asdict(load_task(name).scale) == {**PUBLISHED[name]["scale"], "log": False}


@pytest.mark.parametrize("name", [n for n in sorted(PUBLISHED) if "max_len" in PUBLISHED[n]])
def test_published_lengths(name: str):
    assert asdict(load_task(name).max_len) == PUBLISHED[name]["max_len"]


def test_published_prompts_encode_without_unknowns(published: Tokenizer):
    for name in PUBLISHED:
        task = build_task(load_task(name), published)
        assert published.unk_id not in task.encode(task.config.example).input.ids_L, name


@pytest.fixture(scope="module")
def published(shared: Path) -> Tokenizer:
    folder = shared / "compat/fixtures/tokenizer_base/tokenizer"
    if not folder.is_dir():
        pytest.skip(f"no published tokenizer at {folder}")
    tokenizer = Tokenizer.load(folder)
    tokenizer.add_special_tokens(PUBLISHED_TAGS)
    return tokenizer


if __name__ == "__main__":
    FROZEN.write_text(json.dumps({name: rendered(name) for name in ALL}, indent=1) + "\n", encoding="utf-8")
