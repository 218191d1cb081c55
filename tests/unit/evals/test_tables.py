"""Reading a table: what is no such file, or no object, is refused with where it is named."""

import json
from pathlib import Path

import pytest

from llmvc.errors import ConfigError, FormatError
from llmvc.evals import prices, tables
from llmvc.evals.models import SHIPPED, Models
from tests.tables import regenerate

WRONG = {"a list": b"[1]", "no JSON": b"{", "no text": b"\xff", "too large": b"{}" + b" " * 99}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_what_is_no_object_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(tables, "MAX_BYTES", 50)
    path = tmp_path / "own.json"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"table of things .*own\.json"):
        tables.read(path, "table of things", "things")


def test_a_file_that_is_not_there_is_refused_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        tables.read(tmp_path / "gone.json", "table of things", "things")
    assert "`things:`" in caught.value.hint


LISTED = {
    "gpt-5.9": {
        "litellm_provider": "openai", "input_cost_per_token": 1e-06, "max_input_tokens": 9,
        "supports_reasoning": True, "supports_none_reasoning_effort": True, "rpm": 3,
    },
    "gpt-5.9-2027-01-01": {"litellm_provider": "openai", "supports_reasoning": True},
    "gpt-5.9-audio": {"litellm_provider": "openai"},
    "anthropic/claude-opus-9": {
        "litellm_provider": "anthropic", "supports_sampling_params": False,
        "thinking_always_on": True, "supports_forced_tool_use": False,
        "supports_assistant_prefill": False, "supports_output_config": True,
    },
}  # fmt: skip


def test_the_shipped_tables_are_filled_from_a_release_and_what_is_written_by_hand_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, kept in ((prices, "models"), (regenerate.models, "families")):
        path = tmp_path / f"{kept}.json"
        path.write_bytes(module.SHIPPED.read_bytes())
        monkeypatch.setattr(module, "SHIPPED", path)
    given = tmp_path / "release.json"
    given.write_text(json.dumps(LISTED))
    regenerate.main(str(given), "a release", "2027-01-02")
    listed = prices.Prices.load()
    assert listed.date == "2027-01-02"
    assert listed.models["openai/gpt-5.9"] == {
        "litellm_provider": "openai", "input_cost_per_token": 1e-06, "max_input_tokens": 9,
        "source": "a release", "source_date": "2027-01-02",
    }  # fmt: skip
    assert "openai/gpt-5.9-audio" not in listed.models
    assert "local/gemma-3-270m-q4_k_m" in listed.models
    known = Models.load()
    newest = known.find("openai", "gpt-5.9-2027-01-01")
    assert newest is not None
    assert (newest.name, newest.reasons, newest.tools_api) == ("gpt-5.9", True, "responses")
    claude = known.find("anthropic", "claude-opus-9")
    assert claude is not None
    body = {"decoding": {"temperature": 1}, "tool_choice": "required"}
    assert {one.name for one in claude.broken(body)} == {"decoding.temperature", "tool_choice"}
    assert not claude.prefill
    assert known.find("local", "smollm2-x") is not None


def test_the_shipped_tables_are_spelt_as_they_are_written_anew() -> None:
    for path in (SHIPPED, prices.SHIPPED):
        text = path.read_text(encoding="utf-8")
        assert regenerate.spelt(json.loads(text), 1, "") + "\n" == text
