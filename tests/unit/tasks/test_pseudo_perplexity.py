"""Pseudo-perplexity: the formula, and the antibody model's folder, with small stand-ins made here."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.metrics.answers import Answers, object_array
from mammal.tasks.metrics.pseudo_perplexity import VARIABLE, antiberty_folder, masked_model, pseudo_perplexity
from mammal.tasks.metrics.sequence_metrics import antibody_pseudo_perplexity
from mammal.tokenization import Tokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"ACDEFGHIKLMNPQRSTVWY"]


class Neighbour:
    """Says that a masked residue is what stands before it, with probability 0.9."""

    longest, mask_id = 40, 0

    def tokens(self, sequence: str) -> torch.Tensor:
        return torch.tensor([1, *(2 + ord(residue) - 65 for residue in sequence)])

    def logits(self, ids_BT: torch.Tensor) -> torch.Tensor:
        probabilities = torch.full((*ids_BT.shape, 28), 0.1 / 27)
        before_BT = torch.roll(ids_BT, 1, dims=1)
        return probabilities.scatter(2, before_BT.unsqueeze(2), 0.9).log()


def test_it_is_the_mean_over_residues_each_masked_alone():
    assert pseudo_perplexity("AAAC", Neighbour()) == pytest.approx((27 / 0.1) ** 0.5 * (1 / 0.9) ** 0.5)


@pytest.mark.parametrize(("sequence", "what"), [("", "empty"), ("ACX", "'X'"), ("A" * 41, "41 residues")])
def test_what_a_model_can_not_read_is_reported(sequence: str, what: str):
    with pytest.raises(DataError, match=what):
        pseudo_perplexity(sequence, Neighbour())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of AntiBERTy's kind, tiny and untrained, with a head that we don't read."""
    from transformers import BertConfig, BertForMaskedLM

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=len(TOKENS), max_position_embeddings=512, **sizes))
    torch.save({**model.state_dict(), "cls.species.weight": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    settings = {"vocab_size": len(TOKENS), "max_position_embeddings": 512, "architectures": ["AntiBERTy"], **sizes}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    masked_model.cache_clear()
    yield tmp_path
    masked_model.cache_clear()


def test_the_metric_reads_answers_and_passes_over_what_is_no_protein(folder: Path):
    said = Answers(object_array(["ACD"] * 3), object_array(["ACDEFGHIK", "XX", ""]))
    found_N = antibody_pseudo_perplexity(said)
    assert 1 < found_N[0] < 200 and np.isnan(found_N[1:]).all()


def test_what_fills_in_a_sequence_is_judged_within_it(folder: Path):
    task = build_task(load_task("antibody_cdr_h3"), Tokenizer.load(None))
    said = [Prediction(0, text="ARDY", completed={"heavy": "EVQARDYWGQ"}), Prediction(1, text="ARDY")]
    (answers,) = task.answers(said, [{"heavy": "EVQ____WGQ", "cdr_h3": "ARDY"}] * 2).values()
    whole = Answers(object_array(["A"]), object_array(["EVQARDYWGQ"]))
    found_N = antibody_pseudo_perplexity(answers)
    assert found_N[0] == antibody_pseudo_perplexity(whole)[0] and np.isnan(found_N[1])
    assert antibody_pseudo_perplexity(answers.take(np.array([1, 0])))[1] == found_N[0]


def test_weights_of_another_model_are_refused(folder: Path):
    torch.save({"cls.species.weight": torch.zeros(2)}, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match="weights lack"):
        masked_model("antibody")


def test_a_model_that_is_not_here_leaves_the_figure_undefined(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    masked_model.cache_clear()
    with pytest.raises(DataError, match="not here"):
        antiberty_folder()
    found_N = antibody_pseudo_perplexity(Answers(object_array(["A"]), object_array(["A"])))
    assert math.isnan(found_N[0]) and "antiberty" in caplog.text.lower()


def test_a_version_without_weights_is_named_with_one_that_has_them(monkeypatch: pytest.MonkeyPatch):
    """The wheel of antiberty 1.0.0 contains no weights; that of 0.1.3 does."""
    from importlib import metadata

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(metadata, "files", lambda name: [])
    monkeypatch.setattr(metadata, "version", lambda name: "1.0.0")
    with pytest.raises(DataError, match=r"antiberty 1\.0\.0 is installed without its weights.*antiberty>=0\.1\.3,<1"):
        antiberty_folder()
