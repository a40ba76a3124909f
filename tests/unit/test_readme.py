"""The pages are true: blocks of the README and Python in docs/evaluation.md run, paths that a page names exist."""

import re
import shlex
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest

from mammal.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(p.name for p in ROOT.glob("*.md")),
    *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


EVALUATION = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    return [block for name, block in fenced if name == language]


def commands() -> list[list[str]]:
    """Every command line of the README's bash blocks as words, comments left out."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's relative paths hold; its bundle comes from the demo's training, cut short."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "docs").symlink_to(ROOT / "docs")
    few = [f"+mixture.tasks.{task}.data.limit=300" for task in ("melting_point", "amp")]
    cut = [*few, "adapt.probe=linear", "test=false"]
    with chdir(folder):
        assert main(["train", "experiment=demo", "output=demo", *cut]) == 0
    return folder


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {words[1] for words in commands() if words[0] == "make"}
    assert {"demo", "test"} <= named
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in named)


@pytest.mark.slow
@pytest.mark.parametrize("words", [w for w in commands() if w[0] != "make"], ids=lambda words: " ".join(words[:3]))
def test_commands_run(words: list[str], checkout: Path, monkeypatch: pytest.MonkeyPatch):
    assert words[0] == "mammal"
    monkeypatch.chdir(checkout)
    assert main(words[1:]) == (3 if "input=docs/examples/molecules.csv" in words else 0)


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("python") + blocks("python", EVALUATION))
def test_python_blocks_run(block: str, checkout: Path, monkeypatch: pytest.MonkeyPatch):
    # Baselines have tests of their own, and the descriptors of 9,000 molecules take a minute.
    block = block.replace('baselines="quick", trees=50', "baselines=False")
    monkeypatch.chdir(checkout)
    exec(compile(block, "block", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_blocks_are_tasks(block: str, tmp_path: Path):
    from mammal.tasks.declaration.registry import load_task

    file = tmp_path / "task.yaml"
    file.write_text(block, encoding="utf-8")
    assert load_task(file).kind


@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_of_a_page_exist(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", prose) if "://" not in link]
    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert not missing, f"links to nowhere: {missing}"
    folders = "mammal|tokenization|tasks|configs|checkpoints|benchmarks|docs|tests"
    paths = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    assert [path for path in paths if "VERB" not in path and "_kind" not in path and not (ROOT / path).exists()] == []


def test_tree_of_the_readme_names_every_folder():
    tree = next(block for block in blocks("") if "tokenization/" in block)
    named = set(re.findall(r"^(\w+)/", tree, flags=re.MULTILINE))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    folders = {path.split("/")[0] for path in tracked if "/" in path and not path.startswith(".")}
    assert folders <= named or not tracked
