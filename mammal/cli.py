"""Runs `mammal VERB key=value …`. Only the module of the verb is imported, so that the command line starts fast.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 done but some rows have no answer, 4 ended early because more rows than
max_errors have no answer, 130 interrupted (Ctrl-C), 143 terminated (SIGTERM).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from mammal.errors import ConfigError, MammalError, did_you_mean
from mammal.version import __version__

DONE, FAILED, WRONG_USE, BAD_ROWS, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143

VERBS = {
    "train": "train or fine-tune on a task or a mixture of tasks, evaluate, save a bundle",
    "evaluate": "evaluate a bundle on held-out rows and compare it with simple baselines",
    "predict": "predict labels or numbers for every row of a file",
    "embed": "compute one vector for every row of a file",
    "generate": "generate sequences, from a prompt or for every row of a file",
    "score": "compute the log-likelihood of targets, or the effect of variants, for every row of a file",
    "explain": "compute how much each atom, residue, base or token contributes to a prediction",
    "serve": "answer requests over HTTP and MCP, with a page for the browser",
    "windows": "cut windows of a genome around every variant of a file",
    "names": "make a verified table of structures and IUPAC names from any file of SMILES",
    "properties": "compute molecular weight, logP, QED and others for every molecule of a file",
    "export": "write a model as a transformers folder or an ONNX graph, and check its outputs",
    "push": "upload a bundle to the Hugging Face hub",
    "corpus": "make clean tables for pretraining from files of molecules, names and sequences",
    "pack": "encode the rows of tasks once and keep them on disk, for long training runs",
    "report": "write one HTML page about a run: results, curves, predictions, samples",
    "tasks": "list the tasks, or show one row of a task at every step",
    "new-task": "write a task file from the columns of a data file",
    "check-data": "look for faults in the data of a task before training: labels, repeats, units, leaks, lengths",
    "info": "show what a bundle contains",
    "skill": "print or install the description of this package for agents",
    "bench": "run the benchmarks (needs a checkout of the repository)",
}

OTHER_NAMES = {
    **dict.fromkeys(("fit", "finetune", "fine-tune", "training", "learn"), "train"),
    **dict.fromkeys(("eval", "test", "validate", "benchmark"), "evaluate"),
    **dict.fromkeys(("inference", "infer", "classify", "predictions"), "predict"),
    **dict.fromkeys(("sample", "design"), "generate"),
    **dict.fromkeys(("embeddings", "embedding", "encode"), "embed"),
    **dict.fromkeys(("convert", "onnx"), "export"),
    **dict.fromkeys(("upload", "publish", "share", "push-to-hub", "push_to_hub"), "push"),
    **dict.fromkeys(("attribute", "interpret", "attributions"), "explain"),
    **dict.fromkeys(("server", "service", "api", "mcp"), "serve"),
    **dict.fromkeys(("list", "ls", "datasets"), "tasks"),
    **dict.fromkeys(("show", "inspect", "describe"), "info"),
    **dict.fromkeys(("init", "create", "new"), "new-task"),
    **dict.fromkeys(("check", "lint", "check_data", "data-check", "validate-data"), "check-data"),
}
"""What other tools call our verbs."""

USAGE = """MAMMAL {version}: one model for molecules, proteins, DNA and numbers, with one prompt language

usage: mammal VERB key=value ...

{verbs}

mammal VERB --help    show what a verb does, its keys and examples
mammal VERB --cfg     print the composed configuration without running anything
--config-dir DIR      also look for configs in DIR (or in the folders listed in MAMMAL_CONFIGS)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code. Errors that a user can cause are printed without a traceback.

    Args:
        argv: words after `mammal`. Default: those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except MammalError as error:
        if _wants_traceback():
            raise
        _tell(error)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        kept = str(interrupt) or "finished files are kept, the one being written is not"
        sys.stderr.write(f"\ninterrupted: {kept}\n")
        return INTERRUPTED
    except BrokenPipeError:  # `mammal tasks | head`: the reader needs no more lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        if _wants_traceback():
            raise
        sys.stderr.write(f"error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}\n")
        return FAILED


def _dispatch(arguments: list[str]) -> int:
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help", "help") and len(arguments) > 1 and arguments[1] in VERBS:
        return _dispatch([arguments[1], "--help"])
    if first in ("-h", "--help", "help"):
        sys.stdout.write(USAGE.format(version=__version__, verbs=_verb_lines()))
        return DONE if arguments else WRONG_USE
    if first in ("-V", "--version", "version"):
        sys.stdout.write(f"mammal {__version__}\n")
        return DONE
    if first not in VERBS:
        meant = OTHER_NAMES.get(first)
        hint = f"did you mean {meant}?" if meant else did_you_mean(first, VERBS, noun="verb")
        raise ConfigError(f"there is no verb {first!r}", where="mammal", hint=hint)
    module = import_module(f"mammal.commands.{first.replace('-', '_')}")
    rest = arguments[1:]
    if any(argument in ("-h", "--help") for argument in rest):
        sys.stdout.write(_verb_help(first, module.__doc__ or ""))
        return DONE
    run: Callable[[list[str]], int] = module.run
    return run(rest)


def _verb_lines() -> str:
    width = max(map(len, VERBS))
    return "\n".join(f"  {verb.ljust(width)}  {about}" for verb, about in VERBS.items())


def _verb_help(verb: str, doc: str) -> str:
    """Returns the docstring of the verb's module, then the config files with its keys and their comments."""
    from mammal.configuration.arguments import package_folder
    from mammal.configuration.sources import verb_configs
    from mammal.tasks.declaration.generation_settings import HYDRA_NAME, help_lines

    text = f"{doc.strip()}\n"
    for name in verb_configs(verb):
        file = package_folder() / f"{name}.yaml"
        if name == HYDRA_NAME:
            text += f"\n--- settings of generation; null: as the task declares ---\n{help_lines()}"
        elif file.is_file():
            keys = file.read_text(encoding="utf-8")
            text += f"\n--- configs/{name}.yaml: every key can be set on the command line ---\n{keys}"
    return text


def _tell(error: MammalError) -> None:
    where = f"{error.where}: " if error.where else ""
    sys.stderr.write(f"error: {where}{error.what}\n")
    if error.hint:
        sys.stderr.write(f"  hint: {error.hint}\n")


def _wants_traceback() -> bool:
    return os.environ.get("MAMMAL_TRACEBACK", "") not in ("", "0")


if __name__ == "__main__":
    sys.exit(main())
