"""The code of the pages is true: blocks that need seconds run, and each command line has only keys that exist.

Blocks of the README, docs/evaluation.md, export.md, dna.md, tasks.md and prompt-language.md run in other tests, which
`RUN_BY` names. Downloads and hours of training do not run; their keys and the types of their values are checked.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import mammal
from mammal.cli import VERBS, main
from mammal.commands import new_task, skill, tasks
from mammal.configuration.compose import FILE_WORDS, TEXT_KEYS, compose, parse_arguments, split_words
from mammal.errors import MammalError

ROOT = Path(__file__).resolve().parents[2]
SKILL = "mammal/skill/SKILL.md"
PAGES = ["README.md", "ARCHITECTURE.md", SKILL, *sorted(page.name for page in (ROOT / "docs").glob("*.md"))]
RUN_BY = {
    **dict.fromkeys(("README.md", "evaluation.md"), "test_readme.py"),
    "export.md": "mammal/test_export.py",
    "dna.md": "tasks/test_dna_page.py",
    "tasks.md": "tasks/test_tasks_page.py",
    "prompt-language.md": "tokenization/test_prompt_language_page.py",
    **dict.fromkeys(("finetuning.md", "memory.md", "sharing.md", "generation.md", "names.md"), "test_page_blocks.py"),
    **dict.fromkeys(("explanations.md", "pretraining.md"), "test_page_blocks.py"),
    SKILL: "mammal/test_skill.py",
}
"""Page with Python -> the test file that runs it."""
NOT_RUN = {
    "heads.md": "heads may be missing in a checkout; tests/integration/test_heads.py makes the same calls",
    "trust.md": "data of its bundle are not included; tests/integration/test_applicability.py makes the same calls",
}
"""Page with Python that no test runs, and why."""


def text_of(page: str) -> str:
    return (ROOT / page if (ROOT / page).is_file() else ROOT / "docs" / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language, also those inside a list, without their indentation."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{gap}", "", block, flags=re.MULTILINE) for gap, name, block in found if name == language]


def test_every_page_with_python_is_run():
    with_python = {page for page in PAGES if blocks(page, "python")}
    assert with_python == RUN_BY.keys() | NOT_RUN.keys()
    tests = {name: (ROOT / "tests/unit" / name).read_text(encoding="utf-8") for name in RUN_BY.values()}
    assert [page for page, name in RUN_BY.items() if page.removesuffix(".md").lower() not in tests[name].lower()] == []


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page_can_be_compiled(page: str):
    for block in blocks(page, "python"):
        if not block.startswith(">>>"):
            compile(block, page, "exec")


# Command lines


class Line(NamedTuple):
    """A command line of a page: words after `mammal`."""

    page: str
    words: tuple[str, ...]


MEANT_WRONG = ("mammal train bbbp", "mammal predict BUNDLE FILE")
"""Lines that a page shows because they are answered with another one."""
REMARK = re.compile(r" {2,}(?![\w.]+=|-).*")
"""In blocks that are no shell code, words after two blanks explain a line."""


def lines_of(page: str) -> Iterator[Line]:
    """Command lines in blocks of shell code, in blocks of text, and in the prose of a page."""
    for language in ("bash", "text", ""):
        for block in blocks(page, language):
            for line in re.sub(r"\\\n", " ", block).splitlines():
                typed = line.strip() if language == "bash" else REMARK.sub("", line.strip())
                yield from _parsed(page, typed)
    prose = re.sub(r"^ *```.*?^ *```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`(mammal [^`]+)`", prose):
        yield from _parsed(page, " ".join(code.split()))


def _parsed(page: str, typed: str) -> Iterator[Line]:
    if typed in MEANT_WRONG:
        return
    try:
        words = shlex.split(typed, comments=True)
    except ValueError:  # an apostrophe in prose
        return
    for number, word in enumerate(words):
        ours = word == "mammal" or (word == "mammal.cli" and words[number - 1] == "-m")
        if ours and number + 1 < len(words) and words[number + 1] in VERBS and "--help" not in words:
            rest = words[number + 1 :]
            yield Line(page, tuple(rest[: rest.index("&&")] if "&&" in rest else rest))


LINES = sorted({line for page in PAGES for line in lines_of(page)})


def test_command_lines_are_found():
    found = {(line.page, *line.words[:2]) for line in LINES}
    assert {
        ("finetuning.md", "train", "--config-dir"),
        ("memory.md", "train", "--config-dir"),
        ("how-to.md", "evaluate", "bundle=…"),
        ("launching.md", "train", "task=davis"),
        ("generation.md", "train", "experiment=phase_changes"),
        ("README.md", "windows", "input=docs/examples/variants.vcf"),
    } <= found
    assert len(LINES) > 150


@pytest.fixture(scope="module")
def own_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config folder with the tasks of the user that pages name."""
    folder = tmp_path_factory.mktemp("own") / "task"
    folder.mkdir()
    declared = (ROOT / "configs/task/esol.yaml").read_text(encoding="utf-8")
    for name in ("NAME", "compounds", "my_assay"):
        (folder / f"{name}.yaml").write_text(re.sub(r"^name: .*", f"name: {name}", declared, flags=re.MULTILINE))
    return folder.parent


GROUPS = {folder.name for folder in (ROOT / "configs").iterdir() if folder.is_dir()}
FREE = (*TEXT_KEYS, "monitor")
"""Keys whose value is any text, which need not be checked for each line."""


def first_values(words: Sequence[str]) -> list[str]:
    """The words of one job of a sweep, with a value for each placeholder.

    The keys of `hydra` are left out, because sweepers and launchers of extras may not be installed.
    """
    plain, skip = [], False
    for word in words:
        key, equals, value = word.partition("=")
        if skip or word in ("--config-dir", "-m", "--multirun", "--cfg", "…") or key.startswith("hydra."):
            skip = word == "--config-dir"
            continue
        if "-m" in words and value[:1] not in "[{":
            value = value.partition(",")[0] if "(" not in value else "0.5"
        if "…" not in value or key in FREE:
            plain.append(f"{key}{equals}{value}")
        elif f"{key}=…" in words:
            plain.append(f"{key}={PLACEHOLDERS.get(key, 'x')}")
    return plain


PLACEHOLDERS = {"n": "1", "mixture": "demo"}
"""Values of `key=…` that are no text."""


def options_of(words: Sequence[str]) -> Iterator[str]:
    """The files of `configs/` that the words of `mammal train` name."""
    for word in words:
        group, _, value = word.partition("=")
        if group in GROUPS and value[:1] != "{":
            yield from (f"{group}/{name}.yaml" for name in value.split(",") if "…" not in name)


def together(lines: Sequence[Line]) -> Iterator[tuple[str, list[Line], list[str]]]:
    """Joins lines whose keys don't contradict each other, because to compose takes time.

    All tasks have the same keys. An option of another group is composed only for keys of its own section: that its file
    exists, and that it composes, is tested elsewhere.
    """
    joined: list[tuple[str, dict[str, str | None], list[Line]]] = []
    for line in lines:
        verb, *words = line.words
        given: dict[str, str | None] = {}
        for word in first_values(words):
            key, equals, value = word.partition("=")
            if not equals and verb in FILE_WORDS:
                key, equals, value = FILE_WORDS[verb], "=", word
            given[key] = value if equals else None
        if verb == "train":
            sections = {key.partition(".")[0] for key in given if "." in key}
            given = {key: value for key, value in given.items() if key not in GROUPS or key in sections} | {
                "task": "bbbp"
            }
        elif "task" in given:
            given["task"] = "bbbp"
        fits = (one for one in joined if one[0] == verb and not contradict(one[1], given))
        place = next(fits, None)
        if place is None:
            joined.append(place := (verb, {}, []))
        place[1].update(given)
        place[2].append(line)
    for verb, given, members in joined:
        yield verb, members, [key if value is None else f"{key}={value}" for key, value in given.items()]


def contradict(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> bool:
    """Whether keys have different values, a key in one is a section in the other, or only one of them chooses an option
    of a group of which both have keys."""
    if any(one.get(key, value) != value for key, value in other.items() if key not in FREE):
        return True
    sections = [{key.partition(".")[0] for key in given if "." in key} for given in (one, other)]
    if any((group in one) != (group in other) for group in sections[0] & sections[1] & GROUPS):
        return True
    return any(b.startswith(f"{a}.") or a.startswith(f"{b}.") for a in one for b in other if a not in GROUPS)


WITHOUT_CONFIG = {
    "tasks": (*tasks.WALK, *tasks.LIST),
    "new-task": new_task.OPTIONS,
    "skill": skill.OPTIONS,
    "info": (),
    "bench": (),
}
"""Verbs that have no Hydra configuration, with their keys."""


def wrong(verb: str, words: Sequence[str], own: Path) -> str | None:
    """What is wrong with the words of a command line; None: nothing."""
    try:
        if verb in WITHOUT_CONFIG:
            split_words(verb, first_values(words), WITHOUT_CONFIG[verb])
        else:
            compose(verb, parse_arguments(verb, ["--config-dir", str(own), *words], sweeps=verb == "train"))
    except MammalError as error:
        return str(error)
    return None


def test_options_of_command_lines_exist(own_tasks: Path):
    folders = (ROOT / "configs", own_tasks)
    named = {(line.page, file) for line in LINES if line.words[0] == "train" for file in options_of(line.words)}
    assert [(page, file) for page, file in named if not any((root / file).is_file() for root in folders)] == []
    assert {("finetuning.md", "adapt/lora.yaml"), ("launching.md", "launcher/slurm.yaml")} <= named


def test_keys_of_command_lines_exist(own_tasks: Path):
    plain = [line for line in LINES if line.words[0] in WITHOUT_CONFIG]
    faults = {line: what for line in plain if (what := wrong(line.words[0], line.words[1:], own_tasks))}
    for verb, members, words in together([line for line in LINES if line not in plain]):
        if (all_of_them := wrong(verb, words, own_tasks)) is None:
            continue
        for line in members:
            ((_, _, alone),) = together([line])
            if what := wrong(verb, alone, own_tasks):
                faults[line] = what
        assert faults, f"together, these fail: {members}: {all_of_them}"
    assert faults == {}


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("mammal train task=compounds optim.rate=1e-3 output=x", "no key 'optim.rate'"),
        ("mammal train -m task=bbbp,esol seeds=1,2", "no key 'seeds'"),
        ("mammal train task=bbbp trainer.max_time=10m", "trainer.max_time"),
        ("mammal predict bundle=b input=a.csv columms.smiles=x", "no key 'columms"),
        ("mammal evaluate 'runs=x' seed_count=3", "no key 'seed_count'"),
        ("mammal tasks NAME rows=3", "no key 'rows'"),
        ("mammal new-task my.csv targets=y", "no key 'targets'"),
        ("mammal generate bundle=… n=… temprature=1   a remark", "no key 'temprature'"),
    ],
)
def test_a_wrong_key_of_a_page_is_seen(typed: str, what: str, own_tasks: Path):
    (line,) = _parsed("x.md", REMARK.sub("", typed))
    ((verb, _, words),) = together([line])
    words = list(line.words[1:]) if verb in WITHOUT_CONFIG else words
    assert what in (wrong(verb, words, own_tasks) or "")


# Declarations


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")])
def test_declarations_of_a_page_are_tasks(page: str, tmp_path: Path):
    from mammal.tasks.declaration.registry import load_task

    beginning = "defaults: [schema, _generation, _self_]\nname: part\nabout: a part of a task\n"
    for block in blocks(page, "yaml"):
        whole = block if re.search(r"^name:", block, flags=re.MULTILINE) else beginning + block
        (tmp_path / "task.yaml").write_text(whole, encoding="utf-8")
        assert load_task(tmp_path / "task.yaml").kind


# Blocks that run


def run(typed: str, *more: str) -> None:
    """Runs the command lines of a block, each with more words."""
    for line in re.sub(r"\\\n", " ", typed).splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "mammal"
        assert main([*words[1:], *(more if words[1] == "train" else ())]) == 0, line


@pytest.fixture(scope="module")
def fine_tuning(small_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as the pages finetuning, memory and sharing assume it: a checkpoint without tasks, and two tables."""
    folder = tmp_path_factory.mktemp("finetuning")
    heads = {"encoder_head_layers": (), "scalars_prediction_head": {"layers": []}, "support_input_scalars": True}
    (folder / "ma-ted").symlink_to(small_bundle(**heads))
    chains = [f"{'C' * left}{middle}{'C' * right}" for left in range(1, 11) for middle in "ONS" for right in range(20)]
    rows = [f"C-{n:04},{smiles},{300 + 2 * n}.15" for n, smiles in enumerate(chains)]
    (folder / "compounds.csv").write_text("\n".join(["Compound,Structure,Boiling point (K)", *rows]) + "\n")
    (folder / "new.csv").write_text("Compound,Structure\nC-0551,C1CCC(=O)C(=O)C1\nC-0552,C1=COC=C1C#N\n")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    yield folder
    patch.undo()


QUICK = ("trainer.max_steps=2", "test=false")


@pytest.mark.slow
def test_finetuning_memory_and_sharing_run(fine_tuning: Path, capsys: pytest.CaptureFixture[str]):
    info, new, full, lora, sweep, evaluate, predict = blocks("finetuning.md", "bash")
    assert " -m " in sweep, "its keys are checked above; three runs take too long"
    run(info)
    run(new)
    assert "regression in K, called boiling_point in the prompt" in capsys.readouterr().out
    run(full, *QUICK)
    run(lora, *QUICK)
    run(evaluate.replace("mammal evaluate", "mammal evaluate baselines=false"))
    run(predict)
    header = (fine_tuning / "predicted.csv").read_text(encoding="utf-8").partition("\n")[0]
    assert header == "Compound,Structure,prediction,low,high,error" and header in text_of("finetuning.md")
    names: dict[str, Any] = {}
    (python,) = blocks("finetuning.md", "python")
    exec(python.replace("max_epochs=5", "max_epochs=1"), names)
    assert list(names["tuned"].predict(["CCO"]).columns)[:2] == ["Structure", "prediction"]

    (budget,) = blocks("memory.md", "bash")
    run(budget, *QUICK, "output=runs/memory")
    (pace,) = blocks("memory.md", "python")
    exec(pace, names)
    assert names["model"].pace.tokens == 16_384

    save, use = blocks("sharing.md", "python")
    (adapters,) = blocks("sharing.md", "bash")
    exec(save, names)
    (shown,) = [block for block in blocks("sharing.md", "text") if "tokenizer/" in block]
    kept = {f"{path.name}{'/' * path.is_dir()}" for path in (fine_tuning / "shared/boiling-points").iterdir()}
    assert kept == set(shown.split())
    exec(use, names)
    run(adapters, *QUICK)
    assert (fine_tuning / "runs/adapters/bundle/adapters.safetensors").is_file()
    assert mammal.load("runs/adapters/bundle", base="ma-ted").task_names == ["compounds"]


@pytest.mark.parametrize("block", blocks("generation.md", "python"))
def test_generation_runs(block: str, small_bundle: Callable[..., Path]):
    short = {"generation": {"max_new_tokens": 40}}
    tasks = [(name, short) for name in ("molecules", "iupac_to_smiles")]
    model = mammal.load(small_bundle(*tasks, "protein_denoising"), task="protein_denoising")
    exec(block.replace("n=100", "n=2"), {"model": model, "names": ["ethanol"]})


def test_rows_that_a_model_has_seen_are_asked_for():
    (block,) = blocks("pretraining.md", "python")
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["model"].pretraining.families == ["molecule", "protein", "dna"]


def test_names_run(small_bundle: Callable[..., Path]):
    import pandas as pd

    from mammal.tasks.names import opsin

    pytest.importorskip("openclatura", reason="openclatura is not installed (extra iupac)")
    if (why := opsin.why_missing()) is not None:
        pytest.skip(f"names can't be read here: {why}")
    first, second = blocks("names.md", "python")
    names: dict[str, Any] = {}
    for line in first.splitlines():
        call, _, said = line.partition("  # ")
        if not said:
            exec(call, names)
        else:
            expected = eval(said.partition("]")[0] + "]")
            assert eval(call, names) == expected, call
    frame = pd.DataFrame({"iupac_name": ["ethanol"]})
    heads = {"encoder_head_layers": (), "scalars_prediction_head": {"layers": []}}
    exec(second, {"model": mammal.load(small_bundle("bbbp", **heads)), "frame": frame})


def test_explanations_run(small_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("captum", reason="captum is not installed (extra explain)")
    heads = {"encoder_head_layers": (), "scalars_prediction_head": {"layers": []}}
    bundle = small_bundle(("melting_point", {"scale": {"mean": 400.0, "std": 90.0}}), **heads)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/bundle").symlink_to(bundle)
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("explanations.md", "python")
    names: dict[str, Any] = {"mammal": mammal}
    exec(block, names)
    assert len(names["explained"]["attribution"][1]) == 7, "phenol has seven atoms"
