"""Jobs that this version and an earlier one both run, for `bench_earlier.py`. Uses only what both have.

    python earlier_worker.py sample BUNDLE '{"n": 512, "constraint": "grammar"}'

Prints one JSON object: processor seconds and the results.
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = {"mini": (128, 256, 32, 4, 3, 1), "tiny": (256, 1024, 64, 4, 4, 2)}
"""d_model, d_ff, d_kv, num_heads, num_layers, num_decoder_layers."""

FRAGMENTS = ("C", "CC", "c1ccccc1", "C(=O)N", "N1CCNCC1", "C(C(F)(F)F)", "OC", "c1ccncc1", "S(=O)(=O)", "Cl")
TASKS = ("bbbp", "bace", "hiv", "clintox", "tox21", "sider", "amp", "tcr_epitope_bind", "promoter")


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


def bundle(folder: str, *, shape: str) -> dict[str, Any]:
    """Writes a bundle of nine tasks with random weights, which both versions can read."""
    from mammal.tasks import build_task, load_task

    try:
        from mammal.bundle.folder import save_bundle
    except ImportError:  # where it was earlier
        from mammal.bundle import save_bundle

    model, tokenizer = random_model(shape)
    save_bundle(folder, model, tokenizer, [build_task(load_task(name), tokenizer) for name in TASKS])
    return {"folder": folder}


def predict_job(bundle: str, *, rows: int) -> dict[str, Any]:
    """`run_job("predict")` on different molecules; also the seconds of the model alone on the same batches, encoded in
    advance. Results are the probabilities.

    Seconds of a job of ten molecules, which loads and warms up the model as well, are subtracted."""
    from mammal.jobs import run_job

    with tempfile.TemporaryDirectory() as folder:
        few, many = (molecules_file(Path(folder) / f"{count}.csv", count) for count in (10, rows))
        output, how = Path(folder) / "many.out.csv", {"task": "bbbp", "device": "cpu"}
        run_job("predict", bundle, few, Path(folder) / "first.csv", **how)  # imports what is needed
        start, _ = timed(lambda: run_job("predict", bundle, few, Path(folder) / "second.csv", **how))
        seconds, _ = timed(lambda: run_job("predict", bundle, many, output, **how))
        with output.open(newline="") as lines:
            answers = [line["probability"] for line in csv.DictReader(lines)]
        with many.open(newline="") as lines:
            alone = model_alone(bundle, [line["smiles"] for line in csv.DictReader(lines)])
    return {"seconds": seconds - start, "answers": answers, "alone": alone}


def model_alone(bundle: str, smiles: list[str]) -> float:
    """Seconds of the model on the batches of a job, which are encoded before."""
    import torch

    import mammal

    try:
        from mammal.rows.batched import Pace
        from mammal.tasks.batches.token_batches import encode_rows, token_batches
    except ImportError:  # where it was earlier
        from mammal.tasks.batching import encode_rows, token_batches
        from mammal.walk import Pace

    loaded = mammal.load(bundle, device="cpu")
    task, pace = loaded.tasks["bbbp"], Pace()
    examples, _ = encode_rows(task, [{"smiles": text} for text in smiles])
    lengths = [example.tokens for example in examples]
    chosen = token_batches(lengths, pace.tokens, max_rows=pace.rows, window=pace.window)
    batches = [task.collate([examples[i] for i in rows]) for rows in chosen]
    with torch.inference_mode():
        for batch in batches[: len(batches) // 4]:
            loaded.model(batch)  # products switch to a copy of their weights, as the job does before its first row
        seconds, _ = timed(lambda: [loaded.model(batch) for batch in batches])
    return seconds


def predict_memory(bundle: str, *, rows: int) -> dict[str, Any]:
    """Peak memory of `mammal predict` in a process of its own, in GB, as `seconds`; results are the bytes written."""
    with tempfile.TemporaryDirectory() as folder:
        given, output = molecules_file(Path(folder) / "given.csv", rows), Path(folder) / "output.csv"
        words = ["predict", f"bundle={bundle}", "task=bbbp", f"input={given}", f"output={output}", "device=cpu"]
        used = usage_of(words)
        return {"seconds": used.ru_maxrss / 1e6, "lines": len(output.read_text().splitlines())}


def one_row(bundle: str) -> dict[str, Any]:
    """`mammal predict` of one row in a process of its own; the result is the number of lines."""
    with tempfile.TemporaryDirectory() as folder:
        given, output = molecules_file(Path(folder) / "given.csv", 1), Path(folder) / "output.csv"
        used = usage_of(
            ["predict", f"bundle={bundle}", "task=bbbp", f"input={given}", f"output={output}", "device=cpu"]
        )
        return {"seconds": used.ru_utime + used.ru_stime, "lines": len(output.read_text().splitlines())}


def second_load(bundle: str) -> dict[str, Any]:
    """`mammal.load` for the second time in a process; the result is the number of tasks."""
    import mammal

    mammal.load(bundle, device="cpu")
    seconds, model = timed(lambda: mammal.load(bundle, device="cpu"))
    return {"seconds": seconds, "tasks": len(model.tasks)}


def describe(_: str, *, count: int) -> dict[str, Any]:
    """Descriptors of molecules that no cache holds, seconds for each; results are their values."""
    os.environ["MAMMAL_DESCRIPTOR_CACHE"] = "off"
    from mammal.tasks.features.descriptors import descriptors

    smiles = molecules(count)
    for text in smiles[:5]:
        descriptors(text)
    seconds, found = timed(lambda: [descriptors(text) for text in smiles[5:]])
    return {"seconds": seconds / (count - 5), "values": [repr(values) for values in found]}


def molecules(count: int) -> list[str]:
    """Different SMILES of the size of drugs."""
    draw, found = random.Random(0), dict[str, None]()
    while len(found) < count:
        found["C" + "".join(draw.choices(FRAGMENTS[:-1], k=draw.randint(4, 12))) + draw.choice(FRAGMENTS)] = None
    return list(found)


def molecules_file(file: Path, count: int) -> Path:
    file.write_text("\n".join(["smiles", *molecules(count)]) + "\n", encoding="utf-8")
    return file


def usage_of(words: list[str]) -> Any:
    """Runs `mammal WORDS`; returns what this process used, its children not counted."""
    process = subprocess.Popen([sys.executable, "-m", "mammal.cli", *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return used


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
    "bundle": bundle,
    "predict_job": predict_job,
    "predict_memory": predict_memory,
    "one_row": one_row,
    "second_load": second_load,
    "describe": describe,
}


if __name__ == "__main__":
    job, subject, *rest = sys.argv[1:]
    print(json.dumps(JOBS[job](subject, **(json.loads(rest[0]) if rest else {}))))
