"""One HTML page without a single outside asset: headings, tables, figures, facts.

Every function returns markup; text that comes from data goes through `text`, so that a file can't write into the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files


@dataclass(frozen=True)
class Section:
    """A heading of the page and the markup below it."""

    title: str
    body: str

    @property
    def anchor(self) -> str:
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


def page(title: str, lead: str, sections: Sequence[Section], footer: str = "") -> str:
    """The whole document, style sheet inside."""
    style = files("mammal.report").joinpath("style.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{s.anchor}">{text(s.title)}</a>' for s in sections)
    parts = "".join(f'<section id="{s.anchor}"><h2>{text(s.title)}</h2>{s.body}</section>' for s in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head>"
        f'<body><header><h1>{text(title)}</h1><p class="lead">{text(lead)}</p><nav>{links}</nav></header>'
        f"<main>{parts}</main><footer>{text(footer)}</footer></body></html>\n"
    )


def text(value: object) -> str:
    return escape(str(value))


def paragraph(words: str, *, note: bool = False) -> str:
    """Text; what stands in `backticks` is set as code."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", text(words))
    return f'<p class="note">{marked}</p>' if note else f"<p>{marked}</p>"


def heading(words: str) -> str:
    return f"<h3>{text(words)}</h3>"


def code(lines: Iterable[str]) -> str:
    return f"<pre><code>{text(chr(10).join(lines))}</code></pre>"


def facts(pairs: Mapping[str, object]) -> str:
    """A strip of short figures, each with its name."""
    cells = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs.items())
    return f'<dl class="facts">{cells}</dl>'


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, kinds: Sequence[str] = (), first_is_ours: bool = False
) -> str:
    """A table of markup cells; `kinds` gives a class per column: number, mono, reason or nothing."""
    classes = [f' class="{kind}"' if kind else "" for kind in [*kinds, *[""] * (len(header) - len(kinds))]]
    head = "".join(f"<th{c}>{text(name)}</th>" for c, name in zip(classes, header, strict=True))
    body = ""
    for i, row in enumerate(rows):
        cells = "".join(f"<td{c}>{cell}</td>" for c, cell in zip(classes, row, strict=True))
        ours = ' class="ours"' if first_is_ours and i == 0 else ""
        body += f"<tr{ours}>{cells}</tr>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(svg: str, caption: str = "") -> str:
    words = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f"<figure>{svg}{words}</figure>"


def figures(items: Iterable[str]) -> str:
    return f'<div class="figures">{"".join(items)}</div>'
