"""Models and bundles with random weights that are small enough to be created for each test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classification (`bbbp`), a regression (`melting_point`) and a generation task (`molecules`)."""
    import torch

    from mammal.bundle.folder import save_bundle
    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel
    from mammal.tasks import build_task, load_task
    from mammal.tokenization import Tokenizer

    torch.manual_seed(0)
    tokenizer = Tokenizer.load(None)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_rows,
        d_model=32,
        d_ff=64,
        d_kv=8,
        num_heads=4,
        num_layers=2,
        num_decoder_layers=1,
        encoder_head_layers=(),
        scalars_prediction_head={"layers": []},
        support_input_scalars=True,
    )
    tasks = [build_task(load_task(name), tokenizer) for name in ("bbbp", "melting_point", "molecules")]
    tasks[1].fit([{"smiles": "CCO", "tm": "150"}, {"smiles": "CCC", "tm": "250"}])
    figures = {"bbbp": {"test": {"split": "scaffold", "MAMMAL": {"auroc": [0.71, 0.6, 0.8]}}}, "seed": 1}
    return save_bundle(tmp_path_factory.mktemp("bundles") / "tiny", MammalModel(config), tokenizer, tasks, figures)


@pytest.fixture(scope="session")
def dna_bundle(small_bundle: Callable[..., Path]) -> Path:
    """A folder with random weights and the task `dna_denoising`."""
    return small_bundle("dna_denoising")


@pytest.fixture(scope="session")
def lively_model() -> Callable[..., MammalModel]:
    """Makes models of 40 tokens with random weights whose generations vary and end (5) now and then."""
    import torch

    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel

    sizes = {"d_model": 24, "d_ff": 32, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 3}

    def make(seed: int = 0, **changes: object) -> MammalModel:
        torch.manual_seed(seed)
        model = MammalModel(ModelConfig(vocab_size=40, **{**sizes, **changes})).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0.0, 0.4)
            for stack in (model.t5_model.encoder, model.t5_model.decoder):
                stack.final_layer_norm.weight.fill_(1.5)
        return model

    return make


@pytest.fixture(scope="session")
def prompts() -> Callable[..., Batch]:
    """Makes batches of prompts of these lengths, for such models."""
    import torch

    from mammal.tasks.batches.batch import Batch

    def make(lengths: tuple[int, ...] = (7, 3, 5, 1), *, seed: int = 3, **changes: object) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(0, 40, (len(lengths), max(lengths)), generator=generator)
        mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
        return replace(Batch("decoder", (), ids, mask, torch.zeros(len(lengths), 1, dtype=torch.long)), **changes)

    return make


class ServiceProcess:
    """`mammal serve` in a process of its own."""

    def __init__(self, bundle: Path, log: Path, *words: str, env: dict[str, str] | None = None):
        self.log = log
        command = [sys.executable, "-m", "mammal.cli", "serve", f"bundle={bundle}", "port=0", *words]
        with log.open("w") as stream:
            self.process = subprocess.Popen(command, stderr=stream, stdout=stream, env={**os.environ, **(env or {})})
        self.key = (env or {}).get("MAMMAL_API_KEY")
        self.url = self._wait_for(r"listening on (http://\S+?)(?:,|\n)")

    def until_ready(self) -> None:
        self._wait_for(r"(ready)\n")

    def output(self) -> str:
        return self.log.read_text()

    def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        """Status and body of a request."""
        import httpx

        own = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        answer = httpx.post(self.url + path, json=body, headers={**own, **headers}, timeout=60)
        is_json = answer.headers["content-type"] == "application/json"
        return answer.status_code, answer.json() if is_json else answer.text

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def _wait_for(self, pattern: str) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if found := re.search(pattern, self.output()):
                return found[1]
            assert self.process.poll() is None, self.output()
            time.sleep(0.05)
        raise AssertionError(self.output())


@pytest.fixture(scope="module")
def service_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ServiceProcess]]:
    """Starts `mammal serve`. The same arguments give the same process, which ends with the tests of a file."""
    pytest.importorskip("uvicorn")
    started: dict[str, ServiceProcess] = {}

    def start(bundle: Path, *words: str, env: dict[str, str] | None = None) -> ServiceProcess:
        key = repr((bundle, words, env))
        if key not in started or started[key].process.poll() is not None:
            log = tmp_path_factory.mktemp("service") / "log"
            started[key] = ServiceProcess(bundle, log, *words, env=env)
        return started[key]

    yield start
    for service in started.values():
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()


@pytest.fixture
def interrupted() -> Callable[..., None]:
    """Makes the writing of a shard fail after so many were written: `interrupted(patch, 2, OSError(…))`."""
    from mammal.jobs.store import Store

    def interrupt(patch: pytest.MonkeyPatch, after: int, error: BaseException | None = None) -> None:
        write, written = Store.write, []

        def failing(self: Store, shard: int, *rest: Any) -> None:
            if len(written) == after:
                raise error or KeyboardInterrupt
            written.append(shard)
            write(self, shard, *rest)

        patch.setattr(Store, "write", failing)

    return interrupt
