"""Loading a tokenizer folder and encoding prompts with it, compared with the published code on the same folder.

Prompts are those of two published tasks: protein–drug affinity (`dti`) and a property of a molecule (`bbbp`). Each
round is a new process with one thread. Encoding is timed by processor time, so the ratio compares throughput per core.
Our tokenizer caches molecules that are repeated in a batch; the table gives the number of different ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import MEASURED, PUBLISHED, Options, Row, at_least, load_inputs, run_as_script, take_turns
from peer import clean_environment, find_peer

from mammal.tokenization import Tokenizer
from mammal.tokenization.prompt import segment

TARGET = 2.0
PUBLISHED_SECONDS = {"dti": 0.68, "bbbp": 0.25}
PUBLISHED_PROMPTS = {"dti": 2000, "bbbp": 5000}

OURS = """
from mammal.tokenization import Tokenizer

def load(folder):
    return Tokenizer.load(folder)

def encode(tokenizer, prompts):
    return [encoding.ids_L.tolist() for encoding in tokenizer.encode_batch(prompts)]
"""
THEIRS = """
from fuse.data.tokenizers.modular_tokenizer.op import ModularTokenizerOp

def load(folder):
    return ModularTokenizerOp.from_pretrained(folder)

def encode(tokenizer, prompts):
    ids = []
    for prompt in prompts:
        sample = {"prompt": prompt}
        tokenizer(sample, "prompt", key_out_tokens_ids="ids", key_out_attention_mask="mask", key_out_scalars="scalars")
        ids.append(sample["ids"])
    return ids
"""
JOB = """
import hashlib, json, sys, time
start = time.process_time()
tokenizer = load(sys.argv[1])
answer = {"load": time.process_time() - start}
for name, prompts in json.load(open(sys.argv[2])).items():
    start = time.process_time()
    ids = encode(tokenizer, prompts)
    answer[name] = time.process_time() - start
    answer[name + " tokens"] = sum(map(len, ids))
    answer[name + " hash"] = hashlib.sha256(json.dumps(ids).encode()).hexdigest()
print(json.dumps(answer))
"""


class Side:
    """Runs the job with one package, and keeps the answers."""

    def __init__(self, python: str, code: str, folder: Path, prompts: Path):
        self.command = [python, "-c", code + JOB, str(folder), str(prompts)]
        self.answers: list[dict[str, Any]] = []

    def __call__(self, _: int) -> float:
        root = Path.cwd().anchor  # away from folders that Python would import from
        environment = clean_environment(threads=1)
        done = subprocess.run(self.command, check=True, capture_output=True, text=True, cwd=root, env=environment)
        self.answers.append(json.loads(done.stdout.splitlines()[-1]))
        return self.seconds("load")

    def seconds(self, job: str) -> float:
        """Returns the time of the fastest round, because noise only adds time."""
        return min(answer[job] for answer in self.answers)


def measure(chosen: Options) -> list[Row]:
    folder, prompts_file = chosen.cache / "tokenizer", chosen.cache / "prompts.json"
    tokenizer = Tokenizer.load(chosen.tokenizer)
    tokenizer.add_special_tokens(["<BBBP>"])
    tokenizer.save(folder)
    inputs = load_inputs(chosen)
    prompts = {"dti": [affinity(*pair) for pair in inputs["dti"]], "bbbp": [property_of(s) for s in inputs["bbbp"]]}
    prompts_file.write_text(json.dumps(prompts), encoding="utf-8")
    ours, theirs, python = Side(sys.executable, OURS, folder, prompts_file), None, find_peer(chosen)
    sides = {"ours": ours}
    if python is not None:
        sides["theirs"] = theirs = Side(str(python), THEIRS, folder, prompts_file)
    take_turns(chosen.rounds, sides)
    return [_load_row(ours, theirs), *(_encode_row(name, texts, ours, theirs) for name, texts in prompts.items())]


def affinity(protein: str, drug: str) -> str:
    """Returns the published affinity prompt."""
    return (
        segment("AA", "<MASK>")
        + segment("AA", f"<MOLECULAR_ENTITY><MOLECULAR_ENTITY_GENERAL_PROTEIN>{_natural(protein)}", 1250)
        + segment("SMILES", f"<MOLECULAR_ENTITY><MOLECULAR_ENTITY_SMALL_MOLECULE>{_natural(drug)}<EOS>", 256)
    )


def property_of(drug: str) -> str:
    """Returns the published prompt of blood–brain barrier penetration."""
    tags = "<MOLECULAR_ENTITY><MOLECULAR_ENTITY_SMALL_MOLECULE><BBBP><SENTINEL_ID_0>"
    return segment("SMILES", tags) + segment("SMILES", f"{_natural(drug)}<EOS>", 2100)


def _natural(text: str) -> str:
    return f"<SEQUENCE_NATURAL_START>{text}<SEQUENCE_NATURAL_END>"


def _load_row(ours: Side, theirs: Side | None) -> Row:
    what, seconds = "loading a tokenizer folder", ours.seconds("load")
    if theirs is None:
        return Row(what, measured=f"{seconds:.2f} s")
    return Row(
        what,
        **at_least(theirs.seconds("load") / seconds, TARGET),
        ours=f"{seconds:.2f} s",
        theirs=f"{theirs.seconds('load'):.2f} s",
        source=MEASURED,
    )


def _encode_row(name: str, prompts: list[str], ours: Side, theirs: Side | None) -> Row:
    tokens = ours.answers[0][f"{name} tokens"]
    rate = len(prompts) / ours.seconds(name)
    published = PUBLISHED_PROMPTS[name] / PUBLISHED_SECONDS[name]
    equal = ""
    if theirs is not None:
        published = len(prompts) / theirs.seconds(name)
        same = theirs.answers[0][f"{name} hash"] == ours.answers[0][f"{name} hash"]
        equal = "same ids" if same else "**ids differ**"
    return Row(
        f"encoding {len(prompts):,} `{name}` prompts ({len(set(prompts)):,} different, {tokens:,} tokens), per core",
        **at_least(rate / published, TARGET),
        ours=f"{rate:,.0f} prompts/s",
        theirs=f"{published:,.0f} prompts/s",
        equal=equal,
        source=MEASURED if theirs else PUBLISHED,
    )


if __name__ == "__main__":
    run_as_script(__doc__, measure)
