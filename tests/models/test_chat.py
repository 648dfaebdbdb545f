"""Chat templates, stop sets, tokens and text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tiny import save_tiny_chat_model

from tuneward.errors import ModelError
from tuneward.models.chat import ChatTokenizer
from tuneward.types import Row

END_OF_TEXT, IM_START, IM_END = 0, 1, 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder whose files a test may change; nothing names a stop token but the template."""
    made = save_tiny_chat_model(tmp_path / "model")
    edit(made / "config.json", eos_token_id=None)
    edit(made / "generation_config.json", eos_token_id=None)
    edit(made / "tokenizer_config.json", eos_token=None)
    return made


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def set_template(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_text(template)


@pytest.fixture(scope="module")
def chat(tiny_chat_model: Path) -> ChatTokenizer:
    return ChatTokenizer.load(tiny_chat_model)


def user(text: str) -> Row:
    return Row("row-7", ({"role": "user", "content": text},))


PLAIN = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"


def test_the_templates_end_of_turn_stops_although_nothing_else_names_it(folder: Path) -> None:
    assert ChatTokenizer.load(folder).stop_ids == {IM_END}


def test_the_tokenizers_eos_and_the_templates_end_of_turn_both_stop(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", eos_token="<|endoftext|>")
    assert ChatTokenizer.load(folder).stop_ids == {END_OF_TEXT, IM_END}


def test_only_the_first_special_token_after_an_answer_ends_it(folder: Path) -> None:
    set_template(folder, "{% for m in messages %}<|im_start|>{{ m['content'] }}<|endoftext|><|im_start|>{% endfor %}")
    assert ChatTokenizer.load(folder).stop_ids == {END_OF_TEXT}


@pytest.mark.parametrize(("eos", "expected"), [(0, {0}), ([0, 5], {0, 5}), (None, set())])
@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_one_or_several_ids_of_the_model_files_stop(folder: Path, file: str, eos: Any, expected: set[int]) -> None:
    edit(folder / file, eos_token_id=eos)
    assert ChatTokenizer.load(folder).stop_ids == expected | {IM_END}


def test_a_model_without_generation_config_still_has_its_stop_set(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    assert ChatTokenizer.load(folder).stop_ids == {IM_END}


def test_a_model_without_any_end_is_refused(folder: Path) -> None:
    set_template(folder, PLAIN)
    with pytest.raises(ModelError, match="no end-of-turn token is defined"):
        ChatTokenizer.load(folder)


def test_a_template_that_drops_the_answer_names_no_stop_token(folder: Path) -> None:
    set_template(folder, "<|im_start|>{{ messages[0]['content'] }}")
    edit(folder / "tokenizer_config.json", eos_token="<|im_end|>")
    assert ChatTokenizer.load(folder).stop_ids == {IM_END}


def test_a_template_that_refuses_answers_leaves_the_other_ends(folder: Path) -> None:
    set_template(folder, "{% if messages|length > 1 %}{{ raise_exception('no') }}{% endif %}x")
    edit(folder / "tokenizer_config.json", eos_token="<|im_end|>")
    assert ChatTokenizer.load(folder).stop_ids == {IM_END}


def test_a_model_without_a_chat_template_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template; use an instruction-tuned model"):
        ChatTokenizer.load(folder)


def test_a_damaged_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        ChatTokenizer.load(folder)


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_a_damaged_generation_config_is_refused(folder: Path, text: str) -> None:
    (folder / "generation_config.json").write_text(text)
    with pytest.raises(ModelError, match=r"generation_config\.json"):
        ChatTokenizer.load(folder)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0]['content'].nothing() }}", "nothing"),
        ("{{ messages[0]['content'] + 3 }}", "str"),
    ],
)
def test_a_template_that_refuses_a_row_names_the_row_and_the_reason(folder: Path, template: str, reason: str) -> None:
    set_template(folder, template)
    edit(folder / "tokenizer_config.json", eos_token="<|im_end|>")
    with pytest.raises(ModelError, match=f"row row-7: the chat template refuses these messages .*{reason}"):
        ChatTokenizer.load(folder).render(user("hello"))


def test_a_prompt_ends_where_the_answer_begins(chat: ChatTokenizer) -> None:
    text = chat.decode_raw(chat.render(user("hello")))
    assert text == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"


def test_tools_reach_the_template(folder: Path) -> None:
    set_template(folder, "{{ tools[0]['function']['name'] }}<|im_end|>")
    row = Row("r", ({"role": "user", "content": "x"},), tools=({"type": "function", "function": {"name": "look"}},))
    edit(folder / "tokenizer_config.json", eos_token="<|im_end|>")
    chat = ChatTokenizer.load(folder)
    assert chat.decode_raw(chat.render(row)) == "look<|im_end|>"


@settings(deadline=None)
@given(st.text())
def test_text_survives_rendering_and_decoding(chat: ChatTokenizer, text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    ids = chat.render(user(text))
    assert chat.decode_raw(ids) == f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("text", [" leading", "trailing ", "a , b .", "don 't", "\n\n"])
def test_spaces_of_an_answer_stay_as_they_are(chat: ChatTokenizer, text: str) -> None:
    ids = chat.tokenizer(text)["input_ids"]
    assert chat.decode([*ids, IM_END]) == text


def test_an_answers_text_leaves_special_tokens_out_and_the_raw_text_keeps_them(chat: ChatTokenizer) -> None:
    ids = [*chat.tokenizer("hi")["input_ids"], IM_END]
    assert (chat.decode(ids), chat.decode_raw(ids)) == ("hi", "hi<|im_end|>")


def test_the_stop_set_is_shown_as_text(chat: ChatTokenizer) -> None:
    assert chat.stop_tokens() == ["<|im_end|>"]
