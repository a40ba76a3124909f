"""Answer requests over HTTP and MCP: predict, generate, embed, score, explain, properties and names.

    mammal serve bundle=demo/bundle                          http://127.0.0.1:8000 has a page for the browser
    mammal serve bundle=demo/bundle transport=stdio          tools of MCP on standard input and output

Answers are those of `mammal predict`. Rows of several requests go to the model in one batch. The service listens on
this machine only; other addresses need an API key in the environment variable MAMMAL_API_KEY. SIGTERM and Ctrl-C finish
the accepted requests first. It needs the extra `serve`. docs/service.md describes the routes.
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain


def run(argv: Sequence[str]) -> int:
    def work(config: object, config_dirs: Sequence[object]) -> int:
        from mammal.service.server import serve

        return serve(plain(config), config_dirs)  # type: ignore[arg-type]

    return run_verb("serve", argv, work)
