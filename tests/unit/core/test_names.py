import pytest

from llmvc.core.names import Revision, check_name, env_ref
from llmvc.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("support", Revision("support")),
        ("", Revision(None)),
        ("support@prod", Revision("support", "env", env="prod")),
        ("@prod", Revision(None, "env", env="prod")),
        ("support@prod~3", Revision("support", "env", env="prod", back=3)),
        ("support@prod@{2026-11-20}", Revision("support", "env", env="prod", at="2026-11-20")),
        ("support@b3:4f2a91c0", Revision("support", "digest", value="b3:4f2a91c0")),
        ("support@git:origin/main", Revision("support", "git", value="origin/main")),
    ],
)
def test_each_spelling_of_a_version_is_read(text, expected):
    assert Revision.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Support",
        "-x",
        "a_b",
        "support@",
        "support@b3:4f2a",
        "support@b3:XXXXXXXX",
        "support@prod~",
        "support@prod~-1",
        "support@git:",
        "support@PROD",
        "support@../x",
        "support@prod@{}",
    ],
)
def test_what_names_no_version_is_refused_with_a_hint(text):
    with pytest.raises(UsageError) as caught:
        Revision.parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["", "-x", "PROD", "a/b", "a..b", "é", "x" * 41, "a\u202e", "a\n", "con."]
)
def test_names_that_a_ref_or_path_could_misread_are_refused(name):
    with pytest.raises(UsageError):
        check_name(name, "environment")


def test_an_environment_has_one_ref():
    assert env_ref("support", "prod") == "refs/llmvc/env/support/prod"
