"""Training on a GPU: steps of `model=small` and `base`, runs of the pretraining experiment, compiled layers.

The batches of the first part are on the device already, so their rate is that of the model and the optimiser. The runs
of the second part are those of `mammal train` from packs, with a clock around the loader.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from cuda_common import MFU_TARGET, forward_tflop, matrix_tflops, molecules, peak_tflops, proteins, seconds_of

from mammal.configuration.compose import compose, parse_arguments
from mammal.tasks import build_task, load_task
from mammal.tasks.batches.batch import Batch
from mammal.tasks.batches.token_batches import encode_rows, token_batches
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer
from mammal.training.build import build_model
from mammal.training.loader import TrainLoader
from mammal.training.module import TrainingModule
from mammal.training.optim import adamw

if TYPE_CHECKING:
    from bench_cuda import Report

    from mammal.model.model import MammalModel

SHAPES = (("small", 65_536), ("base", 32_768), ("base", 65_536))
"""Model and tokens of a batch."""
PROTEINS = {
    "name": "bench_proteins",
    "kind": "denoising",
    "prompt": {"input": "{sequence:protein@512}"},
    "denoising": {"density": 0.15, "mean_span": 3.0},
}


class Steps:
    """Training steps over batches on the device, as a run with `trainer.precision=bf16-mixed` does them."""

    def __init__(self, shape: str, tokens: int, device: str):
        self.device, tokenizer = device, Tokenizer.load(None)
        self.task = build_task(load_task(PROTEINS), tokenizer)
        words = ["task=protein_denoising", f"model={shape}", "model.dropout_rate=0"]
        config = compose("train", parse_arguments("train", words))
        self.model: MammalModel = build_model(config, tokenizer, {self.task.name: self.task}).to(device)
        self.optimizer = adamw(self.model, lr=1e-4)
        self.batches = [batch.to(device) for batch in protein_batches(self.task, tokens)]
        self.done = 0

    def __call__(self) -> None:
        batch = self.batches[self.done % len(self.batches)]
        with torch.autocast(self.device, torch.bfloat16):
            loss = self.task.loss(self.model(batch), batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1

    @property
    def tokens(self) -> float:
        """Mean number of tokens of a batch."""
        return sum(batch.tokens for batch in self.batches) / len(self.batches)

    @property
    def tflop(self) -> float:
        """Mean number of operations of a step."""
        return 3 * sum(forward_tflop(self.model.config, batch) for batch in self.batches) / len(self.batches)


def protein_batches(task: Task, tokens: int, count: int = 3) -> list[Batch]:
    """Returns batches of made-up proteins of 380 to 500 residues, of different shapes as in a run."""
    rows = [{"sequence": text} for text in proteins(max(4, count * tokens // 400), 380, 500)]
    examples, errors = encode_rows(task, rows, target=True)
    assert not errors, errors[0]
    lengths = [example.tokens for example in examples]
    chosen = token_batches(lengths, tokens, max_rows=512, seed=0)[:count]
    return [task.collate([examples[row] for row in rows]) for rows in chosen]


def measure_training(report: Report) -> None:
    """Measures the matrix rate, and tokens per second with their share of the peak."""
    measured = matrix_tflops(report.device, 256 if report.smoke else 8192)
    report.add("bfloat16 product of 8,192", f"{measured:.0f} TFLOP/s")
    peak = peak_tflops(report.device, measured)
    for shape, tokens in (("debug", 512),) if report.smoke else SHAPES:
        what = f"training step, model={shape}, {tokens:,} tokens"
        report.attempt(
            what, lambda s=shape, t=tokens, w=what: _measure_steps(report, w, Steps(s, t, report.device), peak)
        )


def _measure_steps(report: Report, what: str, steps: Steps, peak: float) -> None:
    seconds = seconds_of(steps, report.device, warm=4, budget=4.0)
    share = steps.tflop / seconds / peak
    memory = torch.cuda.max_memory_allocated() / 2**30 if report.device != "cpu" else float("nan")
    value = f"{steps.tokens / seconds:,.0f} tokens/s, {share:.1%} of {peak:.0f} TFLOP/s"
    note = f"{seconds * 1e3:.1f} ms a step, {memory:.1f} GiB"
    report.add(what, value, target=f"≥ {MFU_TARGET:.0%}", met=share >= MFU_TARGET, note=note)
    if report.device != "cpu":
        report.add(f"{what}: where the time goes", _slowest(steps))
        torch.cuda.reset_peak_memory_stats()


def _slowest(steps: Steps) -> str:
    """The kernels that take most of a step, for later work on its speed."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        steps()
        torch.cuda.synchronize()
    found = sorted(seen.key_averages(), key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in found) or 1
    return ", ".join(f"{event.key[:60]} {event.self_device_time_total / total:.0%}" for event in found[:6])


def measure_compiled(report: Report) -> None:
    """Measures steps and the encoder with layers that `torch.compile` has compiled."""
    peak = peak_tflops(report.device, matrix_tflops(report.device, 256 if report.smoke else 8192))
    shape, tokens = ("debug", 512) if report.smoke else SHAPES[0]
    backend = {"backend": "aot_eager"} if report.smoke else {}
    for name in ("feed-forward layers", "all layers"):
        steps = Steps(shape, tokens, report.device)
        for stack in (steps.model.t5_model.encoder, steps.model.t5_model.decoder):
            for block in stack.blocks:
                for layer in [block.feed_forward] if name == "feed-forward layers" else block.layer:
                    layer.compile(dynamic=True, **backend)
        what = f"training step, model={shape}, {tokens:,} tokens, {name} compiled"
        report.attempt(what, lambda w=what, s=steps: _measure_steps(report, w, s, peak))


def measure_pretraining(report: Report) -> None:
    """Measures runs of `experiment=pretrain` from packs: steps per second, and the share of time that batches take."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MAMMAL_CONFIGS"] = str(_write_tasks(Path(folder), 200 if report.smoke else 16_000))
        from mammal.cli import main

        assert main(["pack", "mixture=bench", f"output={folder}/packs", f"workers={0 if report.smoke else 6}"]) == 0, (
            "the packs were not made"
        )
        runs = [("pretrain", 2_048, 0), ("pretrain", 32_768, 0), ("pretrain", 32_768, 6), ("pretrain_gpu", 65_536, 6)]
        for number, (name, tokens, workers) in enumerate(runs[:1] if report.smoke else runs):
            what = f"experiment={name}, {tokens:,} tokens, {workers} workers"
            size = (f"data.tokens_per_batch={tokens}", "data.max_rows=4096", f"data.num_workers={workers}")
            words = (f"experiment={name}", *size, f"output={folder}/run{number}", f"data.packed={folder}/packs")
            report.attempt(what, lambda w=what, o=words: _measure_run(report, w, o))


def _measure_run(report: Report, what: str, words: tuple[str, ...]) -> None:
    from mammal.training.run import train

    accelerator = "cpu" if report.device == "cpu" else "gpu"
    steps = 8 if report.smoke else 120
    ends = (f"trainer.max_steps={steps}", "trainer.limit_val_batches=2", "trainer.val_check_interval=null")
    config = compose("train", parse_arguments("train", [*words, "mixture=bench", *ends, "test=false",
                     f"trainer.accelerator={accelerator}", "trainer.max_time=00:00:15"]))  # fmt: skip
    clock = _Clock()
    with clock:
        train(config)
    seconds, tokens, waited, count = clock.after(skipped=4 if report.smoke else 20)
    value = f"{count / seconds:.1f} steps/s, {tokens / seconds:,.0f} tokens/s"
    report.add(what, value, note=f"{waited / seconds:.0%} of the time waits for batches")


class _Clock:
    """Notes when each training step begins, its tokens, and how long the loop waited for its batch."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, int, float]] = []
        self._waited = 0.0

    def __enter__(self) -> None:
        iterate, step = TrainLoader.__iter__, TrainingModule.training_step

        def timed_iterate(loader: TrainLoader) -> Iterator[Batch]:
            batches = iterate(loader)
            while True:
                begun = time.perf_counter()
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                self._waited += time.perf_counter() - begun
                yield batch

        def noted_step(module: TrainingModule, batch: Batch, batch_idx: int) -> Any:
            self.steps.append((time.perf_counter(), module.tokens_seen, self._waited))
            return step(module, batch, batch_idx)

        self._patches = [
            patch.object(TrainLoader, "__iter__", timed_iterate),
            patch.object(TrainingModule, "training_step", noted_step),
        ]
        for change in self._patches:
            change.start()

    def __exit__(self, *_: object) -> None:
        for change in self._patches:
            change.stop()

    def after(self, skipped: int) -> tuple[float, int, float, int]:
        """Seconds, tokens, seconds of waiting and number of the steps after the first ones."""
        first, last = self.steps[min(skipped, len(self.steps) - 2)], self.steps[-1]
        return (
            last[0] - first[0],
            last[1] - first[1],
            last[2] - first[2],
            self.steps.index(last) - self.steps.index(first),
        )


def _write_tasks(folder: Path, rows: int) -> Path:
    """Writes made-up tables, three tasks that read them, and their mixture; returns the folder of configurations."""
    (folder / "molecules.csv").write_text("\n".join(["smiles", *molecules(rows)]) + "\n", encoding="utf-8")
    (folder / "proteins.csv").write_text(
        "\n".join(["sequence", *proteins(rows // 8, 50, 300)]) + "\n", encoding="utf-8"
    )
    configs = folder / "configs"
    for group in ("task", "mixture"):
        (configs / group).mkdir(parents=True)
    from_smiles = '"<SENTINEL_ID_0> {smiles:smiles@128}"'
    tasks = {
        "bench_smiles": ("_denoising", "molecules", '{input: "{smiles:smiles@128}"}'),
        "bench_copy": ("_generation", "molecules", f"{{input: {from_smiles}, target: {from_smiles}}}"),
        "bench_proteins": ("_denoising", "proteins", '{input: "{sequence:protein@320}"}'),
    }
    for name, (kind, table, prompt) in tasks.items():
        source = f"{{source: file, path: {folder / table}.csv, split: random, fractions: [0.96, 0.04, 0.0]}}"
        text = f"defaults: [schema, {kind}, _self_]\nname: {name}\nprompt: {prompt}\ndata: {source}\n"
        (configs / "task" / f"{name}.yaml").write_text(text + 'standardise: "off"\n', encoding="utf-8")
    mixture = "\n".join(["name: bench", "tasks:", *(f"  {name}: {{rate: 1.0}}" for name in tasks)])
    (configs / "mixture" / "bench.yaml").write_text(mixture + "\n", encoding="utf-8")
    return configs
