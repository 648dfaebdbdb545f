"""Configuration: files, overrides, ranges, and messages that name the key."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.config import Config, load_config, parse_config
from tuneward.errors import ConfigError

LEAST = {"data": {"train": "train.jsonl"}, "reward": {"file": "reward.py"}}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**LEAST, **changes}))
    return path


def override(*texts: str) -> Config:
    return load_config(None, texts, base={section: dict(values) for section, values in LEAST.items()})


def test_two_paths_are_enough_and_the_rest_has_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path))
    assert (config.training.loss, config.training.advantage, config.training.beta) == ("dapo", "group", 0.0)
    assert (config.training.epsilon_low, config.training.epsilon_high) == (0.2, 0.28)
    assert (config.lora.r, config.lora.alpha, config.model) == (16, 32.0, "smollm2-135m")


def test_paths_in_a_file_count_from_the_files_folder(tmp_path: Path) -> None:
    absolute = str(tmp_path / "elsewhere" / "start")
    path = write(
        tmp_path,
        data={"train": "rows/train.jsonl", "validation": "../validation.jsonl"},
        lora={"init_from": absolute},
    )
    config = load_config(path)
    assert config.data.train == tmp_path / "rows" / "train.jsonl"
    assert config.data.validation == tmp_path / ".." / "validation.jsonl"
    assert config.reward.file == tmp_path / "reward.py"
    assert config.lora.init_from == Path(absolute)


def test_the_home_sign_in_a_files_path_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    path = write(tmp_path, data={"train": "~/train.jsonl"})
    assert load_config(path).data.train == Path("/home/someone/train.jsonl")


def test_paths_in_overrides_count_from_the_working_folder(tmp_path: Path) -> None:
    assert load_config(write(tmp_path), ("data.train=other.jsonl",)).data.train == Path("other.jsonl")


def test_overrides_win_over_the_base_and_the_base_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, training={"epochs": 2, "prompts_per_step": 3, "samples_per_prompt": 4})
    config = load_config(path, ("training.epochs=7",), base={"training": {"epochs": 5, "prompts_per_step": 6}})
    training = config.training
    assert (training.epochs, training.prompts_per_step, training.samples_per_prompt) == (7, 6, 4)


@pytest.mark.parametrize(
    ("text", "section", "key", "expected"),
    [
        ("training.learning_rate=3e-4", "training", "learning_rate", 3e-4),
        ("training.learning_rate=1E-5", "training", "learning_rate", 1e-5),
        ("training.epochs=3", "training", "epochs", 3),
        ("training.mask_truncated=true", "training", "mask_truncated", True),
        ("training.max_steps=null", "training", "max_steps", None),
        ("training.max_steps=", "training", "max_steps", None),
        ("training.loss=gspo", "training", "loss", "gspo"),
        ("run.sinks=[tensorboard, wandb]", "run", "sinks", ("tensorboard", "wandb")),
        ("run.sinks=[]", "run", "sinks", ()),
        ("lora.target_modules=[q_proj,v_proj]", "lora", "target_modules", ("q_proj", "v_proj")),
        ("lora.target_modules=all-linear", "lora", "target_modules", "all-linear"),
        (" run.name =run-7", "run", "name", "run-7"),
    ],
)
def test_an_override_takes_the_type_of_its_field(text: str, section: str, key: str, expected: object) -> None:
    value = getattr(getattr(override(text), section), key)
    assert value == expected
    assert type(value) is type(expected)


def test_an_override_of_a_top_level_key() -> None:
    assert override("model=org/model", "threads=2").model == "org/model"


def test_only_the_first_sign_of_equality_separates_key_and_value() -> None:
    assert override("model=a=b").model == "a=b"


@pytest.mark.parametrize("text", ['run.name="7"', "run.name='1e5'"])
def test_a_quoted_override_stays_text(text: str) -> None:
    assert isinstance(override(text).run.name, str)


@pytest.mark.parametrize("text", ["training.epochs", "=3", " =3"])
def test_an_override_without_key_or_value_shows_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected key\.path=value"):
        override(text)


def test_an_override_below_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match='"model" is a value, not a section'):
        override("model=x", "model.name=y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.learn_rate=1", r'unknown key "training\.learn_rate"; did you mean "(training\.)?learning_rate"\?'),
        ("trainin.epochs=1", r'unknown key "trainin"; did you mean "training"\?'),
        ("evaluation.xyz=1", r'unknown key "evaluation\.xyz"\. Known keys: .*every_steps'),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_or_all_known_ones(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(text)


def test_a_missing_key_says_how_to_give_it() -> None:
    with pytest.raises(ConfigError, match=r'"data\.train" is missing; add it, or give it with --set data\.train=…'):
        parse_config({"data": {}, "reward": {"file": "r"}})


@pytest.mark.parametrize(
    "text",
    [
        "training.learning_rate=0",
        "training.learning_rate=2",
        "training.samples_per_prompt=1",
        "training.samples_per_prompt=257",
        "training.epochs=0",
        "training.epochs=51",
        "training.epochs=1.5",
        "training.temperature=0",
        "training.beta=-0.1",
        "training.beta=.nan",
        "training.loss=ppo",
        "training.advantage_clip=0",
        "data.holdout_share=1",
        "data.max_prompt_length=0",
        "reward.timeout_s=901",
        "reward.error_budget=1.1",
        "lora.r=0",
        "evaluation.every_steps=1001",
        "evaluation.stop_at_exact=1.5",
        "run.seed=-1",
        "run.name=../escape",
        "run.name=.hidden",
        "run.sinks=[nowhere]",
        "threads=0",
        "schema_version=2",
        "training=3",
    ],
)
def test_a_value_out_of_range_names_its_dotted_key(text: str) -> None:
    key = text.partition("=")[0]
    with pytest.raises(ConfigError) as caught:
        override(text)
    assert f'"{key}' in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["evaluation.exact_threshold=.nan", "lora.alpha=.inf", "training.beta=.inf"])
def test_a_number_that_is_not_finite_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        override(text)


def test_every_problem_has_a_line_of_its_own() -> None:
    with pytest.raises(ConfigError) as caught:
        override("training.epochs=0", "lora.r=0", "model_name=x")
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such configuration file"):
        load_config(tmp_path / "absent.yaml")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


@pytest.mark.parametrize("content", [b"a: [", b"a: b: c", b"\xff\xfe\x00", b"\tx: 1"])
def test_broken_yaml_is_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.yaml: not valid YAML") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "- 1\n- 2\n", "text"])
def test_a_file_without_keys_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match="expected keys and values at the top"):
        load_config(path)


def test_a_loaded_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        override().training.epochs = 3  # type: ignore[misc]


finite = {"allow_nan": False, "allow_infinity": False}
configs = st.builds(
    Config,
    model=st.text(min_size=1),
    threads=st.none() | st.integers(1, 64),
    data=st.fixed_dictionaries(
        {"train": st.just("t.jsonl")},
        optional={"validation": st.none() | st.just("v.jsonl"), "holdout_share": st.floats(0.01, 0.99)},
    ),
    reward=st.fixed_dictionaries({"file": st.just("r.py")}, optional={"timeout_s": st.floats(0.1, 900)}),
    lora=st.fixed_dictionaries(
        {},
        optional={
            "target_modules": st.just("all-linear") | st.lists(st.text(min_size=1), min_size=1, max_size=3).map(tuple),
            "alpha": st.floats(0, 1e6, exclude_min=True, **finite),  # type: ignore[arg-type]
            "init_from": st.none() | st.just("adapter"),
        },
    ),
    training=st.fixed_dictionaries(
        {},
        optional={
            "loss": st.sampled_from(["dapo", "dr_grpo", "grpo", "gspo", "cispo"]),
            "learning_rate": st.floats(0, 1, exclude_min=True),
            "advantage_clip": st.none() | st.floats(0.1, 10),
            "max_steps": st.none() | st.integers(1, 10**6),
            "lr_schedule": st.sampled_from(["constant", "linear", "cosine"]),
        },
    ),
    run=st.fixed_dictionaries(
        {},
        optional={
            "name": st.none() | st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z"),
            "sinks": st.lists(st.sampled_from(["tensorboard", "mlflow", "wandb"]), max_size=2).map(tuple),
        },
    ),
)


@settings(deadline=None)
@given(configs)
def test_a_configuration_survives_json(config: Config) -> None:
    assert parse_config(config.model_dump(mode="json")) == config


@settings(deadline=None)
@given(configs)
def test_a_configuration_survives_yaml(config: Config) -> None:
    assert parse_config(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))) == config


key_texts = st.text(alphabet="abcdefgh_.= []{}:'\"0123456789-#&*!|>%@`\n\t,", max_size=20)


def is_taken_or_refused_in_words(text: str) -> bool:
    try:
        override(text)
    except ConfigError as error:
        return bool(str(error))
    return True


@settings(deadline=None)
@given(key_texts)
def test_any_override_is_taken_or_refused_in_words(text: str) -> None:
    assert is_taken_or_refused_in_words(text)


@settings(deadline=None)
@given(st.sampled_from(["model", "run.name", "training", "training.epochs", "data.train", "lora.init_from"]), key_texts)
def test_any_value_is_taken_or_refused_in_words(key: str, value: str) -> None:
    assert is_taken_or_refused_in_words(f"{key}={value}")


def test_overrides_leave_the_base_they_are_laid_over_alone() -> None:
    base = {"model": "m", "data": {"train": "t"}, "reward": {"file": "r"}, "training": {"learning_rate": 3e-4}}
    before = copy.deepcopy(base)
    assert load_config(None, ("training.learning_rate=1", "training.max_steps=1"), base).training.max_steps == 1
    assert base == before
