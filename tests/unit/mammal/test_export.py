"""Export: folders of transformers and ONNX graphs whose outputs are those of the model; what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mammal
from mammal.cli import main
from mammal.errors import BundleError, ConfigError
from mammal.exporting import check_rows
from mammal.exporting.check_rows import CheckRows, Differences
from mammal.exporting.parts import PARTS, check_parts
from mammal.model.config import ModelConfig
from mammal.model.heads import MLPHead
from mammal.model.model import MammalModel
from mammal.model.padded import PaddedEncoder
from mammal.tasks import build_task, load_task
from mammal.tasks.targets.calibration import ClassCalibration
from mammal.tokenization import Tokenizer

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C" + "C" * 150]
SIZES = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 3}
HEADS = {"encoder_head_layers": (16,), "scalars_prediction_head": {"layers": [8]}, "support_input_scalars": True}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


@pytest.fixture(scope="module")
def network(tokenizer: Tokenizer) -> Callable[..., MammalModel]:
    """Makes networks whose outputs depend on every part: random weights, position biases of different size."""

    def make(**changes: Any) -> MammalModel:
        torch.manual_seed(0)
        model = MammalModel(ModelConfig(**{"vocab_size": tokenizer.vocab_rows, **SIZES, **changes})).eval()
        for stack in (model.t5_model.encoder, model.t5_model.decoder):
            torch.nn.init.normal_(stack.position_table)
        return model

    return make


def classes(name: str, tokenizer: Tokenizer, **changes: Any) -> Any:
    prompt = {"input": "<MASK> {smiles:smiles}", "target": "{y:label}"}
    declared = {"name": name, "kind": "classification", "mode": "encoder", "prompt": prompt, "labels": ["no", "yes"]}
    return build_task(load_task({**declared, **changes}), tokenizer)


@pytest.fixture(scope="module")
def tasks(tokenizer: Tokenizer) -> list[Any]:
    """Two calibrated classifications, one over the whole vocabulary, three regressions, and one for the decoder.

    A regression has a head of its own.
    """
    two = classes("permeable", tokenizer)
    two.calibrations = {"y": ClassCalibration(1.7, -0.3, 0.4)}
    three = classes("odour", tokenizer, labels=["a", "b", "c"])
    three.calibrations = {"y": ClassCalibration(0.6, class_weights=(1.0, 2.0, 0.5))}
    raw = classes("raw", tokenizer, probability="vocabulary")
    melting = build_task(load_task("melting_point"), tokenizer)
    melting.fit([{"smiles": "CCO", "tm": "150"}, {"smiles": "CCC", "tm": "250"}])
    prompt = {"input": "<MASK><MASK> {dose:scalar} {smiles:smiles}", "target": "{a:scalar}{b:scalar}"}
    declared = {"name": "doses", "kind": "regression", "mode": "encoder", "prompt": prompt, "scale": {"log": True}}
    doses = build_task(load_task(declared), tokenizer)
    doses.fit([{"smiles": "C", "dose": "1", "a": "1", "b": "20"}, {"smiles": "CC", "dose": "1", "a": "9", "b": "70"}])
    prompt = {"input": "<MASK> {smiles:smiles}", "target": "{tb:scalar}"}
    boiling = build_task(load_task({**declared, "name": "boiling", "prompt": prompt, "own_head": True}), tokenizer)
    boiling.fit([{"smiles": "CCO", "tb": "351"}, {"smiles": "CCC", "tb": "231"}])
    return [two, three, raw, melting, doses, boiling, build_task(load_task("bbbp"), tokenizer)]


@pytest.fixture(scope="module")
def model(network: Callable[..., MammalModel], tokenizer: Tokenizer, tasks: list[Any]) -> mammal.Mammal:
    return mammal.Mammal(network(**HEADS, vector_heads={"numbers_boiling": 1}), tokenizer, tasks)


def described(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "export.json").read_text(encoding="utf-8"))


# transformers


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True, "feed_forward_proj": "relu"},
        {"tie_word_embeddings": True, "scale_decoder_outputs": False},
        {"scale_decoder_outputs": True, "feed_forward_proj": "gated-silu"},
    ],
    ids=["untied", "tied", "tied, not scaled", "untied, scaled"],
)
def test_transformers_loads_a_model_with_equal_logits(network, tokenizer, tmp_path, changes):
    from transformers import T5EncoderModel, T5ForConditionalGeneration

    ours = network(**changes)
    done = mammal.Mammal(ours, tokenizer).export(tmp_path / "t5", "transformers")
    whole, encoder = (kind.from_pretrained(done.folder) for kind in (T5ForConditionalGeneration, T5EncoderModel))
    rows = CheckRows.make(tokenizer)
    batch, mask_BL = rows.batch(decoder=True), rows.mask_BL.long()
    with torch.inference_mode():
        expected = ours(batch)
        logits = whole(input_ids=rows.ids_BL, attention_mask=mask_BL, decoder_input_ids=rows.decoder_ids_BT).logits
        states = encoder(input_ids=rows.ids_BL, attention_mask=mask_BL).last_hidden_state
    torch.testing.assert_close(logits, expected.logits_DRV, rtol=0, atol=1e-4)
    torch.testing.assert_close(states[rows.mask_BL], expected.hidden_BLW[rows.mask_BL], rtol=0, atol=1e-4)
    assert set(done.differences) == {"logits", "encoder_last_hidden_state"}
    assert sorted(path.relative_to(done.folder).as_posix() for path in done.folder.rglob("*.*")) == done.files


def test_transformers_generates_what_the_model_generates(small_bundle, tmp_path):
    from transformers import T5ForConditionalGeneration

    model = mammal.load(small_bundle("molecules", support_input_scalars=False), device="cpu")
    done = model.export(tmp_path / "t5", "transformers")
    prompt = "<@TOKENIZER-TYPE=SMILES><SENTINEL_ID_0><EOS>"
    ours = model.generate([prompt], num_beams=1, max_new_tokens=12)
    ids_L = Tokenizer.load(done.folder / "tokenizer").encode(prompt).ids_L
    twin = T5ForConditionalGeneration.from_pretrained(done.folder)
    said = twin.generate(input_ids=torch.tensor(ids_L[None], dtype=torch.int64), max_new_tokens=12, do_sample=False)
    assert ours["text"].item() == model.tokenizer.decode(said[0, 1:]) != ""


def test_transformers_gets_no_tokenizer_that_makes_wrong_ids(network, tokenizer, tmp_path):
    from transformers import AutoTokenizer

    folder = mammal.Mammal(network(), tokenizer).export(tmp_path / "t5", "transformers").folder
    with pytest.raises(ValueError):
        AutoTokenizer.from_pretrained(folder)
    assert "alphabet" in described(folder)["tokenizer_json"]["why"]
    assert Tokenizer.load(folder / "tokenizer").hash == tokenizer.hash == described(folder)["tokenizer"]["hash"]


def test_adapters_are_merged(network, tokenizer, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import T5EncoderModel

    ours = network()
    plain = CheckRows.make(tokenizer).alone()[1]
    with torch.inference_mode():
        before = ours(plain.batch()).hidden_BLW
    ours.t5_model = get_peft_model(ours.t5_model, LoraConfig(r=4, target_modules=["q", "v"], init_lora_weights=False))
    ours.eval()
    done = mammal.Mammal(ours, tokenizer).export(tmp_path / "t5", "transformers")
    with torch.inference_mode():
        wrapped = ours(plain.batch()).hidden_BLW
        theirs = T5EncoderModel.from_pretrained(done.folder)(input_ids=plain.ids_BL).last_hidden_state
    torch.testing.assert_close(theirs, wrapped, rtol=0, atol=1e-4)
    assert (before - wrapped).abs().max() > 1e-2 and hasattr(ours.t5_model, "peft_config")
    assert described(done.folder)["merged_adapters"] is True


@pytest.mark.parametrize("format", ["transformers", "onnx"])
def test_a_head_that_no_format_knows_is_never_dropped_silently(network, format):
    ours = network()
    ours.length_head = MLPHead(ours.config.d_model, (), 1, 0.0)
    known = check_parts(network(), format, list(PARTS))
    with pytest.raises(ConfigError, match="can't hold length_head"):
        check_parts(ours, format, list(PARTS))
    assert check_parts(ours, format, [*PARTS, "length_head"]) == [*known, "length_head"]


def test_parts_that_t5_lacks_must_be_left_out_by_name(model, tmp_path):
    with pytest.raises(ConfigError) as error:
        model.export(tmp_path / "t5", "transformers", leave_out=["encoder_head"])
    assert "scalars_prediction_head" in error.value.what and "numbers in prompts" in error.value.what
    assert "leave_out=[encoder_head,scalars_prediction_head,input_scalars]" in error.value.hint
    assert not list(tmp_path.iterdir())
    done = model.export(
        tmp_path / "t5", "transformers", leave_out=["encoder_head", "scalars_prediction_head", "input_scalars"]
    )
    about = described(done.folder)
    assert list(done.left_out) == about["left_out"] == ["encoder_head", "scalars_prediction_head", "input_scalars"]
    assert about["tasks"]["bbbp"]["answered_by_t5"] and not about["tasks"]["melting_point"]["answered_by_t5"]
    assert "numbers" in about["tasks"]["doses"]["lacks"][1]


def test_attention_that_is_not_t5_is_refused(network, tokenizer, tmp_path):
    odd = mammal.Mammal(network(cross_attention_num_buckets=16), tokenizer)
    with pytest.raises(ConfigError, match="position biases in attention to the encoder"):
        odd.export(tmp_path / "t5", "transformers")


# The encoder on padded rows


@pytest.mark.parametrize("kind", ["gated-gelu", "relu"])
def test_the_padded_encoder_computes_what_the_model_computes(network, tokenizer, kind):
    ours = network(feed_forward_proj=kind, support_input_scalars=True, relative_attention_max_distance=40)
    padded = PaddedEncoder(ours, values=True)
    with torch.inference_mode():
        for rows in CheckRows.make(tokenizer, values=True).batches():
            expected = ours(rows.batch()).hidden_BLW
            found = padded(rows.ids_BL, rows.mask_BL.long(), rows.values_BL, rows.has_value_BL)
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
            without = padded(rows.ids_BL, rows.mask_BL.long())
            assert (without - expected).abs().max() > 1e-2 or not rows.has_value_BL.any()


def test_check_rows_have_padding_long_rows_masks_and_numbers(tokenizer):
    rows = CheckRows.make(tokenizer, values=True, masks=2)
    assert not rows.mask_BL.all() and rows.mask_BL.sum(1).max() > 128
    assert ((rows.ids_BL == tokenizer.mask_id).sum(1) == 2).all()
    assert rows.has_value_BL.any() and not (rows.has_value_BL & ~rows.mask_BL).any()
    assert torch.equal(rows.ids_BL, CheckRows.make(tokenizer, masks=2).ids_BL)


# ONNX


@pytest.fixture(scope="module")
def onnx_folder(model: mammal.Mammal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name)
    yield model.export(tmp_path_factory.mktemp("exports") / "onnx", "onnx").folder


def session(folder: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])


def fed(task: Any, rows: list[dict[str, str]]) -> dict[str, np.ndarray]:
    """The inputs of a graph for rows of a task, as a program would make them with `mammal.tokenization` alone."""
    encodings = task.tokenizer.encode_batch([task.render(row) for row in rows])
    shape = (len(rows), max(map(len, encodings)))
    found = {
        "input_ids": np.full(shape, task.tokenizer.pad_id, np.int64),
        "attention_mask": np.zeros(shape, np.int64),
        "values": np.zeros(shape, np.float32),
        "has_value": np.zeros(shape, bool),
    }
    for row, encoding in enumerate(encodings):
        arrays = (encoding.ids_L, encoding.mask_L, encoding.values_L, encoding.has_value_L)
        for name, array in zip(found, arrays, strict=True):
            found[name][row, : len(encoding)] = array
    return found


@pytest.mark.slow
def test_onnxruntime_answers_like_predict(model, tasks, onnx_folder):
    graph, about = session(onnx_folder), described(onnx_folder)
    answered = {}
    for task in tasks[:5]:
        rows = [{"smiles": smiles, "dose": str(0.5 + i)} for i, smiles in enumerate(MOLECULES)]
        facts = about["tasks"][task.name]
        (said,) = graph.run([facts["output"]], fed(task, rows))
        alone = [graph.run([facts["output"]], fed(task, [row]))[0] for row in rows]
        np.testing.assert_allclose(np.concatenate(alone), said, rtol=1e-5)
        ours = model.predict(rows, task.name, every_label=True) if "labels" in facts else model.predict(rows, task.name)
        answered[task.name] = (said, ours, facts)
    said, ours, facts = answered["permeable"]
    np.testing.assert_allclose(said[:, 0, 1], ours["probability"], rtol=1e-5)
    above = np.where(said[:, 0, 1] >= facts["threshold"]["y"], facts["positive"], "no")
    assert above.tolist() == ours["prediction"].tolist() and facts["positive"] == "yes"
    said, ours, facts = answered["odour"]
    for place, label in enumerate(facts["labels"]):
        np.testing.assert_allclose(said[:, 0, place], ours[f"probability_{label}"], rtol=1e-5)
    said, ours, _ = answered["melting_point"]
    np.testing.assert_allclose(said[:, 0], ours["prediction"], rtol=1e-5)
    said, ours, _ = answered["doses"]
    np.testing.assert_allclose(said[:, 0], ours["a_prediction"], rtol=1e-4)
    np.testing.assert_allclose(said[:, 1], ours["b_prediction"], rtol=1e-4)
    said, ours, _ = answered["raw"]
    np.testing.assert_allclose(said[:, 0, 1], ours["probability"], rtol=1e-5)


@pytest.mark.slow
def test_the_description_of_a_graph_is_that_of_its_file(onnx_folder):
    import onnx

    about, graph = described(onnx_folder), session(onnx_folder)
    onnx.checker.check_model(str(onnx_folder / "model.onnx"), full_check=True)
    shapes = {"int64": "int64", "float32": "float", "bool": "bool", "float64": "double"}
    for listed, there in ((about["inputs"], graph.get_inputs()), (about["outputs"], graph.get_outputs())):
        assert [(one["name"], f"tensor({shapes[one['dtype']]})", one["shape"]) for one in listed] == [
            (one.name, one.type, one.shape) for one in there
        ]
    opsets = {one.domain: one.version for one in onnx.load(onnx_folder / "model.onnx").opset_import}
    assert opsets[""] == about["opset"]
    assert about["tasks"]["melting_point"]["unit"] == "K"
    assert about["tasks"]["melting_point"]["scaling"]["tm"]["mean"] == 200
    assert about["tasks"]["doses"]["scaling"]["a"]["log"] is True
    assert "decoder" in about["not_exported"]["bbbp"]
    assert sorted(about["files"]) == sorted(
        path.relative_to(onnx_folder).as_posix() for path in onnx_folder.rglob("*.*")
    )
    assert b"/mammal/model/" not in (onnx_folder / "model.onnx").read_bytes()  # no paths of this machine


@pytest.mark.slow
def test_rows_without_their_masks_have_no_answer(tasks, onnx_folder):
    graph = session(onnx_folder)
    given = fed(tasks[0], [{"smiles": "CCO"}, {"smiles": "CCC"}])
    given["input_ids"][0, given["input_ids"][0] == tasks[0].tokenizer.mask_id] = tasks[0].tokenizer.unk_id
    (said,) = graph.run(["permeable_probabilities"], given)
    assert np.isnan(said[0]).all() and np.isfinite(said[1]).all()


@pytest.mark.slow
def test_numbers_can_be_left_out_of_a_graph(model, tasks, onnx_folder, tmp_path):
    fewer = mammal.Mammal(model.model, model.tokenizer, tasks[3:5])
    done = fewer.export(tmp_path / "onnx", "onnx", leave_out=["input_scalars"])
    assert [one["name"] for one in described(done.folder)["inputs"]] == ["input_ids", "attention_mask"]
    assert "numbers" in done.not_exported["doses"] and "melting_point" in done.tasks


def test_tasks_that_read_the_decoder_are_refused_by_name(model, tmp_path):
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name)
    with pytest.raises(ConfigError, match="'bbbp' can't be exported: it is a classification task in decoder mode"):
        model.export(tmp_path / "onnx", "onnx", task="bbbp")
    with pytest.raises(ConfigError, match="leave_out has encoder_head"):
        model.export(tmp_path / "onnx", "onnx", task="permeable", leave_out=["encoder_head"])
    assert not list(tmp_path.iterdir())


def test_the_head_is_not_exported_in_place_of_a_probe(network, tokenizer):
    from mammal.exporting.onnx_graph import why_not
    from mammal.tasks.probes.task_probes import TaskProbes

    task = classes("probed", tokenizer)
    assert why_not(task, network(**HEADS), ()) is None
    task.probes = TaskProbes(task)
    assert "a probe answers it" in why_not(task, network(**HEADS), ())


def test_missing_packages_are_named(model, tmp_path, monkeypatch):
    monkeypatch.setattr("mammal.exporting.onnx_file.find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(ConfigError, match="onnxscript must be installed") as error:
        model.export(tmp_path / "onnx", "onnx")
    assert error.value.hint == "pip install 'mammal[onnx]'"


# Differences, output folders, the command


def _other_weight(twin: Any) -> None:
    twin.encoder.block[0].layer[0].SelfAttention.q.weight.data *= 1.01


def _other_distant_bias(twin: Any) -> None:
    twin.decoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data[-1] += 0.01


def _other_head(twin: Any) -> None:
    twin.config.scale_decoder_outputs = True


@pytest.mark.parametrize("change", [_other_weight, _other_distant_bias, _other_head])
def test_an_export_that_computes_something_else_is_not_written(network, tokenizer, tmp_path, monkeypatch, change):
    from mammal.model.hf import to_transformers

    def wrong(given: MammalModel) -> Any:
        twin = to_transformers(given)
        change(twin)
        return twin

    monkeypatch.setattr("mammal.exporting.transformers_folder.to_transformers", wrong)
    with pytest.raises(BundleError, match="differs by"):
        mammal.Mammal(network(), tokenizer).export(tmp_path / "t5", "transformers")
    assert not list(tmp_path.iterdir())


def test_differences_count_missing_values_and_shapes():
    found = Differences()
    found.add("x", np.array([1.0, np.nan, 3.0]), np.array([1.0, np.nan, 3.0 + 1e-6]))
    found.check()
    found.add("x", np.array([1.0]), np.array([np.nan]))
    with pytest.raises(BundleError, match="differs by inf"):
        found.check()
    with pytest.raises(BundleError, match="shape"):
        found.add("y", np.zeros(2), np.zeros(3))
    assert check_rows.TOLERANCE < 1e-3


def test_nothing_is_replaced_that_no_export_wrote(network, tokenizer, tmp_path):
    model, folder = mammal.Mammal(network(), tokenizer), tmp_path / "t5"
    model.export(folder, "transformers")
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="not empty") as error:
        model.export(folder, "transformers")
    assert "overwrite=true" in error.value.hint
    other = mammal.Mammal(network(d_ff=32), tokenizer)
    other.export(folder, "transformers", overwrite=True)
    after = (folder / "model.safetensors").read_bytes()
    assert before != after
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="not written by an export") as error:
        model.export(folder, "transformers", overwrite=True)
    assert "notes.txt" in error.value.where
    assert (folder / "model.safetensors").read_bytes() == after
    with pytest.raises(ConfigError, match="is a file"):
        model.export(folder / "notes.txt", "transformers", overwrite=True)


def test_the_bundle_is_never_the_output(small_bundle, capsys):
    bundle = small_bundle("bbbp")
    for output in (bundle, bundle.parent, bundle / ".." / bundle.name):
        words = [f"bundle={bundle}", f"output={output}", "format=transformers", "overwrite=true"]
        assert main(["export", *words]) == 2
        assert "would replace" in capsys.readouterr().err
    assert (bundle / "task.yaml").is_file()


def test_the_command_exports_and_tells_the_differences(small_bundle, tmp_path, capsys):
    bundle, output = small_bundle("bbbp", encoder_head_layers=()), tmp_path / "t5"
    words = [f"bundle={bundle}", f"output={output}", "format=transformers", "leave_out=[encoder_head]"]
    assert main(["export", *words]) == 0
    reported = capsys.readouterr()
    assert "logits: largest difference from the model" in reported.out and "left out: encoder_head" in reported.err
    assert (output / "model.safetensors").is_file() and described(output)["tasks"]["bbbp"]["answered_by_t5"]
    assert main(["export", *words]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert main(["export", *words, "overwrite=true"]) == 0


@pytest.mark.parametrize(
    ("word", "what", "hint"),
    [
        ("format=onx", "no export format 'onx'", "did you mean onnx?"),
        ("leave_out=encoder_haed", "no part 'encoder_haed'", "did you mean encoder_head"),
        ("overwrite=maybe", "overwrite must be true or false", ""),
        ("task=bbpb", "unknown task 'bbpb'", "bbbp"),
    ],
)
def test_slips_get_the_nearest_name(small_bundle, tmp_path, capsys, word, what, hint):
    words = [f"bundle={small_bundle('bbbp')}", f"output={tmp_path / 't5'}", word]
    words += [] if word.startswith("format") else ["format=transformers"]
    assert main(["export", *words]) == 2
    reported = capsys.readouterr().err
    assert what in reported and hint in reported and not list(tmp_path.iterdir())


def test_weights_in_another_number_format_are_exported_in_float32(network, tokenizer, tmp_path):
    from transformers import T5ForConditionalGeneration

    half = mammal.Mammal(network().to(torch.bfloat16).train(), tokenizer)
    done = half.export(tmp_path / "t5", "transformers")
    twin = T5ForConditionalGeneration.from_pretrained(done.folder)
    assert twin.dtype == torch.float32 and half.model.dtype == torch.bfloat16 and half.model.training
    assert torch.equal(twin.shared.weight, half.model.t5_model.shared.weight.float())
    assert replace(half.model.config) == network().config


@pytest.mark.slow
def test_the_page_is_true(tiny_bundle, tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name)
    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
    onnx_block, t5_block = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "bundle").symlink_to(tiny_bundle)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(onnx_block, names)
    (said,) = names["graph"].run(["melting_point_values"], names["given"])
    ours = names["model"].predict(["CC(=O)Oc1ccccc1C(=O)O"], "melting_point")["prediction"]
    np.testing.assert_allclose(said[0], ours, rtol=1e-5)
    exec(t5_block, names)
    assert names["t5"].config.d_model == 32
