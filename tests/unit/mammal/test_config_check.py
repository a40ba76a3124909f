"""A key that nothing reads is refused at any place, with its file, its path and the nearest valid key."""

import os
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest

from mammal.configuration import check
from mammal.configuration.compose import compose, parse_arguments
from mammal.configuration.known_keys import ADAPT, SECTIONS, TRAINER_IS_GIVEN, RunConfig, keys_of
from mammal.configuration.plain import plain
from mammal.configuration.targets import HYDRA_KEYS, target_keys
from mammal.errors import ConfigError, TaskError
from mammal.tasks import load_task
from mammal.training.build import task_configs

ROOT = Path(str(files("mammal.configs")))
GLOBAL = "# @package _global_\n"
TASK = """defaults: [schema, _regression, _self_]
name: mine
prompt: {input: "<MOLECULAR_WEIGHT><MASK> {smiles:smiles}", target: "{value:scalar}"}
"""


@pytest.fixture(autouse=True)
def no_other_configs(monkeypatch):
    monkeypatch.setenv("MAMMAL_CONFIGS", "")


def composed(*words: str, verb: str = "train", **how: bool):
    return compose(verb, parse_arguments(verb, words, sweeps=verb == "train"), **how)


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("name", "text", "line", "key", "nearest"),
    [
        ("experiment/mine", f"{GLOBAL}data:\n  train_limit: 5\n", 3, "data.train_limit", "limit"),
        ("experiment/mine", f"{GLOBAL}data: {{valid_limt: 5}}\n", 2, "data.valid_limt", "valid_limit"),
        ("experiment/mine", f"{GLOBAL}defaults: [override /model: mini]\nsede: 5\n", 3, "sede", "seed"),
        ("experiment/mine", f"{GLOBAL}optim:\n  layer_deacy: 0.9\n", 3, "optim.layer_deacy", "layer_decay"),
        ("experiment/mine", f"{GLOBAL}schedule: {{flor: 0.1}}\n", 2, "schedule.flor", "floor"),
        ("experiment/mine", f"{GLOBAL}trainer: {{max_epoch: 2}}\n", 2, "trainer.max_epoch", "max_epochs"),
        ("experiment/mine", f"{GLOBAL}paths: {{cach: x}}\n", 2, "paths.cach", "cache"),
        ("experiment/mine", f"{GLOBAL}adapt: {{rnk: 2}}\n", 2, "adapt.rnk", "rank"),
        ("experiment/mine", f"{GLOBAL}task: {{prompt: {{inptu: x}}}}\n", 2, "task.prompt.inptu", "input"),
        ("experiment/mine", f"{GLOBAL}logger: {{csv: {{verson: x}}}}\n", 2, "logger.csv.verson", "version"),
        ("experiment/mine", f"{GLOBAL}callbacks: {{best: {{monitr: x}}}}\n", 2, "callbacks.best.monitr", "monitor"),
        (
            "experiment/mine",
            f"{GLOBAL}model:\n  scalars_prediction_head: {{layer: [3]}}\n",
            3,
            "model.scalars_prediction_head.layer",
            "layers",
        ),
        ("mixture/mine", "name: mine\ntasks: {bbbp: 1}\ntemprature: 2\n", 3, "mixture.temprature", "temperature"),
        ("mixture/mine", "tasks:\n  bbbp: {rat: 2}\n", 2, "mixture.tasks.bbbp.rat", "rate"),
        (
            "mixture/mine",
            "tasks:\n  bbbp: {rate: 2.0, data: {fod: 1}}\n",
            2,
            "mixture.tasks.bbbp.data.fod",
            "fold",
        ),
        ("sweep/mine", f"{GLOBAL}hydra: {{mode: MULTIRUN}}\nmonitr: x\n", 3, "monitr", "monitor"),
        ("model/mine", "defaults: [tiny, _self_]\nd_modle: 32\n", 2, "model.d_modle", "d_model"),
        (
            "data/mine",
            "defaults: [default, _self_]\ntokens_per_bach: 9\n",
            2,
            "data.tokens_per_bach",
            "tokens_per_batch",
        ),
        ("paths/mine", "data: null\ncachee: x\n", 2, "paths.cachee", "cache"),
        ("adapt/mine", "method: lora\nranks: 2\n", 2, "adapt.ranks", "rank"),
        ("trainer/mine", "max_step: 3\n", 1, "trainer.max_step", "max_steps"),
        (
            "optim/mine",
            "_target_: mammal.training.optim.adamw\nlr: 1e-3\nbeta: [0.1, 0.2]\n",
            3,
            "optim.beta",
            "betas",
        ),
        ("launcher/mine", f"{GLOBAL}output_folder: x\n", 2, "output_folder", "output"),
        ("debug/mine", f"{GLOBAL}data: {{limits: 3}}\n", 2, "data.limits", "limit"),
    ],
)
def test_a_key_that_nothing_reads_is_refused_in_any_file(tmp_path, name, text, line, key, nearest):
    file = written(tmp_path, name, text)
    with pytest.raises(ConfigError) as error:
        composed(f"{name.partition('/')[0]}=mine", "--config-dir", str(tmp_path))
    assert f"no key '{key}'" in error.value.what and nearest in error.value.hint
    assert error.value.where == f"{file}:{line}"


@pytest.mark.parametrize("defaults", ["schema, ", ""])
def test_a_task_file_is_checked_with_its_schema_and_without(tmp_path, defaults):
    text = TASK.replace("schema, ", defaults) + "promt: {}\n"
    file = written(tmp_path, "task/mine", text.replace("_regression, ", "") if not defaults else text)
    with pytest.raises(ConfigError) as error:
        composed("task=mine", "--config-dir", str(tmp_path))
    assert "promt'" in error.value.what and "prompt" in error.value.hint and str(file) in error.value.where


def test_the_file_that_has_the_last_word_is_named(tmp_path):
    written(tmp_path, "data/base", "limit: 3\n")
    file = written(tmp_path, "data/mine", "defaults: [base, default, _self_]\nlimit: many\n")
    with pytest.raises(ConfigError, match=r"data\.limit must be a whole number or null, not 'many'") as error:
        composed("data=mine", "--config-dir", str(tmp_path))
    assert error.value.where == f"{file}:2"


def test_the_command_line_is_named_for_what_it_adds():
    with pytest.raises(ConfigError, match=r"no key 'data\.train_limit'") as error:
        composed("task=bbbp", "+data.train_limit=3")
    assert error.value.where == "mammal train"


def test_each_setting_of_a_model_is_a_key_of_the_command_line():
    config = composed("task=bbbp", "model.tie_word_embeddings=true")
    assert config.model.tie_word_embeddings is True
    with pytest.raises(ConfigError, match=r"no key 'model\.tie_word_embedings'"):
        composed("task=bbbp", "model.tie_word_embedings=true")


def test_other_verbs_have_no_further_keys():
    with pytest.raises(ConfigError, match="no key 'batch_tokns'") as error:
        composed("bundle=x", "input=y", "+batch_tokns=3", verb="predict")
    assert "batch_tokens" in error.value.hint and error.value.where == "mammal predict"


def test_paths_of_evaluate_are_checked(tmp_path):
    file = written(tmp_path, "paths/mine", "dta: x\n")
    with pytest.raises(ConfigError, match=r"no key 'paths\.dta'") as error:
        composed("bundle=x", "paths=mine", "--config-dir", str(tmp_path), verb="evaluate")
    assert error.value.where == f"{file}:1"


@pytest.mark.parametrize("group", ["experiment", "sweep", "launcher", "debug"])
def test_a_file_without_its_package_line_is_refused(tmp_path, group):
    file = written(tmp_path, f"{group}/mine", "seed: 3\n")
    with pytest.raises(ConfigError, match=f"nothing reads the section '{group}'") as error:
        composed(f"{group}=mine", "--config-dir", str(tmp_path))
    assert "@package _global_" in error.value.hint and str(file) in error.value.where


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("callbacks: {ema: {decay: 0.9}}", "nothing makes 'callbacks.ema'", "callbacks=NAME"),
        ("adapt: {rank: 4}", "nothing reads 'adapt.rank' with adapt.method=full", "adapt=lora"),
        ("trainer: {logger: true}", "training sets 'trainer.logger' itself", "group `logger`"),
        ("trainer: {max_time: 10m}", "trainer.max_time is '10m'", "HH:MM:SS"),
        ("trainer: {max_epochs: ten}", "trainer.max_epochs must be a whole number or null, not 'ten'", None),
        ("data: {tokens_per_batch: 1.5}", "data.tokens_per_batch must be a whole number, not 1.5", None),
        ("data: {overfit: perhaps}", "data.overfit must be true or false, not 'perhaps'", None),
        ("data: 3", "data", None),
        ("seed: one", "seed must be a whole number, not 'one'", None),
        ("optim: {lr: fast}", "optim.lr must be a number, not 'fast'", None),
        ("schedule: {warmup_steps: soon}", "schedule.warmup_steps must be a whole number, not 'soon'", None),
        ("model: {num_layers: deep}", "model.num_layers must be a whole number, not 'deep'", None),
        ("mixture: {tasks: {bbbp: {rate: often}}}", "mixture.tasks.bbbp.rate must be a number, not 'often'", None),
        ("hydra: {sweeper: {params: {optim.rl: '1,2'}}}", "the sweep varies 'optim.rl'", "lr"),
        ("hydra: {sweeper: {params: {sed: '1,2'}}}", "the sweep varies 'sed'", "seed"),
    ],
)
def test_what_has_no_effect_or_the_wrong_type_is_refused_by_line(tmp_path, text, what, hint):
    file = written(tmp_path, "experiment/mine", f"{GLOBAL}{text}\n")
    with pytest.raises(ConfigError) as error:
        composed("experiment=mine", "--config-dir", str(tmp_path))
    assert what in error.value.what and (hint is None or hint in error.value.hint)
    assert str(file) in str(error.value)


def test_a_value_of_the_right_kind_is_put_right(tmp_path):
    written(tmp_path, "experiment/mine", f'{GLOBAL}test: "no"\ndata: {{limit: "32"}}\n')
    config = composed("experiment=mine", "--config-dir", str(tmp_path))
    assert config.test is False and config.data.limit == 32


@pytest.mark.parametrize("written", ["inf", ".inf"])
def test_infinity_is_a_number_as_hydra_and_as_yaml_write_it(written):
    assert composed("mixture=eight", f"mixture.temperature={written}").mixture.temperature == float("inf")


def test_a_key_that_another_refers_to_is_read(tmp_path):
    written(tmp_path, "experiment/mine", f"{GLOBAL}peak: 0.25\noptim: {{lr: '${{peak}}'}}\n")
    assert composed("experiment=mine", "--config-dir", str(tmp_path)).optim.lr == 0.25


def test_a_file_of_the_name_of_ours_is_refused(tmp_path):
    file = written(tmp_path, "optim/adamw", "lr: 1\n")
    with pytest.raises(ConfigError, match=r"configs/optim/adamw\.yaml has the same name") as error:
        composed("task=bbbp", "--config-dir", str(tmp_path))
    assert error.value.where == str(file) and "another name" in error.value.hint


def test_our_own_folder_may_be_named_again():
    assert composed("task=bbbp", "--config-dir", str(ROOT)).task.name == "bbbp"


def test_a_class_of_the_user_is_checked_by_its_signature(tmp_path, monkeypatch):
    (tmp_path / "my_schedules.py").write_text(
        "class Steps:\n    def __init__(self, width): self.width = width\n"
        "class Open:\n    def __init__(self, **settings): self.settings = settings\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    file = written(tmp_path, "schedule/mine", "_target_: my_schedules.Steps\nwdith: 3\n")
    with pytest.raises(ConfigError, match=r"no key 'schedule\.wdith'") as error:
        composed("schedule=mine", "--config-dir", str(tmp_path))
    assert error.value.where == f"{file}:2" and "width" in error.value.hint
    written(tmp_path, "schedule/open", "_target_: my_schedules.Open\nwdith: 3\n")
    assert composed("schedule=open", "--config-dir", str(tmp_path)).schedule.wdith == 3


def test_a_target_that_cannot_be_imported_is_left_to_the_run():
    assert target_keys("no.such.Thing") is None
    assert set(target_keys("mammal.training.schedules.WarmupCosine")) == {"warmup_steps", "floor", *HYDRA_KEYS}


@pytest.mark.parametrize("words", [("-m", "seed=1,2", "data=default,mine"), ("sweep=mine",)])
def test_a_sweep_does_not_begin_with_an_option_that_has_a_wrong_key(tmp_path, monkeypatch, capsys, words):
    from mammal.cli import main

    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, "data/mine", "defaults: [default, _self_]\nrows: 3\n")
    params = "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2', data: 'default,mine'}}}\n"
    written(tmp_path, "sweep/mine", GLOBAL + params)
    assert main(["train", "task=bbbp", "output=swept", "--config-dir", str(tmp_path), *words]) == 2
    assert f"{file}:2: there is no key 'data.rows'" in capsys.readouterr().err and not Path("swept").exists()


def test_in_a_sweep_the_settings_that_its_jobs_share_are_checked(tmp_path):
    file = written(tmp_path, "data/mine", "defaults: [default, _self_]\nrows: 3\n")
    with pytest.raises(ConfigError, match=r"no key 'data\.rows'") as error:
        composed("-m", "task=bbbp,esol", "data=mine", "--config-dir", str(tmp_path))
    assert error.value.where == f"{file}:2"


def test_the_schemas_have_the_keys_that_ship():
    """Every key of a schema is in the shipped files (or is optional in a mixture), so that users can find it."""
    import yaml

    def shipped(group: str) -> set[str]:
        return {key for file in (ROOT / group).glob("*.yaml") for key in yaml.safe_load(file.read_text()) or {}}

    for group, schema in SECTIONS.items():
        assert shipped(group) - {"defaults"} <= set(keys_of(schema))
    assert set(keys_of(SECTIONS["data"])) == shipped("data")
    assert {key for schema in ADAPT.values() for key in keys_of(schema)} == shipped("adapt")
    train = yaml.safe_load((ROOT / "train.yaml").read_text())
    groups = {name for entry in train["defaults"] if isinstance(entry, dict) for name in entry}
    ours = {name for name in groups if not name.startswith("override") and (ROOT / name).is_dir()}
    assert set(keys_of(RunConfig)) == (set(train) - {"defaults"}) | (
        ours - {"launcher", "sweep", "experiment", "debug"}
    )


SHIPPED = [file.relative_to(ROOT).with_suffix("").as_posix() for file in sorted(ROOT.glob("*/*.yaml"))]


@pytest.mark.parametrize("option", [name for name in SHIPPED if not name.startswith("task/_")])
def test_every_shipped_file_passes(option, monkeypatch):
    monkeypatch.setattr(check, "set_by_user", lambda *_: True)  # as if the user had written all of them
    group, _, name = option.partition("/")
    plugins = {"joblib": "joblib", "submitit": "submitit", "slurm": "submitit", "ray": "ray", "optuna": "optuna"}
    needed = plugins.get(name) if group in ("launcher", "sweep") else None
    if needed and find_spec("hydra_plugins") is None:
        pytest.skip(f"needs Hydra's plugin for {needed}")
    try:
        verb = "corpus" if group == "recipe" else "train"
        config = composed(f"{group}={name}", verb=verb, keep_hydra=True)
    except ConfigError as error:
        if not (needed and "is not installed" in error.what):
            raise
        pytest.skip(error.what)
    if group == "task":
        assert load_task(name) == load_task(plain(config.task)), "Hydra and the registry read the same declaration"


def test_folders_of_the_command_line_stay_out_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    assert parse_arguments("predict", ["--config-dir", str(other)]).config_dirs == [tmp_path, other]
    assert os.environ["MAMMAL_CONFIGS"] == str(tmp_path)


def test_a_mixture_finds_tasks_of_the_folder_that_is_named(tmp_path):
    written(tmp_path, "task/mine", TASK)
    written(tmp_path, "mixture/both", "name: both\ntasks: {mine: {rate: 2}, bbbp: {}}\n")
    config = composed("mixture=both", "--config-dir", str(tmp_path))
    assert list(task_configs(config, [tmp_path])) == ["mine", "bbbp"]
    with pytest.raises(TaskError, match="unknown task 'mine'"):
        task_configs(config)


def test_a_model_finds_tasks_of_its_folders(tmp_path):
    from mammal.rows.task_choice import find_task
    from mammal.tokenization import Tokenizer

    written(tmp_path, "task/mine", TASK)
    tokenizer = Tokenizer.load(None)
    assert find_task("mine", {}, tokenizer, [tmp_path]).name == "mine"
    with pytest.raises(TaskError, match="unknown task 'mine'"):
        find_task("mine", {}, tokenizer)


def test_hydras_variable_is_set_for_the_length_of_a_run_alone(tmp_path, monkeypatch, capsys):
    from mammal.cli import main

    seen = []
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mammal.training.run.train", lambda *_: seen.append(os.environ["HYDRA_FULL_ERROR"]) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["train", "task=bbbp", "output=run"])
    assert seen == ["1"] and "HYDRA_FULL_ERROR" not in os.environ


def test_the_trainer_is_given_what_is_said():
    import inspect

    import lightning.pytorch as lightning

    assert set(TRAINER_IS_GIVEN) <= set(inspect.signature(lightning.Trainer).parameters)


def test_a_task_of_the_user_goes_before_ours_of_the_same_name(tmp_path, capsys):
    file = written(
        tmp_path,
        "task/melting_point",
        "defaults: [schema, _regression, _self_]\nname: melting_point\nabout: mine\n"
        'data: {source: file, path: "mine.csv"}\n'
        'prompt: {input: "<MASK> {smiles:smiles}", target: "{tm:scalar}"}\n',
    )
    words = ("task=melting_point", "--config-dir", str(tmp_path))
    assert composed(*words).task.about == "mine"
    assert f"task melting_point is read from {file}" in capsys.readouterr().err
    with pytest.raises(ConfigError) as error:
        composed(*words, "task.promt.input=x")
    assert "prompt" in error.value.hint
    assert composed("task=melting_point").task.about != "mine"
    assert composed("task=bbbp", "--config-dir", str(tmp_path)).task.name == "bbbp"
