"""From a manifest and the files beside it to a bundle."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import digest, request
from llmvc.errors import ConfigError, FormatError, LlmvcError, NotFoundError
from llmvc.files import writing
from llmvc.files.config import Config
from llmvc.files.manifest import find_manifests, load_manifest
from llmvc.files.reading import read_yaml
from llmvc.files.tree import WorkTree
from tests.unit.files.memory import PATH, PLAIN, MemoryFiles, bundle_of

FULL = """\
llmvc: 1
name: support
description: sorts tickets
owners: [ada]
labels: {team: care}
suite: evals/support/suite.yaml
messages:
  - role: system
    file: system.md
    engine: jinja2
    cache_control: {type: ephemeral}
  - role: user
    parts:
      - {type: text, text: "{{ticket}}", cache_control: {type: ephemeral}}
      - {type: text, file: tail.md}
      - {type: image, url: "https://example.org/a.png"}
variables: {file: vars.json}
few_shot:
  file: shots.jsonl
  selector: {strategy: first, k: 1, order: reversed}
model: {provider: openai, id: m-1, snapshot: null, fallback: [{provider: openai, id: m-0}]}
decoding: {temperature: 0.7, seed: null, stop: ["\\n"], reasoning: {effort: low}, extra: {min_p: 0.1}}
tools:
  - name: lookup
    description: finds an order
    input_schema: {file: lookup.json}
    cache_control: {type: ephemeral}
tool_choice: {name: lookup}
parallel_tool_calls: false
mcp: [{name: files, version: "1.2"}]
response:
  format: json_schema
  name: team
  schema: {file: team.json}
  repair: {retries: 1}
context: {window: 8192, reserve_output: 512, truncation: {policy: error}}
retrieval: {index: {id: docs, version: "3"}, top_k: 4, template: {file: tail.md}}
guardrails: {output: [{kind: pii, version: "1", on_fail: block}]}
post: {parser: json, transforms: [{file: post/clean.py, function: clean}]}
assets: [rules.md, logo.bin]
"""
FILES = {
    "system.md": '{% include "rules.md" %} Sort {{ ticket }}.\r\n',
    "tail.md": "bye",
    "vars.json": json.dumps(
        {"type": "object", "properties": {"ticket": {"type": "string", "description": "text"}}}
    ),
    "shots.jsonl": '{"vars": {"ticket": "a"}, "output": "A"}\n\n{"vars": {"ticket": "b"}, "output": "B"}\n',
    "lookup.json": '{"type": "object"}',
    "team.json": '{"type": "object", "properties": {"team": {"type": "string"}}}',
    "post/clean.py": "def clean(x):\r\n    return x\r\n",
    "rules.md": "Be brief.\r\n",
    "logo.bin": b"\0\r\n\xff",
}


def full(**changed):
    return bundle_of(FULL, **{**FILES, **changed})


def test_texts_schemas_and_examples_stand_inline_and_code_and_assets_by_digest():
    manifest = full()
    body = manifest.bundle.body
    assert body["messages"] == [
        {
            "role": "system",
            "engine": "jinja2",
            "content": '{% include "rules.md" %} Sort {{ ticket }}.\n',
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "{{ticket}}"},
                {"type": "text", "text": "bye"},
                {"type": "image", "url": "https://example.org/a.png"},
            ],
        },
    ]
    assert body["variables"] == json.loads(FILES["vars.json"])
    assert body["few_shot"] == {
        "examples": [
            {"vars": {"ticket": "a"}, "output": "A"},
            {"vars": {"ticket": "b"}, "output": "B"},
        ],
        "selector": {"strategy": "first", "k": 1, "order": "reversed"},
    }
    assert body["tools"] == [
        {"name": "lookup", "description": "finds an order", "input_schema": {"type": "object"}}
    ]
    assert body["response"]["schema"] == json.loads(FILES["team.json"])
    assert body["retrieval"]["template"] == "bye"
    assert body["assets"] == {
        "rules.md": digest.of_bytes(b"Be brief.\n"),
        "logo.bin": digest.of_bytes(b"\0\r\n\xff"),
        "post/clean.py": digest.of_bytes(b"def clean(x):\n    return x\n"),
    }
    assert manifest.assets == {digest.of_bytes(data): data for data in manifest.assets.values()}
    assert set(manifest.assets) == set(manifest.bundle.asset_digests())
    assert manifest.texts["rules.md"] == "Be brief.\n"
    assert "logo.bin" not in manifest.texts
    assert manifest.files[0] == PATH
    assert set(manifest.files) == {PATH, *(f"prompts/support/{name}" for name in FILES)}
    assert request.build(manifest.bundle, {"ticket": "x"}, manifest.texts)["messages"][0][
        "content"
    ] == ("Be brief.\n Sort x.\n")


def test_what_is_not_behaviour_is_outside_of_the_digest():
    base = full().bundle.digest
    for old, new in (
        ("description: sorts tickets\n", "description: other\n"),
        ("owners: [ada]\n", ""),
        ("labels: {team: care}\n", "labels: [x]\n"),
        ("suite: evals/support/suite.yaml\n", ""),
        ("name: support\n", "name: other\n"),
        ("    cache_control: {type: ephemeral}\n", ""),
        ("llmvc: 1\n", "# a comment\nllmvc: 1\n\n"),
    ):
        assert old in FULL
        assert bundle_of(FULL.replace(old, new), **FILES).bundle.digest == base, old


def test_what_is_behaviour_is_inside_of_the_digest():
    base = full()
    seen = {base.bundle.digest}
    for name, data in (
        ("system.md", FILES["system.md"] + "\n"),
        ("tail.md", "bye "),
        ("shots.jsonl", '{"vars": {"ticket": "a"}, "output": "A "}\n'),
        ("lookup.json", '{"type": "object", "description": "x"}'),
        ("vars.json", FILES["vars.json"].replace("text", "the text")),
        ("post/clean.py", "def clean(x):\n  return x\n"),
        ("rules.md", "Be brief.\n\n"),
        ("logo.bin", b"\0\n\xff"),
    ):
        seen.add(full(**{name: data}).bundle.digest)
    for old, new in (
        ("finds an order", "finds orders"),
        ("snapshot: null, ", ""),
        ("seed: null, ", ""),
        ("parallel_tool_calls: false\n", ""),
        ("parallel_tool_calls: false\n", "parallel_tool_calls: null\n"),
        (", order: reversed", ", order: written"),
        (", order: reversed", ""),
        ("engine: jinja2", "engine: simple"),
    ):
        changed = FULL.replace(old, new)
        assert changed != FULL
        files = {**FILES, "system.md": "Sort {{ticket}}."} if "engine" in old else FILES
        seen.add(bundle_of(changed, **files).bundle.digest)
    assert len(seen) == 17


def test_absent_null_and_default_are_three_different_bundles():
    decodings = (
        "",
        "decoding: {}\n",
        "decoding: {temperature: null}\n",
        "decoding: {temperature: 1}\n",
    )
    assert len({bundle_of(PLAIN + text).bundle.digest for text in decodings}) == 4
    assert (
        len({bundle_of(PLAIN + text).bundle.digest for text in ("", "tools: []\n", "assets: []\n")})
        == 3
    )


def test_a_text_inline_and_in_a_file_is_the_same_bundle():
    inline = PLAIN.replace("    file: system.md\n", '    content: "You sort tickets.\\n"\n')
    assert bundle_of(inline).bundle.digest == bundle_of(PLAIN).bundle.digest


@given(st.randoms(use_true_random=False))
def test_key_order_style_and_comments_do_not_change_the_digest(random):
    def shuffled(value):
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    value = shuffled(read_yaml(FULL.encode(), "x").value)
    text = writing.flow(value) + "\n" if random.random() < 0.3 else writing.document(value)
    lines = [
        line + (" # note" if random.random() < 0.3 and not line.endswith("|") else "")
        for line in text.split("\n")
    ]
    if "# note" in "\n".join(lines) and "|" in text:
        lines = text.split("\n")
    assert bundle_of("# top\n" + "\n".join(lines), **FILES).bundle.digest == full().bundle.digest


@given(st.text(" \n\tab\u00e9", max_size=12), st.text(" \n\tab\u00e9", max_size=12))
def test_prompts_that_differ_in_anything_differ_in_digest(one, other):
    digests = {bundle_of(PLAIN, **{"system.md": text}).bundle.digest for text in (one, other)}
    assert len(digests) == len({one, other})


def test_a_crlf_checkout_has_the_same_digest():
    crlf = {
        name: data if isinstance(data, bytes) else data.replace("\r\n", "\n").replace("\n", "\r\n")
        for name, data in FILES.items()
    }
    assert bundle_of(FULL.replace("\n", "\r\n"), **crlf).bundle.digest == full().bundle.digest


def test_composed_and_decomposed_letters_are_different_prompts():
    digests = {
        bundle_of(PLAIN, **{"system.md": text}).bundle.digest for text in ("\u00e9", "e\u0301")
    }
    assert len(digests) == 2


MESSAGES = "messages:\n  - role: user\n    "


@pytest.mark.parametrize(
    ("manifest", "files", "said"),
    [
        (PLAIN.replace("system.md", "sytem.md"), {}, "bundle.yaml:5: file sytem.md is not there"),
        (PLAIN.replace("system.md", "../x.md"), {}, "bundle.yaml:5: path '../x.md' holds the component '..'"),
        (PLAIN.replace("system.md", "/etc/passwd"), {}, "bundle.yaml:5: path '/etc/passwd' is absolute"),
        (PLAIN.replace("system.md", ".git/config"), {}, "bundle.yaml:5: path '.git/config' leads into Git's"),
        (PLAIN, {"system.md": b"\xff"}, "system.md is not UTF-8 at byte 0"),
        (PLAIN, {"system.md": b"\xef\xbb\xbfx"}, "system.md starts with a byte order mark"),
        (PLAIN, {"system.md": b"a\0b"}, "system.md holds a NUL"),
        (PLAIN, {"system.md": "x" * (1024 * 1024 + 1)}, "bundle.yaml:5: file system.md is larger than 1024 KiB"),
        (PLAIN, {"system.md": '"' * 1024 * 600}, "bundle.yaml: the bundle takes"),
        (PLAIN, {"system.md": "a\n{{ticket}"}, "bundle.yaml:4: prompts/support/system.md: template line 2"),
        (PLAIN + "variables: {properties: {tickets: {}}}", {}, "bundle.yaml:6: messages[1] uses {{ticket}}, which variables does not declare; write tickets instead"),
        (PLAIN + "variables: {properties: {a: {}}}", {"system.md": "{{b}}"}, "bundle.yaml:4: prompts/support/system.md uses {{b}}"),
        (PLAIN + "variables: {type: text}", {}, "bundle.yaml:11: not a JSON Schema: variables.type"),
        (PLAIN + "variables: {file: v.json}", {"v.json": "[]"}, "v.json: a JSON Schema is a JSON object"),
        (PLAIN + "variables: {file: v.json}", {"v.json": "{"}, "v.json:1: not JSON"),
        (PLAIN + "variables: {file: v.json}", {"v.json": '{"type": 1}'}, "bundle.yaml:11: not a JSON Schema"),
        (PLAIN + "tools:\n  - {name: a, input_schema: {properties: []}}", {}, "bundle.yaml:12: not a JSON Schema: tools[0].input_schema.properties"),
        (PLAIN + "tools:\n  - name: a\n  - name: a", {}, "bundle.yaml:13: there are two tools 'a'"),
        (PLAIN + "tools: [{name: find}]\ntool_choice: {name: fund}", {}, "bundle.yaml:12: tool_choice names 'fund', which is not among tools; write find instead"),
        (PLAIN + "response: {format: json_schema, schema: {minimum: x}}", {}, "bundle.yaml:11: not a JSON Schema: response.schema.minimum"),
        (PLAIN + "context: {window: 10, reserve_output: 10}", {}, "bundle.yaml:11: context.reserve_output 10 leaves no room"),
        (PLAIN + "few_shot: {file: s.jsonl}", {"s.jsonl": '{"vars": {}, "output": "x"}\n{"vars": {}}'}, "s.jsonl:2: not an example"),
        (PLAIN + "few_shot: {file: s.jsonl}", {"s.jsonl": "{"}, "s.jsonl:1: not JSON"),
        (PLAIN + "few_shot: {file: s.jsonl}", {}, "bundle.yaml:11: file s.jsonl is not there"),
        (PLAIN + "assets: [a.md, A.md]", {"a.md": "", "A.md": ""}, "differ only in case"),
        (PLAIN + "assets: [gone.md]", {}, "bundle.yaml:11: file gone.md is not there"),
        (PLAIN.replace("system.md\n", "system.md\n    engine: jinja2\n"), {"system.md": '{% include "x" %}'}, "bundle.yaml:4: prompts/support/system.md: jinja2 template includes 'x'"),
        (PLAIN.replace("system.md\n", "system.md\n    engine: jinja2\n"), {"system.md": "{% if %}"}, "bundle.yaml:4: prompts/support/system.md: jinja2 template"),
        ("llmvc: 1\nkind: set\nmembers: {a: other}\n", {}, "bundle.yaml:3: members.a: bundle 'other' is not known here"),
        ("llmvc: 1\nkind: set\nmembers: {a: b3:12}\n", {}, "bundle.yaml:3: members.a: not a digest"),
        (PLAIN.replace("name: support", "name: -x"), {}, "bundle.yaml:2: name may not be '-x'"),
        ("", {}, "bundle.yaml:1: the file must be a mapping"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_with_its_line(manifest, files, said):
    with pytest.raises(LlmvcError) as caught:
        bundle_of(manifest, **files)
    assert isinstance(caught.value, FormatError | NotFoundError)
    assert str(caught.value).startswith("prompts/support/")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_a_link_is_refused_with_the_line_that_names_it(tmp_path):
    folder = tmp_path / "prompts" / "support"
    folder.mkdir(parents=True)
    (folder / "bundle.yaml").write_text(PLAIN)
    (folder / "system.md").symlink_to("/etc/hostname")
    with pytest.raises(
        FormatError, match=r"^prompts/support/bundle.yaml:5: .*system.md is a symbolic link"
    ):
        load_manifest(WorkTree(tmp_path), PATH)
    (folder / "system.md").unlink()
    os.mkfifo(folder / "system.md")
    with pytest.raises(FormatError, match=r"^prompts/support/bundle.yaml:5: .*not a regular file"):
        load_manifest(WorkTree(tmp_path), PATH)


def test_members_of_a_set_are_bundles_by_name_or_digest():
    key = digest.of_bytes(b"x")
    files = MemoryFiles({PATH: f"llmvc: 1\nkind: set\nmembers: {{a: other, b: {key}}}\n"})
    manifest = load_manifest(files, PATH, members=lambda name: digest.of_bytes(name.encode()))
    assert manifest.bundle.kind == "set"
    assert manifest.bundle.body["members"] == {"a": digest.of_bytes(b"other"), "b": key}


def test_messages_of_a_commit_name_the_commit():
    with pytest.raises(
        NotFoundError,
        match=r"^git:main:prompts/support/bundle\.yaml:5: file system\.md is not there$",
    ):
        load_manifest(MemoryFiles({PATH: PLAIN}, "git:main"), PATH)
    with pytest.raises(NotFoundError, match=r"^git:main:x/bundle\.yaml is not there$"):
        load_manifest(MemoryFiles({}, "git:main"), "x/bundle.yaml")


def test_bundles_are_found_by_glob_and_named_by_manifest_or_folder():
    nameless = PLAIN.replace("name: support\n", "")
    files = MemoryFiles({PATH: PLAIN, "b/sorter/bundle.yaml": nameless, "c/other.yaml": PLAIN})
    assert find_manifests(files, Config()) == {"sorter": "b/sorter/bundle.yaml", "support": PATH}
    assert find_manifests(files, Config(bundles=("c/*.yaml",))) == {"support": "c/other.yaml"}


def test_two_bundles_of_one_name_are_a_configuration_error():
    files = MemoryFiles({PATH: PLAIN, "b/bundle.yaml": PLAIN})
    with pytest.raises(
        ConfigError, match=r"^b/bundle\.yaml and prompts/support/bundle\.yaml both describe"
    ):
        find_manifests(files, Config())


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (
            "Bad Name/bundle.yaml",
            PLAIN.replace("name: support\n", ""),
            "name 'Bad Name' is not a name",
        ),
        ("bundle.yaml", PLAIN.replace("name: support\n", ""), "name '' is not a name"),
        ("A/bundle.yaml", "", "A/bundle.yaml is empty"),
        ("bundle.yaml", "a: [", "bundle.yaml:1: not YAML"),
    ],
)
def test_a_manifest_without_a_usable_name_is_refused(path, text, said):
    with pytest.raises(FormatError) as caught:
        find_manifests(MemoryFiles({path: text}), Config())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "git:main:a/bundle.yaml:1: the file must be a mapping"),
        ("a: [", "git:main:a/bundle.yaml:1: not YAML"),
        (PLAIN.replace("name: support", "name: A b"), "git:main:a/bundle.yaml:2: name may not be"),
        (b"\xff", "git:main:a/bundle.yaml is not UTF-8"),
        pytest.param("#" * 1_048_577, "git:main:a/bundle.yaml is larger", id="large"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_found_by_its_folder_and_fails_when_loaded(text, said):
    files = MemoryFiles({PATH: PLAIN, "a/bundle.yaml": text}, "git:main")
    assert find_manifests(files, Config()) == {"a": "a/bundle.yaml", "support": PATH}
    with pytest.raises(FormatError) as caught:
        load_manifest(files, "a/bundle.yaml")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("folder", ["a", "z"])
def test_a_manifest_that_cannot_be_read_in_a_folder_named_as_another_bundle_says_why(folder):
    sound = PLAIN.replace("name: support", "name: m")
    files = MemoryFiles({f"{folder}/bundle.yaml": sound, "m/bundle.yaml": "a: ["})
    with pytest.raises(FormatError, match=r"^m/bundle\.yaml:1: not YAML"):
        find_manifests(files, Config())
