"""A model as a folder that `transformers` loads, and the comparison of that folder with the model."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mammal.exporting.check_rows import CheckRows, Differences
from mammal.exporting.parts import reads_values
from mammal.model.hf import to_transformers

if TYPE_CHECKING:
    from mammal.inference.api import Mammal
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

LOGITS, STATES = "logits", "encoder_last_hidden_state"

WHY_NO_TOKENIZER_JSON = (
    "one tokenizers pipeline has one alphabet; here the same character has other ids in each alphabet "
    "(<@TOKENIZER-TYPE=SMILES>C is not <@TOKENIZER-TYPE=AA>C), segments are cut to their own MAX-LEN, and numbers are "
    "values next to the ids"
)

_NO_TOKENIZER_CLASS = {"tokenizer_class": "mammal.tokenization.Tokenizer"}
"""Without this file, AutoTokenizer makes an empty tokenizer of T5, whose ids are wrong, and reports no error."""


def write_transformers(
    model: Mammal, network: MammalModel, folder: Path, tasks: dict[str, Task]
) -> tuple[dict[str, Any], Differences]:
    """Writes the folder and compares what `transformers` loads from it with the model.

    Args:
        model: gives the tokenizer.
        network: the network that is exported.
        folder: an empty folder.
        tasks: tasks to describe.

    Returns:
        The description of the files for `export.json`, and the differences.

    Raises:
        BundleError: an output has another shape.
    """
    import transformers

    with _quiet():
        to_transformers(network).save_pretrained(folder)
        no_class = json.dumps(_NO_TOKENIZER_CLASS, indent=2) + "\n"
        (folder / "tokenizer_config.json").write_text(no_class, encoding="utf-8")
        found = _compare(network, model.tokenizer, folder)
    about = {
        "classes": ["transformers.T5ForConditionalGeneration", "transformers.T5EncoderModel"],
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "tokenizer_json": {"written": False, "why": WHY_NO_TOKENIZER_JSON},
        "tasks": {name: _described(task) for name, task in tasks.items()},
    }
    return about, found


def _compare(network: MammalModel, tokenizer: Tokenizer, folder: Path) -> Differences:
    from transformers import T5EncoderModel, T5ForConditionalGeneration

    whole = T5ForConditionalGeneration.from_pretrained(folder).eval()
    encoder = T5EncoderModel.from_pretrained(folder).eval()
    found = Differences()
    with torch.inference_mode():
        for rows in [*CheckRows.make(tokenizer).batches(), CheckRows.long_decoder(tokenizer)]:
            ours = network(rows.batch(decoder=True))
            mask_BL = rows.mask_BL.long()
            logits = whole(
                input_ids=rows.ids_BL, attention_mask=mask_BL, decoder_input_ids=rows.decoder_ids_BT, use_cache=False
            ).logits
            states = encoder(input_ids=rows.ids_BL, attention_mask=mask_BL).last_hidden_state
            found.add(LOGITS, ours.logits_DRV.numpy(), logits.numpy())
            # transformers computes states of padding, too
            found.add(STATES, ours.hidden_BLW.numpy(), (states * rows.mask_BL.unsqueeze(-1)).numpy())
    return found


def _described(task: Task) -> dict[str, Any]:
    """What a task needs in addition to T5. Reading answers of a decoder is described by its prompt and target."""
    needs = []
    if task.mode == "encoder":
        needs.append("a head on the encoder, which this folder does not have (format=onnx has it)")
    if reads_values(task):
        needs.append("numbers or vectors in the prompt, which T5 does not read")
    if "values" in task.wants and task.mode == "decoder":
        needs.append("the scalar head of the decoder, which this folder does not have")
    return {
        "kind": task.kind,
        "prompt": task.config.prompt.input,
        "target": task.config.prompt.target,
        "answered_by_t5": not needs,
        "lacks": needs,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the progress bars of transformers, and its warning that an untied head is not tied."""
    from transformers.utils import logging as their_logging

    level, bars = their_logging.get_verbosity(), their_logging.is_progress_bar_enabled()
    their_logging.set_verbosity(logging.ERROR)
    their_logging.disable_progress_bar()
    try:
        yield
    finally:
        their_logging.set_verbosity(level)
        if bars:
            their_logging.enable_progress_bar()
