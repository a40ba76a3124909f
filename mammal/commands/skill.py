"""Print the skill of this package for agents, or install it: a file that says which verb to use for what.

    mammal skill                                    prints the file
    mammal skill install                            writes .agents/skills/mammal/SKILL.md in the working folder
    mammal skill install folder=~/.claude/skills    writes mammal/SKILL.md into another folder of skills
    mammal skill install overwrite=true             replaces a file that differs

Agents that follow the format of agent skills (agentskills.io) find skills in .agents/skills of a project, or in a
folder of their own such as .claude/skills. A file that differs from the one of this version is only replaced with
overwrite=true, because you may have changed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from mammal import console
from mammal.configuration.compose import split_words, true_or_false
from mammal.errors import ConfigError, did_you_mean

INSTALL = "install"
OPTIONS = ("folder", "overwrite")
FOLDER = ".agents/skills"
NAME = "mammal"
"""Name of the skill. The format wants its folder to have the same name."""


def run(argv: Sequence[str]) -> int:
    words, options = split_words("skill", argv, OPTIONS)
    if not words and not options:
        console.out(skill_text().rstrip())
        return 0
    if words != [INSTALL]:
        hint = did_you_mean(words[0], [INSTALL]) if words else "mammal skill install"
        raise ConfigError("the only action is install", where="mammal skill", hint=hint)
    if not (named := options.get("folder", FOLDER)):
        raise ConfigError("folder has no value", where="mammal skill", hint="folder=~/.claude/skills")
    folder = Path(named).expanduser()
    return _install(folder / NAME / "SKILL.md", overwrite=true_or_false("skill", options, "overwrite"))


def skill_text() -> str:
    """Returns the skill as Markdown with front matter."""
    return (resources.files("mammal") / "skill" / "SKILL.md").read_text(encoding="utf-8")


def _install(file: Path, *, overwrite: bool) -> int:
    from mammal.tasks.tables.atomic import atomic_file

    text = skill_text()
    if file.is_file() and file.read_text(encoding="utf-8", errors="replace") == text:
        console.note(f"{file} is up to date")
        return 0
    if file.is_dir():
        raise ConfigError("is a folder", where=str(file), hint="remove it; or folder=ANOTHER_FOLDER")
    if file.exists() and not overwrite:
        what = "exists and differs from the skill of this version"
        raise ConfigError(what, where=str(file), hint="overwrite=true replaces it; or folder=ANOTHER_FOLDER")
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as partial:
        partial.write_text(text, encoding="utf-8")
    console.out(f"written: {file}")
    return 0
