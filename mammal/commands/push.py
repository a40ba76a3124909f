"""Upload a bundle to a repository of the Hugging Face hub, from which mammal.load("owner/name") opens it.

    mammal push bundle=runs/lora/bundle repo=my-name/boiling-points
    mammal push bundle=runs/lora/bundle repo=my-name/boiling-points private=true message="second version"
    mammal push bundle=runs/adapters/bundle repo=my-name/adapters base=my-name/ma-ted

It needs a token with write access: `hf auth login` stores one, or set HF_TOKEN. HF_ENDPOINT names another server. Only
files of a bundle are uploaded, in one commit. A bundle with inputs and labels of training rows needs rows=true
(docs/sharing.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mammal import console
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain


def run(argv: Sequence[str]) -> int:
    return run_verb("push", argv, lambda config, config_dirs: _work(plain(config)))


def _work(options: dict[str, Any]) -> int:
    from mammal.bundle.push import MAIN, push_to_hub

    pushed = push_to_hub(**options)
    console.note(
        f"{len(pushed.files)} files: {', '.join(name for name in pushed.files if '/' not in name)}, tokenizer/"
    )
    console.out(pushed.url)
    if pushed.revision == MAIN:
        console.note(f'mammal.load("{pushed.repo}") opens it')
    return 0
