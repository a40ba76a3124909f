"""Jobs that this version and an earlier one both run, for `bench_earlier.py`. Uses only what both have.

    python earlier_worker.py sample BUNDLE '{"n": 512, "constraint": "grammar"}'

Prints one JSON object: processor seconds and the results.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

MODELS = {"mini": (128, 256, 32, 4, 3, 1), "tiny": (256, 1024, 64, 4, 4, 2)}
"""d_model, d_ff, d_kv, num_heads, num_layers, num_decoder_layers."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def sample(bundle: str, *, n: int, constraint: str) -> dict[str, Any]:
    """Samples molecules; results are the texts."""
    import mammal

    model = mammal.load(bundle, device="cpu")
    how = {"task": "molecules", "do_sample": True, "constraint": constraint, "faithful": False, "max_draws": 1}
    model.generate(n=8, seed=1, **how)
    seconds, frame = timed(lambda: model.generate(n=n, seed=0, **how))
    texts = frame["text"].fillna("").tolist()
    return {"seconds": seconds, "texts": texts, "tokens": sum(map(len, texts))}


def step(shape: str, *, rows: int, tokens: int = 96) -> dict[str, Any]:
    """Greedy generation of a fixed number of tokens by random weights; results are the ids."""
    import torch

    from mammal.decoding import GenerationConfig, generate

    model, _ = random_model(shape)
    torch.manual_seed(1)
    ids_BL = torch.randint(100, 200, (rows, 40))
    batch = batch_of(ids_BL)
    config = GenerationConfig(max_new_tokens=tokens, min_new_tokens=tokens - 1)
    generate(model, batch, config)
    best, made = min((timed(lambda: generate(model, batch, config)) for _ in range(3)), key=lambda pair: pair[0])
    return {"seconds": best, "ids": [row[0].tolist() for row in made.ids_list]}


def variants(shape: str, *, sites: int, what: list[str]) -> dict[str, Any]:
    """Scores of three alternates at each site; results are the likelihood ratios or the distances."""
    from mammal.inference import Mammal
    from mammal.tasks import build_task, load_task

    model, tokenizer = random_model(shape)
    scorer = Mammal(model, tokenizer, [build_task(load_task("dna_denoising"), tokenizer)])
    draw, texts = random.Random(0), []
    for _ in range(sites):
        bases = "".join(draw.choices("ACGT", k=512))
        texts += [f"{bases[:256]}[{bases[256]}/{alt}]{bases[257:]}" for alt in "ACGT" if alt != bases[256]]
    scorer.score_variants(texts[:3], what=what)
    seconds, frame = timed(lambda: scorer.score_variants(texts, what=what))
    column = "log_likelihood_ratio" if "likelihood" in what else "distance"
    return {"seconds": seconds, "scores": frame[column].tolist()}


def catalogue(_: str) -> dict[str, Any]:
    """`mammal tasks` in a process of its own; the result is the number of lines."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "mammal.cli", "tasks"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "lines": len(done.stdout.splitlines())}


def random_model(shape: str) -> tuple[Any, Any]:
    import torch

    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel
    from mammal.tokenization import Tokenizer

    torch.manual_seed(0)
    tokenizer = Tokenizer.load(None)
    names = ("d_model", "d_ff", "d_kv", "num_heads", "num_layers", "num_decoder_layers")
    model = MammalModel(ModelConfig(tokenizer.vocab_rows, **dict(zip(names, MODELS[shape], strict=True))))
    return model.eval(), tokenizer


def batch_of(ids_BL: Any) -> Any:
    import torch

    try:
        from mammal.tasks.batches.batch import Batch
    except ImportError:  # where it was earlier
        from mammal.tasks.batch import Batch

    reads = torch.full((len(ids_BL), 0), -1)
    return Batch("decoder", ("logits",), ids_BL, torch.ones_like(ids_BL, dtype=torch.bool), reads)


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "sample": sample,
    "step": step,
    "variants": variants,
    "catalogue": catalogue,
}


if __name__ == "__main__":
    job, subject, *rest = sys.argv[1:]
    print(json.dumps(JOBS[job](subject, **(json.loads(rest[0]) if rest else {}))))
