"""Every YAML file of the repository composes, has a description, and builds what it describes."""

import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mammal.bundle.locate import checkpoints_folder
from mammal.configuration.compose import compose, parse_arguments
from mammal.errors import ConfigError
from mammal.files import read_json

ROOT = Path(str(files("mammal.configs")))
GROUPS = sorted(folder.name for folder in ROOT.iterdir() if folder.is_dir() and any(folder.glob("*.yaml")))
OPTIONS = [
    (group, file.stem) for group in GROUPS for file in sorted((ROOT / group).glob("*.yaml")) if file.stem[0] != "_"
]
NEEDS = {
    ("launcher", "joblib"): ("hydra_plugins.hydra_joblib_launcher", "launchers"),
    ("launcher", "submitit"): ("hydra_plugins.hydra_submitit_launcher", "launchers"),
    ("launcher", "slurm"): ("hydra_plugins.hydra_submitit_launcher", "launchers"),
    ("launcher", "ray"): ("hydra_plugins.hydra_ray_launcher", "ray-launcher"),
    ("sweep", "optuna"): ("hydra_plugins.hydra_optuna_sweeper", "search"),
}
"""Options that need a Hydra plugin: its module, and the extra that installs it."""
VERBS = sorted(file.stem for file in ROOT.glob("*.yaml") if file.stem != "job")


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture(autouse=True)
def no_other_configs(monkeypatch):
    monkeypatch.setenv("MAMMAL_CONFIGS", "")


def composed(verb: str, *words: str):
    return compose(verb, parse_arguments(verb, words))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_composes(verb):
    OmegaConf.to_container(composed(verb), resolve=False)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_resolves(group, option):
    module, extra = NEEDS.get((group, option), (None, None))
    if module and not installed(module):
        with pytest.raises(ConfigError, match=re.escape(f"pip install 'mammal[{extra}]'")):
            composed("train", f"{group}={option}")
        return
    config = composed("corpus" if group == "recipe" else "train", f"{group}={option}")
    plain = OmegaConf.to_container(config, resolve=True)
    assert group in ("launcher", "sweep", "debug", "experiment", "logger") or plain[group]


@pytest.mark.parametrize("file", [*sorted(ROOT.rglob("*.yaml"))], ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_file_opens_with_what_it_is(file):
    first = next(line for line in file.read_text(encoding="utf-8").splitlines() if line != "# @package _global_")
    assert first.startswith("# ") and len(first) > 20


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "experiment"])
def test_experiments_open_with_their_command_time_and_score(option):
    _, command, time, score = (ROOT / "experiment" / f"{option}.yaml").read_text(encoding="utf-8").splitlines()[:4]
    assert command == f"# mammal train experiment={option}"
    assert re.match(r"# Time: .{5}", time) and re.match(r"# Score: .{5}", score)


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "mixture"])
def test_mixtures_name_tasks_that_are_declared(option):
    from mammal.training.build import mixture_rates, task_configs

    config = composed("train", f"mixture={option}")
    assert set(task_configs(config)) == set(mixture_rates(config))


def test_eight_tasks_are_of_four_modalities():
    from mammal.tokenization.template import Template
    from mammal.training.build import task_configs

    tasks = task_configs(composed("train", "mixture=eight")).values()
    reads = {
        frozenset(slot.name for slot in Template(task.prompt.input, task.prompt.target).slots if slot.kind == "entity")
        for task in tasks
    }
    assert len(tasks) >= 8
    assert {frozenset(names) for names in ({"smiles"}, {"protein"}, {"protein", "smiles"}, {"dna"})} <= reads


def first_value(key: str, values: str) -> str:
    """The first of a sweep's values; the lower end of a range."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(f"{key}={values}")
    if override.is_discrete_sweep():
        return next(override.sweep_string_iterator())
    return re.sub(r".*?([\w.-]+)[,)].*", r"\1", values)


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "sweep"])
def test_sweeps_vary_keys_that_exist(option):
    if (module := NEEDS.get(("sweep", option))) and not installed(module[0]):
        pytest.skip(f"needs the extra `{module[1]}`")
    arguments = parse_arguments("train", ["task=bbbp", f"sweep={option}"])
    params = compose("train", arguments, keep_hydra=True).hydra.sweeper.params
    firsts = {key: first_value(key, str(values)) for key, values in params.items()}
    words = [f"{key}={value}" for key, value in ({"task": "bbbp"} | firsts).items()]
    assert firsts and composed("train", f"sweep={option}", *words)
    for task in str(params.get("task", "")).split(","):
        assert not task or composed("train", f"task={task}").task.name == task


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "schedule"])
def test_schedules_are_what_their_file_says(option):
    from hydra.utils import instantiate

    schedule = instantiate(composed("train", f"schedule={option}").schedule)
    factors = [schedule(step, step / 200_000) for step in range(0, 200_000, 500)]
    assert max(factors) == pytest.approx(1.0, abs=1e-3) and min(factors) >= 0


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "model"])
def test_models_have_the_size_that_they_are_for(option):
    import torch

    from mammal.model.model import MammalModel
    from mammal.tokenization import Tokenizer
    from mammal.training.build import model_config

    section = composed("train", f"model={option}").model
    with torch.device("meta"):
        model = MammalModel(model_config(section, Tokenizer.load(None)), init=False)
    millions = sum(weight.numel() for weight in model.parameters()) / 1e6
    low, high = {"debug": (0, 1), "mini": (1, 3), "tiny": (5, 15), "small": (40, 70), "base": (200, 220)}[option]
    assert low < millions < high


def test_base_is_the_published_shape():
    import torch

    from mammal.model.model import MammalModel
    from mammal.tokenization import Tokenizer
    from mammal.training.build import model_config

    config = model_config(composed("train", "model=base", "+model.vocab_size=100001").model, Tokenizer.load(None))
    with torch.device("meta"):
        model = MammalModel(config, init=False)
    assert sum(weight.numel() for weight in model.parameters()) == 458_007_202


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "trainer" and option != "fsdp"])
def test_trainer_arguments_are_lightnings(option, tmp_path):
    import inspect

    import lightning.pytorch as lightning

    arguments = composed("train", f"trainer={option}").trainer
    assert set(arguments) <= set(inspect.signature(lightning.Trainer).parameters)


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("trainer.max_time=soon", "trainer.max_time is 'soon'"),
        ("trainer.precision=bf17", "trainer"),
        ("+trainer.max_epoch=3", "no key 'trainer.max_epoch'"),
        ("callbacks.best.monitr=x", "no key 'callbacks.best.monitr'"),
        ("+callbacks.mine={_target_: no.such.Callback}", "callbacks.mine"),
    ],
)
def test_a_trainer_that_cannot_be_built_says_why(word, what, tmp_path):
    from mammal.training.trainer import build_trainer

    with pytest.raises(ConfigError) as error:
        build_trainer(composed("train", f"output={tmp_path}", word), 10)
    assert what in str(error.value)


def test_time_that_features_took_counts_towards_the_limit(tmp_path):
    from mammal.errors import TrainingError
    from mammal.training.module import timers
    from mammal.training.trainer import build_trainer

    config = composed("train", "trainer.max_time=00:01:00", f"output={tmp_path}")
    for computing, left in ((0.0, 60), (0.4, 60), (20.3, 40)):
        (timer,) = timers(build_trainer(config, 10, computing)[0])
        assert timer.time_remaining() == pytest.approx(left, abs=1)
    with pytest.raises(TrainingError, match=r"took 1:15, which is all of trainer.max_time \(they are kept"):
        build_trainer(config, 10, 75.0)
    free = composed("train", "trainer.max_time=null", f"output={tmp_path}")
    assert timers(build_trainer(free, 10, 75.0)[0]) == []


def test_fsdp_builds_a_strategy_and_says_what_it_needs(tmp_path):
    import torch
    from lightning.pytorch.strategies import FSDPStrategy, StrategyRegistry

    from mammal.training.trainer import build_trainer

    config = composed("train", "trainer=fsdp", f"output={tmp_path}")
    assert isinstance(StrategyRegistry.get(config.trainer.strategy), FSDPStrategy)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"trainer: .*(GPU|CUDA|accelerator)"):
            build_trainer(config, 10)
    with pytest.raises(ConfigError, match="can't be averaged"):
        build_trainer(composed("train", "trainer=fsdp", "callbacks=ema", f"output={tmp_path}"), 10)


def test_users_add_configs_of_every_group(tmp_path):
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim" / "mine.yaml").write_text("# mine\ndefaults: [adamw, _self_]\nlr: 0.125\n")
    config = composed("train", "optim=mine", "--config-dir", str(tmp_path))
    assert config.optim.lr == 0.125 and config.optim.weight_decay == 0.01


def test_paths_follow_the_environment(monkeypatch):
    monkeypatch.setenv("MAMMAL_DATA", "/somewhere")
    assert composed("train").paths.data == "/somewhere"


def test_a_list_of_tasks_is_not_merged_into_one_task(capsys):
    from mammal.cli import main

    assert main(["train", "task=[bbbp,esol]"]) == 2
    said = capsys.readouterr().err
    assert "value is a list" in said and "++mixture={tasks: {bbbp: {}, esol: {}}}" in said
    config = composed("train", "++mixture={tasks: {bbbp: {}, esol: {}}}")
    assert list(config.mixture.tasks) == ["bbbp", "esol"] and "task" not in config


def test_the_policy_of_a_task_is_changed_key_by_key(tmp_path, monkeypatch):
    (tmp_path / "task").mkdir()
    text = "defaults: [schema, _classification, _self_]\nname: own\nstandardise: {salts: parent}\n"
    (tmp_path / "task" / "own.yaml").write_text(text)
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path))
    for task, before in (("own", {"salts": "parent"}), ("bbbp", {})):
        for word in ("task.standardise={stereo: remove}", "task.standardise.stereo=remove"):
            assert composed("train", f"task={task}", word).task.standardise == {**before, "stereo": "remove"}
    assert composed("train", "task=own", "task.standardise=canonical").task.standardise == "canonical"


def test_names_of_runs():
    assert composed("train", "task=bbbp").name == "bbbp"
    assert composed("train", "mixture=demo").name == "demo"
    assert composed("train", "task=bbbp", "name=mine").output.startswith("runs/mine/")


def test_demo_from_nothing_has_the_shape_of_the_shipped_weights():
    model = composed("train", "experiment=demo_from_nothing").model
    shipped = read_json(checkpoints_folder() / "mammal-tiny" / "config.json")
    shape = {"d_model", "d_ff", "d_kv", "num_heads", "num_layers", "num_decoder_layers"}
    assert {name: model[name] for name in shape} == {name: shipped["t5_config"][name] for name in shape}
    bias = {"cross_attention_num_buckets", "position_slope_scale"}
    assert {name: model[name] for name in bias} == {name: shipped["mammal"]["model"][name] for name in bias}


def test_demo_runs_compare_the_same_tasks():
    ours, nothing = composed("train", "experiment=demo"), composed("train", "experiment=demo_from_nothing")
    assert ours.mixture == nothing.mixture and ours.seed == nothing.seed
    assert (ours.init, ours.adapt.method, nothing.init) == ("mammal-tiny", "probe", None)
