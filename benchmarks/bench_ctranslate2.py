"""Greedy decoding beside CTranslate2, which many use for T5: float32 with equal ids, and 8-bit weights.

Eight prompts of molecules, the whole vocabulary, one thread per core that is given. CTranslate2 gets the same weights
through its converter for T5, and is installed into the cache. All sides produce the same number of tokens per prompt.

What 8 bits change in trained weights is measured on the shipped model, which rewrites randomly ordered SMILES of
compounds of `chemicals` in canonical form (greedy).
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench_generate import NEW_TOKENS, PROMPT, PROMPTS, OurLoop, batch_of
from bench_names import sample
from common import MEASURED, Options, Row, Turns, at_least, load_inputs, progress, run_as_script, take_turns, timed
from models import checkpoint

from mammal.inference.api import load
from mammal.model.hf import to_transformers
from mammal.model.model import MammalModel
from mammal.tokenization import Tokenizer

PACKAGE = "ctranslate2==4.8.5"
TARGETS = {"float32": 1.3, "int8": 1.5}
TRAINED, COMPOUNDS = "mammal-tiny", 300


class CTranslate2Loop:
    """The same weights in CTranslate2."""

    def __init__(self, folder: Path, compute_type: str, prompts: list[list[int]], new_tokens: int):
        import ctranslate2

        self.model = ctranslate2.Translator(
            str(folder), compute_type=compute_type, inter_threads=1, intra_threads=torch.get_num_threads()
        )
        self.prompts = [[str(number) for number in ids] for ids in prompts]
        self.new_tokens = new_tokens
        self.ids: list[list[int]] = []
        self(0)

    def __call__(self, _: int) -> float:
        seconds, made = timed(partial(self._generate))
        self.ids = [[int(token) for token in one.hypotheses[0]] for one in made]
        return seconds

    def _generate(self) -> list[Any]:
        how = {"max_decoding_length": self.new_tokens, "min_decoding_length": self.new_tokens - 1}
        return self.model.translate_batch(self.prompts, beam_size=1, max_input_length=0, disable_unk=False, **how)


def measure(chosen: Options) -> list[Row]:
    install(chosen.cache / PACKAGE.replace("==", "-"))
    shapes = ("smoke",) if chosen.smoke else ("small", "458M")
    rows = [row for shape in shapes for row in rows_of_shape(chosen, shape)]
    return [*rows, trained_row(8 if chosen.smoke else COMPOUNDS)]


def rows_of_shape(chosen: Options, shape: str) -> list[Row]:
    folder, new_tokens = checkpoint(chosen, shape), 8 if chosen.smoke else NEW_TOKENS
    model = load(folder, dtype="float32")
    tokenizer = model.tokenizer
    molecules = list(dict.fromkeys(load_inputs(chosen)["loop"]))[:PROMPTS]
    prompts = [tokenizer.encode(PROMPT.format(smiles)).ids_L.tolist() for smiles in molecules]
    batch = batch_of(prompts, tokenizer.pad_id)
    converted = convert(model.model, tokenizer, chosen.cache / f"{shape}-ctranslate2")
    sides: dict[str, Any] = {
        "float32": OurLoop(model.model, batch, new_tokens, shortest=new_tokens - 1),
        "int8": OurLoop(load(folder, dtype="int8").model, batch, new_tokens, shortest=new_tokens - 1),
        "CTranslate2 float32": CTranslate2Loop(converted, "float32", prompts, new_tokens),
        "CTranslate2 int8": CTranslate2Loop(converted, "int8", prompts, new_tokens),
    }
    turns = take_turns(chosen.rounds, sides)
    return [row_of(shape, kind, turns, sides, len(prompts) * new_tokens) for kind in TARGETS]


def row_of(shape: str, kind: str, turns: Turns, sides: dict[str, Any], tokens: int) -> Row:
    theirs = f"CTranslate2 {kind}"
    return Row(
        f"greedy decoding, {shape}, whole vocabulary, {kind}",
        ours=f"{tokens / turns.median(kind):,.0f} tokens/s",
        theirs=f"{tokens / turns.median(theirs):,.0f} tokens/s (CTranslate2)",
        equal=f"{agreement(sides[kind].ids, sides[theirs].ids):.0%} of ids are those of CTranslate2, "
        f"{agreement(sides[kind].ids, sides['float32'].ids):.0%} ours in float32",
        source=MEASURED,
        **at_least(turns.ratio(theirs, kind), TARGETS[kind]),
    )


def trained_row(count: int) -> Row:
    """What 8 bits change in the texts that trained weights generate."""
    from rdkit import Chem, rdBase

    _, smiles = sample(2 * count)
    parsed = (Chem.MolFromSmiles(text) for text in smiles if len(text) <= 60)
    molecules = [molecule for molecule in parsed if molecule is not None][:count]
    canonical = [Chem.MolToSmiles(molecule) for molecule in molecules]
    shuffled = [Chem.MolToRandomSmilesVect(molecule, 1, randomSeed=0)[0] for molecule in molecules]
    texts = {}
    for dtype in TARGETS:
        answers = load(TRAINED, dtype=dtype).generate({"smiles": shuffled}, task="pretrain_canonical")
        texts[dtype] = answers["text"].fillna("").tolist()
    same = agreement([texts["int8"]], [texts["float32"]])
    with rdBase.BlockLogs():
        found = {dtype: [Chem.MolFromSmiles(text) for text in made] for dtype, made in texts.items()}
    valid = {dtype: sum(one is not None for one in made) / len(made) for dtype, made in found.items()}
    exact = {
        dtype: agreement([[one and Chem.MolToSmiles(one) for one in found[dtype]]], [canonical]) for dtype in found
    }
    changed = (
        f"{name} {of['int8']:.1%} ({of['float32']:.1%} in float32)" for name, of in (("valid", valid), ("exact", exact))
    )
    return Row(
        f"canonical SMILES of {len(molecules)} compounds by `{TRAINED}`, int8",
        measured=f"{same:.0%} of texts as in float32",
        ours=", ".join(changed),
    )


def agreement(ids: list[list[Any]], others: list[list[Any]]) -> float:
    """Share of equal ids, or texts, at equal places."""
    pairs = [(a, b) for one, other in zip(ids, others, strict=True) for a, b in zip(one, other, strict=False)]
    return sum(a == b for a, b in pairs) / len(pairs)


def convert(model: MammalModel, tokenizer: Tokenizer, folder: Path) -> Path:
    """The model in CTranslate2's format. Its tokens are the numbers of ours, so that prompts keep their ids."""
    from ctranslate2.converters.transformers import T5Loader

    if (folder / "model.bin").is_file():
        return folder
    progress(f"Converting to {folder}")
    names = [str(number) for number in range(model.config.vocab_size)]
    spec = T5Loader().get_model_spec(to_transformers(model).eval())
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    spec.config.bos_token = spec.config.decoder_start_token = names[model.config.decoder_start_token_id]
    spec.config.eos_token, spec.config.unk_token = names[tokenizer.eos_id], names[tokenizer.pad_id]
    spec.config.add_source_eos = False  # the prompts end with it
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    return folder


def install(folder: Path) -> None:
    """Makes CTranslate2 importable, from a folder of its own."""
    if not folder.is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), PACKAGE]
        subprocess.run(command, check=True)
    sys.path.append(str(folder))


if __name__ == "__main__":
    run_as_script(__doc__, measure)
