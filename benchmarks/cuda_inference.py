"""Inference on a GPU at the 458M shape, in bfloat16 with random weights: affinity, embeddings, generation, CUDA graphs.

The first figure of a job is what a user sees, tokenisation in one process included; the second is that of the model
alone. A CUDA graph of one decoder step shows what a step costs without the calls of its kernels from Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from cuda_common import forward_tflop, matrix_tflops, molecules, peak_tflops, proteins, seconds_of, wait
from models import randomise, shape_of

from mammal.decoding.ages import Ages
from mammal.decoding.decoder_cache import DecodingState
from mammal.decoding.generate_batch import GenerationConfig, generate
from mammal.decoding.prompt_keys import PromptKeys
from mammal.inference.api import Mammal
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tasks.batches.batch import Batch
from mammal.tasks.batches.token_batches import encode_rows, token_batches
from mammal.tokenization import Tokenizer

if TYPE_CHECKING:
    from bench_cuda import Report

NEW_TOKENS = 64


class Jobs:
    """The model with the tasks that are measured."""

    def __init__(self, device: str, smoke: bool):
        self.device, self.smoke = device, smoke
        tokenizer = Tokenizer.load(None)
        model = MammalModel(shape_of("smoke" if smoke else "458M"), init=False)
        randomise(model)
        model = model.to(device, torch.bfloat16)
        affinity = build_task(load_task("dti_bindingdb_pkd", {"standardise": "off"}), tokenizer)
        self.sampling = build_task(load_task("molecules"), tokenizer)
        self.mammal = Mammal(model.eval(), tokenizer, [affinity, self.sampling])
        self.model, self.affinity = model, affinity
        count = 8 if smoke else 2_000
        texts = zip(proteins(count, 330, 400), molecules(count), strict=True)
        self.pairs = [dict(zip(affinity.columns, pair, strict=True)) for pair in texts]
        affinity.fit([{**self.pairs[0], affinity.target_columns[0]: value} for value in ("5", "7")])

    def batch(self, tokens: int) -> Batch:
        """A batch of pairs, on the device."""
        examples, errors = encode_rows(self.affinity, self.pairs)
        assert not errors, errors[0]
        chosen = token_batches([example.tokens for example in examples], tokens, max_rows=2_048)[0]
        return self.affinity.collate([examples[row] for row in chosen]).to(self.device)

    def prompts(self, rows: int) -> Batch:
        """A batch of equal prompts for molecules, on the device."""
        examples, errors = encode_rows(self.sampling, [{}] * rows)
        assert not errors, errors[0]
        return self.sampling.collate(examples).to(self.device)


def measure_inference(report: Report) -> None:
    """Measures scoring, embedding and generation; each may fail without the others."""
    jobs = Jobs(report.device, report.smoke)
    measures: dict[str, Callable[[Report, Jobs], None]] = {
        "affinity": _affinity,
        "embeddings": _embeddings,
        "greedy generation": _greedy,
        "sampling by the grammar": _sampled,
        "a decoder step": _decoder_steps,
        "compiled encoder": _compiled_encoder,
    }
    for name, measure in measures.items():
        report.attempt(name, partial(measure, report, jobs))


def _timed(work: Callable[[], Any], device: str) -> float:
    """Seconds of the second of two calls."""
    work()
    wait(device)
    begun = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - begun


def _affinity(report: Report, jobs: Jobs) -> None:
    seconds = _timed(lambda: jobs.mammal.predict(jobs.pairs, task=jobs.affinity.name), jobs.device)
    report.add("affinity, 458M, bf16, from text", f"{len(jobs.pairs) / seconds:,.0f} pairs/s")
    peak = peak_tflops(jobs.device, matrix_tflops(jobs.device, 256 if jobs.smoke else 8192))
    for tokens in (512,) if jobs.smoke else (16_384, 131_072):
        batch = jobs.batch(tokens)
        with torch.inference_mode():
            seconds = seconds_of(partial(jobs.model, batch), jobs.device)
        share = forward_tflop(jobs.model.config, batch) / seconds / peak
        value = f"{len(batch) / seconds:,.0f} pairs/s, {share:.0%} of {peak:.0f} TFLOP/s"
        report.add(f"affinity, 458M, bf16, model alone, {batch.tokens:,} tokens", value)


def _embeddings(report: Report, jobs: Jobs) -> None:
    texts = [row[jobs.affinity.columns[0]] for row in jobs.pairs]
    seconds = _timed(lambda: jobs.mammal.embed(texts, entity="protein"), jobs.device)
    report.add("embeddings of proteins, 458M, bf16, from text", f"{len(texts) / seconds:,.0f} proteins/s")


def _greedy(report: Report, jobs: Jobs) -> None:
    tokens = 8 if jobs.smoke else NEW_TOKENS
    for rows in (2,) if jobs.smoke else (8, 256):
        config = GenerationConfig(tokens, min_new_tokens=tokens - 1)
        batch = jobs.prompts(rows)
        seconds = _timed(lambda b=batch, c=config: generate(jobs.model, b, c), jobs.device)
        what = f"greedy generation, 458M, bf16, {rows} rows of {tokens} tokens, whole vocabulary"
        report.add(what, f"{rows * tokens / seconds:,.0f} tokens/s", note=f"{seconds / tokens * 1e3:.2f} ms a step")


def _sampled(report: Report, jobs: Jobs) -> None:
    tokens = 8 if jobs.smoke else NEW_TOKENS
    for count in (4,) if jobs.smoke else (64, 1_024):
        how = {"n": count, "max_new_tokens": tokens, "do_sample": True}
        seconds = _timed(lambda h=how: jobs.mammal.generate(task="molecules", **h), jobs.device)
        what = f"{count:,} molecules sampled by the grammar, 458M, bf16, at most {tokens} tokens"
        report.add(what, f"{count / seconds:,.0f} molecules/s")


@torch.no_grad()
def _decoder_steps(report: Report, jobs: Jobs) -> None:
    """One step in the middle of a sequence, from Python, and replayed from a CUDA graph."""
    for rows in (2,) if jobs.smoke else (8, 256):
        ages = Ages(rows, NEW_TOKENS, jobs.model.device)
        for _ in range(NEW_TOKENS // 2):
            ages.advance()
        keys = PromptKeys.of(jobs.model, jobs.model.encode(jobs.prompts(rows)))
        state = DecodingState(jobs.model, keys, 1, ages)
        ids = torch.full((rows,), 5, device=jobs.device)

        def step(state: DecodingState = state, ids: torch.Tensor = ids) -> torch.Tensor:
            return jobs.model.t5_model.token_logits(state.step(ids))

        plain = seconds_of(step, jobs.device, warm=40)
        what = f"a decoder step of {rows} rows with the token head, 458M, bf16"
        report.add(what, f"{plain * 1e3:.2f} ms")
        if jobs.device == "cpu":
            continue
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        graphed = seconds_of(graph.replay, jobs.device)
        report.add(f"{what}, CUDA graph", f"{graphed * 1e3:.2f} ms, {plain / graphed:.1f} times as fast")


def _compiled_encoder(report: Report, jobs: Jobs) -> None:
    backend = {"backend": "aot_eager"} if jobs.smoke else {}
    for block in jobs.model.t5_model.encoder.blocks:
        block.feed_forward.compile(dynamic=True, **backend)
    batch = jobs.batch(512 if jobs.smoke else 131_072)
    with torch.no_grad():
        seconds = seconds_of(partial(jobs.model, batch), jobs.device)
    what = f"affinity, 458M, bf16, model alone, {batch.tokens:,} tokens, feed-forward layers compiled"
    report.add(what, f"{len(batch) / seconds:,.0f} pairs/s")
