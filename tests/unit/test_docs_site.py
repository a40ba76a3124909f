"""The site of the documentation: its pages hold every public name, every argument is described, its links hold.

`make docs` builds the site itself, and fails on any warning; these tests need no mkdocs.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("mammal", "mammal.tokenization", "mammal.tasks", "mammal.bundle", "mammal.jobs", "mammal.errors")
ON_OTHER_PAGES = {"mammal.tasks.DataError", "mammal.tasks.TaskError", "mammal.tasks.Prediction"}
"""Public names that a page shows under another name."""
WITHOUT_PAGE = {"mammal.__version__", "mammal.MammalError", "mammal.Tokenizer"} | ON_OTHER_PAGES


def documented() -> list[str]:
    pages = sorted((DOCS / "api").glob("*.md"))
    return [name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), flags=re.M)]


def found(name: str) -> Any:
    """The object that a full name means."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def functions() -> Iterator[tuple[str, Any]]:
    """Functions and public methods that the pages show with their arguments."""
    for name in documented():
        thing = found(name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing) and name != "mammal.tasks.Task":  # its page shows some of its methods
            members = inspect.getmembers(thing, lambda m: inspect.isfunction(m) or inspect.ismethod(m))
            own = [(n, m) for n, m in members if not n.startswith("_") and m.__module__.startswith("mammal")]
            yield from ((f"{name}.{n}", m) for n, m in own)


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_pages", DOCS / "tools" / "site_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("package", PACKAGES)
def test_pages_show_every_public_name(package: str):
    public = {f"{package}.{name}" for name in importlib.import_module(package).__all__}
    assert public - WITHOUT_PAGE <= set(documented())


def test_names_without_a_page_of_their_own_are_shown_elsewhere():
    shown = [found(name) for name in documented()]
    assert all(found(name) in shown for name in WITHOUT_PAGE if name != "mammal.__version__")
    assert len(set(documented())) == len(documented()) > 40


def undescribed(function: Any) -> list[str]:
    """Arguments of a function if its docstring does not describe exactly these, in their order."""
    doc = inspect.getdoc(function) or ""
    arguments = [a for a in inspect.signature(function).parameters if a not in ("self", "cls")]
    described = re.findall(r"^    (\w+): \S", doc.partition("Args:\n")[2].partition("\n\n")[0], flags=re.M)
    return [] if doc and described == arguments else arguments or ["no docstring"]


def test_docstrings_describe_every_argument():
    shown = dict(functions())
    assert {"mammal.load", "mammal.Mammal.predict", "mammal.tasks.load_data"} <= shown.keys()
    assert {name: missing for name, function in shown.items() if (missing := undescribed(function))} == {}


def test_an_argument_that_is_not_described_is_seen():
    def function(data: int, task: int) -> None:
        """Does it.

        Args:
            data: rows.
        """

    assert undescribed(function) == ["data", "task"]
    assert undescribed(lambda: None) == ["no docstring"]


def test_the_navigation_holds_every_page(hook: ModuleType):
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"\S+\.md$", yaml.dump(yaml.safe_load(config)["nav"], width=1000), flags=re.M))
    files = [*DOCS.rglob("*.md"), *DOCS.glob("*.ipynb")]
    pages = {hook.in_site(file.relative_to(ROOT).as_posix()) for file in files} | set(hook.ROOT_PAGES)
    assert named == pages


def test_links_hold_in_the_site(hook: ModuleType):
    text = "[a](tasks.md#views) [b](../README.md) [c](../configs/task/esol.yaml) [d](https://x.org) `[e](f.md)`"
    changed = hook.with_site_links(text, "docs/data.md")
    assert changed == (
        "[a](tasks.md#views) [b](README.md) [c](files/configs/task/esol.yaml.md) [d](https://x.org) `[e](f.md)`"
    )
    assert hook.with_site_links("[n](docs/dna.md)", "README.md") == "[n](dna.md)"
    assert hook.with_site_links("[q](../quick-start.ipynb)", "docs/api/mammal.md") == "[q](../quick-start.md)"
    assert "name: esol" in hook.file_page("configs/task/esol.yaml")
    assert "- `task/`" in hook.file_page("configs")


def test_links_of_the_notebook_and_of_the_api_pages_exist(hook: ModuleType):
    texts = {page: page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md")}
    cells = json.loads((DOCS / "quick-start.ipynb").read_text(encoding="utf-8"))["cells"]
    written = [
        "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
    ]  # a SMILES can look so, too
    texts[DOCS / "quick-start.ipynb"] = "\n".join(written)
    targets = [
        target for page, text in texts.items() for _, target in hook.links(text, page.relative_to(ROOT).as_posix())
    ]
    assert len(targets) > 10 and [target for target in targets if not (ROOT / target).exists()] == []


def test_a_page_that_loads_from_another_server_is_refused(hook: ModuleType):
    assert hook.external_sources('<script defer src="https://unpkg.com/x.js">') == ["https://unpkg.com/x.js"]
    assert hook.external_sources("@import url(//fonts.googleapis.com/css)") == ["//fonts.googleapis.com/css"]
    assert hook.external_sources('<a href="https://semver.org">versions</a> <script src="assets/x.js">') == []


def test_a_notebook_becomes_a_page(hook: ModuleType):
    table = (
        '<div>\n<style scoped>\na {}\n</style>\n<table border="1" class="dataframe">\n<tr><td>1</td></tr></table></div>'
    )
    cells = [
        {"cell_type": "markdown", "source": ["# T"]},
        {
            "cell_type": "code",
            "source": ["x = 1\n", "x"],
            "outputs": [{"data": {"text/html": [table]}}, {"text": ["said\n"]}],
        },
    ]
    page = hook.notebook_page({"cells": cells})
    assert page == (
        "# T\n\n```python\nx = 1\nx\n```\n\n<div><table><tr><td>1</td></tr></table></div>\n\n```text\nsaid\n```\n"
    )
