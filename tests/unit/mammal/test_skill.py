"""The skill for agents: mammal/skill/SKILL.md is in step with the command line, its examples run, it is installed.

tests/unit/test_page_blocks.py checks the keys of its command lines.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mammal import cli
from mammal.cli import VERBS, main
from mammal.commands import new_task, skill, tasks
from mammal.configuration.sources import verb_configs
from mammal.tasks.declaration.generation_settings import SETTINGS

ROOT = Path(__file__).resolve().parents[3]
TEXT = skill.skill_text()
PLAIN_OPTIONS = {"new-task": new_task.OPTIONS, "tasks": (*tasks.LIST, *tasks.WALK), "skill": skill.OPTIONS}
"""Verbs without a config file -> their keys."""


def rows_of(heading: str) -> list[list[str]]:
    """Cells of the table below a heading, without its first two lines."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def test_front_matter_is_that_of_a_skill():
    assert TEXT.startswith("---\n")
    head: dict[str, Any] = yaml.safe_load(TEXT.split("---\n")[1])
    assert head["name"] == skill.NAME and re.fullmatch(r"[a-z0-9-]{1,64}", head["name"])
    assert 100 < len(head["description"]) <= 1024 and "<" not in head["description"]
    assert len(TEXT.splitlines()) < 500


def test_the_table_has_every_verb_once():
    assert sorted(row[0] for row in rows_of("Which verb")) == sorted(f"`{verb}`" for verb in VERBS)


def test_keys_of_the_table_exist():
    for verb, _, keys in rows_of("Which verb"):
        name = verb.strip("`")
        known = set(PLAIN_OPTIONS.get(name, ())) | set(SETTINGS if name == "generate" else ())
        for content in verb_configs(name).values():
            known |= set(content)
            known |= {str(group) for entry in content.get("defaults", ()) if isinstance(entry, dict) for group in entry}
        named = {key.partition(".")[0] for key in re.findall(r"`([^`]+)`", keys)}
        assert named <= known, f"mammal {name}: {named - known}"
        assert named or name in ("info", "bench")


def test_exit_codes_are_those_of_the_command_line():
    from mammal.jobs.error_limit import TooManyErrorsError

    named = {int(code) for row in rows_of("Exit codes") for code in row[0].split(",")}
    ours = {cli.DONE, cli.FAILED, cli.WRONG_USE, cli.BAD_ROWS, cli.INTERRUPTED, cli.TERMINATED}
    assert named == ours | {TooManyErrorsError.exit_code}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the examples have run, with their exit codes."""
    folder = tmp_path_factory.mktemp("skill")
    shutil.copy(ROOT / "docs/examples/molecules.csv", folder)
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    section = TEXT.partition("## Examples that run as they are\n")[2].partition("\n## ")[0]
    (commands,) = re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)
    for line in commands.splitlines():
        expected = cli.BAD_ROWS if "input=molecules.csv" in line else cli.DONE
        assert main(shlex.split(line)[1:]) == expected, line
    yield folder
    patch.undo()


def test_examples_run(examples: Path):
    import pandas as pd

    assert len(pd.read_csv(examples / "samples.csv")["text"].dropna()) == 3
    vectors = pd.read_parquet(examples / "vectors.parquet")
    assert {len(vector) for vector in vectors["embedding"].dropna()} == {192}
    answered = pd.read_csv(examples / "likelihoods.csv")
    assert (answered["log_likelihood"].isna() == answered["error"].notna()).all() and answered["error"].notna().any()
    names: dict[str, Any] = {}
    (python,) = blocks("python")
    exec(python, names)
    assert names["vectors"].shape == (2, 192)


def test_columns_of_answers_exist(examples: Path):
    """Columns of the table of answers that files of the examples have."""
    named = {name for row in rows_of("Answers") for name in re.findall(r"`(\w+)`", row[0])}
    written = set()
    for file in ("samples.csv", "likelihoods.csv"):
        written |= set((examples / file).read_text(encoding="utf-8").partition("\n")[0].split(","))
    assert {"text", "score", "log_likelihood", "error"} <= named & written
    assert {"prediction", "probability", "low", "high", "similarity", "percentile", "outside"} <= named


def test_it_is_installed_where_agents_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".agents/skills/mammal/SKILL.md"
    assert main(["skill", "install"]) == 0 and file.read_text(encoding="utf-8") == TEXT
    assert main(["skill", "install"]) == 0 and "up to date" in capsys.readouterr().err
    assert main(["skill"]) == 0 and capsys.readouterr().out.strip() == TEXT.strip()

    file.write_text("mine", encoding="utf-8")
    assert main(["skill", "install"]) == 2
    assert "overwrite=true" in capsys.readouterr().err and file.read_text(encoding="utf-8") == "mine"
    assert main(["skill", "install", "overwrite=true"]) == 0 and file.read_text(encoding="utf-8") == TEXT
    assert main(["skill", "install", "folder=other/skills"]) == 0
    assert (tmp_path / "other/skills/mammal/SKILL.md").is_file()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["instal"], "did you mean install"),
        (["folder=x"], "mammal skill install"),
        (["install", "fodler=x"], "did you mean folder"),
        (["install", "overwrite=maybe"], "overwrite=true or overwrite=false"),
        (["install", "folder="], "folder=~/.claude/skills"),
        (["install", "folder=taken", "overwrite=true"], "remove it"),
    ],
)
def test_wrong_words_are_answered(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("taken/mammal/SKILL.md").mkdir(parents=True)
    assert main(["skill", *words]) == 2
    assert hint in capsys.readouterr().err
