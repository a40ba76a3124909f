"""Runs the published package for the benchmarks; started by `peer.py` with the Python of the second environment.

Reads one JSON request per line from standard input and answers each with one JSON line. It does not import this
project. The published functions are called as in the published inference scripts.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from types import ModuleType
from typing import Any

import torch

clock = time.process_time if os.environ.get("MAMMAL_BENCH_CLOCK") == "cpu" else time.perf_counter
TDC = ("tdc", "tdc.multi_pred", "tdc.multi_pred.dti")


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the published code and its libraries print
    warnings.filterwarnings("ignore")
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("job"))(**request)
        except Exception as error:  # the parent process reports it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Worker:
    """The jobs. Each returns seconds and outputs."""

    def __init__(self) -> None:
        for name in TDC:  # the task module imports a data loader that only training uses
            sys.modules[name] = ModuleType(name)
        sys.modules[TDC[-1]].DTI = None
        self.model: Any = None
        self.tokenizer: Any = None

    def versions(self) -> dict[str, Any]:
        from importlib.metadata import version

        names = ("biomed-multi-alignment", "fuse-med-ml", "torch", "transformers", "tokenizers")
        return {"threads": torch.get_num_threads(), "versions": {name: version(name) for name in names}}

    def load(self, folder: str) -> dict[str, Any]:
        """A folder with `config.json`, `model.safetensors` and `tokenizer/`; loaded as in the inference scripts."""
        from fuse.data.tokenizers.modular_tokenizer.op import ModularTokenizerOp

        from mammal.model import Mammal

        self.model = None
        start = clock()
        self.model = Mammal.from_pretrained(folder)
        self.model.eval()
        seconds = clock() - start
        self.tokenizer = ModularTokenizerOp.from_pretrained(f"{folder}/tokenizer")
        return {"seconds": seconds}

    def affinity(self, pairs: list[list[str]], padded: bool, mean: float, std: float) -> dict[str, Any]:
        """Predicts one protein–drug pair at a time: padded to 1,512 as published, or without padding and autograd."""
        from mammal.examples.dti_bindingdb_kd.task import DtiBindingdbKdTask

        length = {} if padded else {"encoder_input_max_seq_len": None}
        seconds, values = [], []
        for target, drug in pairs:
            start = clock()
            with torch.inference_mode(not padded):
                sample = DtiBindingdbKdTask.data_preprocessing(
                    sample_dict={"target_seq": target, "drug_seq": drug},
                    tokenizer_op=self.tokenizer,
                    target_sequence_key="target_seq",
                    drug_sequence_key="drug_seq",
                    norm_y_mean=None,
                    norm_y_std=None,
                    device=self.model.device,
                    **length,
                )
                batch = self.model.forward_encoder_only([sample])
            batch = DtiBindingdbKdTask.process_model_output(batch, norm_y_mean=mean, norm_y_std=std)
            values.append(float(batch["model.out.dti_bindingdb_kd"][0]))
            seconds.append(clock() - start)
        return {"seconds": seconds, "values": values}

    def classify(self, molecules: list[str], task: str) -> dict[str, Any]:
        """Runs the loop of the molecule-property script; raw probabilities of `<0>` and `<1>` at the class position."""
        from mammal.examples.molnet.molnet_infer import create_sample_dict, get_predictions
        from mammal.keys import SCORES

        classes = [self.tokenizer.get_token_id(token) for token in ("<0>", "<1>")]
        seconds, values = [], []
        for smiles in molecules:
            start = clock()
            sample = create_sample_dict(task, smiles, self.tokenizer, self.model)
            batch = get_predictions(self.model, sample)
            values.append(batch[SCORES][0][1][classes].tolist())
            seconds.append(clock() - start)
        return {"seconds": seconds, "values": values}

    def generate(self, ids: list[list[int]], new_tokens: int) -> dict[str, Any]:
        """Decodes a batch greedily, padded to its longest prompt. Returns ids without the start token."""
        from mammal.keys import CLS_PRED, ENCODER_INPUTS_ATTENTION_MASK, ENCODER_INPUTS_TOKENS

        longest = max(map(len, ids))
        pad = self.model.config.t5_config.pad_token_id
        batch = {
            ENCODER_INPUTS_TOKENS: torch.tensor([row + [pad] * (longest - len(row)) for row in ids]),
            ENCODER_INPUTS_ATTENTION_MASK: torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids]),
        }
        start = clock()
        batch = self.model.generate(batch, max_new_tokens=new_tokens)
        return {"seconds": clock() - start, "ids": batch[CLS_PRED].tolist()}


if __name__ == "__main__":
    main()
