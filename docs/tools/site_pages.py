"""Hook of mkdocs: adds pages to the site that are not Markdown files of docs/, and checks that the site works offline.

- The pages of the repository root (README.md, …) become pages of the site.
- The notebook becomes a page that shows its cells with the stored outputs.
- A link from a page to another file of the repository becomes a link to a page that shows this file.

On GitHub the same links work as they are: every link is relative to the file that contains it.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
ROOT_PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
FILES = "files"
"""Folder of the site that shows other files of the repository."""

_LINK = re.compile(r"(?<=\]\()([^)#\s]+)((?:#[^)\s]*)?)(?=\))")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", flags=re.DOTALL | re.MULTILINE)
_EXTERNAL = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""")
_EXTERNAL_STYLE = re.compile(r"""(?:@import\s+|url\()["']?((?:https?:)?//[^"')\s]+)""")


def in_site(path: str) -> str:
    """Returns where the site keeps a file of the repository.

    Args:
        path: of the file, relative to the repository root.
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/").removesuffix(".ipynb") + (".md" if path.endswith(".ipynb") else "")
    return path if path in ROOT_PAGES else f"{FILES}/{path}.md"


def links(text: str, page: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yields every link of a Markdown text to a file, with the path of that file from the repository root.

    Args:
        text: of the page. Links in code are left out.
        page: path of the page, relative to the repository root.
    """
    code = [match.span() for match in _CODE.finditer(text)]
    for match in _LINK.finditer(text):
        if "://" in match[1] or match[1].startswith("mailto:"):
            continue
        if not any(start <= match.start() < end for start, end in code):
            yield match, posixpath.normpath(posixpath.join(posixpath.dirname(page), match[1]))


def with_site_links(text: str, page: str) -> str:
    """Returns the Markdown text of a page with links that hold in the site.

    Args:
        text: of the page.
        page: its path, relative to the repository root.
    """
    folder, parts, end = posixpath.dirname(in_site(page)), [], 0
    for match, target in links(text, page):
        parts += [text[end : match.start()], posixpath.relpath(in_site(target), folder or "."), match[2]]
        end = match.end()
    return "".join([*parts, text[end:]])


def file_page(path: str) -> str:
    """Returns a Markdown page that shows a file of the repository, or lists the files of a folder."""
    source = ROOT / path
    if source.is_dir():
        names = sorted(f"{item.name}/" if item.is_dir() else item.name for item in source.iterdir())
        return f"# {path}\n\n" + "\n".join(f"- `{name}`" for name in names if not name.startswith((".", "__")))
    language = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}.get(source.suffix, "text")
    return f"# {path}\n\n````{language}\n{source.read_text(encoding='utf-8').rstrip()}\n````\n"


def notebook_page(notebook: dict[str, Any]) -> str:
    """Returns a notebook as Markdown: text, code, and the stored outputs (tables as HTML, everything else as text)."""
    parts: list[str] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [_output(output) for output in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        html = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
        html = html.replace('<table border="1" class="dataframe">', "<table>")
        return re.sub(r"\s*\n\s*", "", html)  # one line, so that Markdown leaves it as it is
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```"


def external_sources(html: str) -> list[str]:
    """Returns addresses on other servers from which a page would load scripts, styles, pictures or fonts."""
    return _EXTERNAL.findall(html) + _EXTERNAL_STYLE.findall(html)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to the site."""
    from mkdocs.structure.files import File

    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in ROOT_PAGES}
    for file in list(files):
        path = f"docs/{file.src_uri}"
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            texts[path] = notebook_page(json.loads((ROOT / path).read_text(encoding="utf-8")))
        elif file.is_documentation_page():
            texts[path] = (ROOT / path).read_text(encoding="utf-8")
    shown = {target for path, text in texts.items() for _, target in links(text, path) if _is_shown(target)}
    for path, text in texts.items():
        if files.get_file_from_path(in_site(path)) is None:
            files.append(File.generated(config, in_site(path), content=with_site_links(text, path)))
    for path in shown:
        page = File.generated(config, in_site(path), content=file_page(path))
        page.inclusion = page.inclusion.NOT_IN_NAV
        files.append(page)
    return files


def _is_shown(path: str) -> bool:
    """Whether a linked file gets a page that shows it: it exists, and is not a page of the site itself."""
    return in_site(path).startswith(f"{FILES}/") and not path.startswith("..") and (ROOT / path).exists()


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Rewrites the links of the pages in docs/; those of generated pages are already rewritten."""
    return markdown if page.file.generated_by else with_site_links(markdown, f"docs/{page.file.src_uri}")


def on_post_build(config: MkDocsConfig) -> None:
    """Refuses a site that would load something from another server."""
    from mkdocs.exceptions import PluginError

    for folder, _, names in os.walk(config.site_dir):
        for name in names:
            if name.endswith((".html", ".css")):
                file = Path(folder) / name
                if found := external_sources(file.read_text(encoding="utf-8")):
                    where = file.relative_to(config.site_dir)
                    raise PluginError(f"{where}: loads {found[0]} from another server; the site must work offline")
