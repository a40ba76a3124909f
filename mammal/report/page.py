"""The HTML of a report: one page that needs no other file, made from the templates in `templates/`.

The templates escape every text. Only `Markup` (what these functions and the figures return) goes into the page as it
is, so data such as names of tasks, SMILES or error messages can't add markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

Cell = str | Markup
"""Content of a table cell: text, which is escaped, or markup."""


@dataclass(frozen=True)
class Section:
    """A heading of the page and the markup below it.

    Attributes:
        title: text of the heading.
        body: the markup.
    """

    title: str
    body: Markup

    @property
    def anchor(self) -> str:
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


def page(title: str, lead: str, sections: Sequence[Section], footer: str = "") -> str:
    """Returns the whole HTML document.

    Args:
        title: text of the window title and of the first heading.
        lead: text below the title.
        sections: parts of the page, in order; the page links to each of them.
        footer: text at the end.
    """
    template = _environment().get_template("page.html")
    return template.render(title=title, lead=lead, sections=sections, footer=footer)


def joined(parts: Iterable[Markup]) -> Markup:
    """Joins several parts, in order."""
    return Markup("").join(parts)


def paragraph(words: str, *, note: bool = False) -> Markup:
    """Returns a paragraph of text.

    Args:
        words: text; words in `backticks` are shown as code.
        note: whether to show it smaller and greyer.
    """
    return _parts().paragraph(words, note)


def heading(words: str) -> Markup:
    """Returns a heading inside a section."""
    return _parts().heading(words)


def code(lines: Iterable[str]) -> Markup:
    """Returns lines of code as one block."""
    return _parts().code(lines)


def facts(pairs: Mapping[str, object]) -> Markup:
    """Returns a strip of short figures, each with its name."""
    return _parts().facts(pairs)


def html_table(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], *, kinds: Sequence[str] = (), first_is_ours: bool = False
) -> Markup:
    """Returns a table.

    Args:
        header: one name for each column.
        rows: one cell for each column.
        kinds: class of each column: `number`, `mono`, `reason` or nothing; columns beyond its end have none.
        first_is_ours: whether to emphasise the first row.
    """
    rows = list(rows)
    assert all(len(row) == len(header) for row in rows), "each row needs one cell for each column"
    return _parts().table(header, rows, [*kinds, *[""] * (len(header) - len(kinds))], first_is_ours)


def with_detail(value: str, detail: str) -> Markup:
    """Returns a table cell: a value with a detail in smaller type."""
    return _parts().with_detail(value, detail)


def name_of_key(key: str) -> Markup:
    """Returns a table cell: the name of a key or column as code."""
    return _parts().name_of_key(key)


def figure(svg: Markup, caption: str = "") -> Markup:
    """Returns a picture with the text below it."""
    return _parts().figure(svg, caption)


def figures(items: Iterable[Markup]) -> Markup:
    """Returns several pictures next to each other."""
    return _parts().figures(items)


@dataclass(frozen=True)
class MoleculeCard:
    """A string and what it represents.

    Attributes:
        smiles: the string.
        pictures: the SVG of each component of the molecule; none if the string is not a molecule.
        caption: text next to the mark that says whether the string is valid.
        lines: lines of text below the drawing, instead of that mark.
    """

    smiles: str
    pictures: Sequence[Markup]
    caption: str = ""
    lines: Sequence[str] = ()


def molecules(cards: Iterable[MoleculeCard]) -> Markup:
    """Returns a grid of molecules."""
    return _parts().molecules(cards)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mammal.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code_marks"] = _code_marks
    return environment


def _parts() -> Any:
    """The macros of `parts.html`."""
    return _environment().get_template("parts.html").module


def _code_marks(words: str) -> Markup:
    """The escaped text, with what is in `backticks` as code; a line never breaks between a number and its `%`."""
    text = re.sub(r"(\d) %", "\\1\u00a0%", str(escape(words)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", text))
