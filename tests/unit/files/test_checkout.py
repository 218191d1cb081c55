"""Checkout: after the files are written, the manifest describes the target."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvc.core import digest
from llmvc.core.bundle import MEMBERS, Bundle
from llmvc.errors import FormatError, NotFoundError
from llmvc.files import writing
from llmvc.files.manifest import checkout_files, load_manifest
from tests.unit.files.memory import PATH, MemoryFiles
from tests.unit.files.test_building import FILES, FULL


def tree(manifest, files):
    listed = {**files, "bundle.yaml": manifest}
    return MemoryFiles({f"prompts/support/{name}": data for name, data in listed.items()})


def checked_out(files, target, assets=None):
    """Returns the tree after a checkout, and the paths that changed."""
    manifest = load_manifest(files, PATH)
    written = checkout_files(files.read(PATH), manifest, target, assets or {})
    after = MemoryFiles({**files.files, **written})
    assert load_manifest(after, PATH).bundle.digest == target.digest
    return after, set(written)


def with_changes(bundle, **changes):
    body = {name: value for name, value in bundle.body.items() if name in MEMBERS}
    body.update(changes)
    return Bundle.of(bundle.kind, {name: value for name, value in body.items() if value is not ...})


@pytest.fixture
def full():
    return tree(FULL, FILES)


@pytest.fixture
def bundle(full):
    return load_manifest(full, PATH).bundle


def test_the_version_that_is_there_already_changes_nothing(full, bundle):
    assert checked_out(full, bundle)[1] == set()


def test_texts_schemas_and_examples_go_into_the_files_that_the_manifest_names(full, bundle):
    messages = json.loads(json.dumps(bundle.body["messages"]))
    messages[0]["content"] = "Other {{ ticket }}.\n"
    target = with_changes(
        bundle,
        messages=messages,
        variables={"type": "object", "properties": {"ticket": {"type": "string"}}},
        few_shot={**bundle.body["few_shot"], "examples": [{"vars": {}, "output": "x\ny"}]},
        tools=[{**bundle.body["tools"][0], "input_schema": {"type": "object", "title": "t"}}],
        response={**bundle.body["response"], "schema": {"type": "object"}},
    )
    after, written = checked_out(full, target)
    assert written == {
        f"prompts/support/{name}"
        for name in ("system.md", "vars.json", "shots.jsonl", "lookup.json", "team.json")
    }
    assert after.read("prompts/support/system.md") == b"Other {{ ticket }}.\n"
    assert json.loads(after.read("prompts/support/lookup.json")) == {"type": "object", "title": "t"}


def test_values_change_in_place_and_comments_stay():
    manifest = FULL.replace("model: {", "# who answers\nmodel: {").replace(
        "{temperature: 0.7,", "{temperature: 0.7,"
    )
    files = tree(manifest, FILES)
    bundle = load_manifest(files, PATH).bundle
    target = with_changes(
        bundle, decoding={**bundle.body["decoding"], "temperature": 0.2}, parallel_tool_calls=...
    )
    after, written = checked_out(files, target)
    assert written == {PATH}
    text = after.read(PATH).decode()
    assert text == manifest.replace("0.7", "0.2").replace("parallel_tool_calls: false\n", "")


def test_what_is_not_behaviour_stays(full, bundle):
    after, _ = checked_out(
        full,
        with_changes(bundle, tools=[], tool_choice="auto", messages=bundle.body["messages"][:1]),
    )
    text = after.read(PATH).decode()
    for kept in (
        "description: sorts tickets",
        "owners: [ada]",
        "labels: {team: care}",
        "cache_control: {type: ephemeral}",
    ):
        assert kept in text


def test_assets_are_written_and_listed(full, bundle):
    new = {digest.of_bytes(data): data for data in (b"Be kind.\n", b"print()\n", b"\0new")}
    target = with_changes(
        bundle,
        assets=dict(zip(("rules.md", "post/clean.py", "deep/new.bin"), new, strict=True)),
    )
    after, written = checked_out(full, target, new)
    assert written == {
        PATH,
        *(f"prompts/support/{name}" for name in ("rules.md", "post/clean.py", "deep/new.bin")),
    }
    assert after.read("prompts/support/rules.md") == b"Be kind.\n"
    assert load_manifest(after, PATH).bundle.body["assets"].keys() == {
        "rules.md",
        "post/clean.py",
        "deep/new.bin",
    }
    with pytest.raises(NotFoundError, match=r"^asset \S+ b3:[0-9a-f]{12} is not stored here$"):
        checked_out(full, target)


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", ".git/hooks/pre-push", "a/.GIT/x", "bundle.yaml", "Bundle.yaml", "RULES.md"],
)
def test_a_stored_bundle_cannot_write_where_it_should_not(full, bundle, name):
    data = b"echo pwned\n"
    target = with_changes(bundle, assets={**bundle.body["assets"], name: digest.of_bytes(data)})
    with pytest.raises(FormatError):
        checkout_files(
            full.read(PATH), load_manifest(full, PATH), target, {digest.of_bytes(data): data}
        )


def test_a_file_with_two_uses_gets_no_two_contents():
    manifest = (
        "llmvc: 1\nmessages:\n  - {role: system, file: a.md}\n  - {role: user, file: a.md}\n"
        "model: {provider: p, id: m}\nassets: [a.md]\n"
    )
    files = tree(manifest, {"a.md": "x\n"})
    bundle = load_manifest(files, PATH).bundle
    messages = [{"role": "system", "content": "x\n"}, {"role": "user", "content": "y\n"}]
    after, written = checked_out(files, with_changes(bundle, messages=messages))
    assert written == {PATH}
    assert after.read("prompts/support/a.md") == b"x\n"


def test_line_ends_of_the_manifest_stay(full, bundle):
    files = tree(FULL.replace("\n", "\r\n"), FILES)
    after, _ = checked_out(files, with_changes(bundle, parallel_tool_calls=True))
    assert (
        after.read(PATH)
        == FULL.replace("calls: false", "calls: true").replace("\n", "\r\n").encode()
    )


def test_a_set_goes_back_to_digests_where_its_members_differ():
    files = tree("llmvc: 1\nkind: set\nmembers:\n  a: one # first\n  b: two\n", {})
    find = {"one": digest.of_bytes(b"1"), "two": digest.of_bytes(b"2")}.__getitem__
    manifest = load_manifest(files, PATH, members=find)
    assert checkout_files(files.read(PATH), manifest, manifest.bundle, {}) == {}
    target = Bundle.of("set", {"members": {"a": find("one"), "b": digest.of_bytes(b"3")}})
    data = {digest.of_bytes(item): item for item in (b"1", b"2", b"3")}
    written = checkout_files(files.read(PATH), manifest, target, data)
    after = MemoryFiles({**files.files, **written})
    assert load_manifest(after, PATH, members=find).bundle == target


TEXTS = st.text(" \n\tab#:'\"\u00e9\U0001f600-|", max_size=20)
SCHEMAS = st.fixed_dictionaries({"type": st.just("object")}, optional={"title": TEXTS})


class Drawing:
    """Draws the parts of a random manifest, and collects the files that it names."""

    def __init__(self, draw):
        self.draw = draw
        self.files = {}

    def text(self, name, inline):
        text = self.draw(TEXTS)
        if self.draw(st.booleans()):
            return {inline: text}
        self.files[name] = text
        return {"file": name}

    def schema(self, name):
        value = self.draw(SCHEMAS)
        if self.draw(st.booleans()):
            return value
        self.files[name] = json.dumps(value)
        return {"file": name}

    def message(self, at):
        head = {"role": self.draw(st.sampled_from(["system", "user"])), "engine": "none"}
        if self.draw(st.booleans()):
            count = self.draw(st.integers(1, 2))
            return {
                **head,
                "parts": [
                    {"type": "text", **self.text(f"p{at}{n}.md", "text")} for n in range(count)
                ],
            }
        return head | self.text(self.draw(st.sampled_from([f"m{at}.md", "shared.md"])), "content")

    def few_shot(self):
        rows = self.draw(
            st.lists(st.fixed_dictionaries({"vars": st.just({}), "output": TEXTS}), max_size=2)
        )
        if self.draw(st.booleans()):
            return {"examples": rows}
        self.files["s.jsonl"] = "".join(json.dumps(row) + "\n" for row in rows)
        return {"file": "s.jsonl"}

    def tools(self):
        return [
            {"name": f"t{n}", "input_schema": self.schema(f"t{n}.json")}
            for n in range(self.draw(st.integers(0, 2)))
        ]

    def decoding(self):
        return self.draw(
            st.dictionaries(
                st.sampled_from(["temperature", "top_p", "seed"]), st.none() | st.just(1)
            )
        )

    def assets(self):
        names = self.draw(
            st.lists(
                st.sampled_from(["a.txt", "b.bin", "shared.md", "m0.md"]), unique=True, max_size=3
            )
        )
        for name in names:
            self.files.setdefault(name, self.draw(TEXTS))
        return names


@st.composite
def manifests(draw):
    """A random manifest with the files that it names."""
    drawing = Drawing(draw)
    value = {
        "llmvc": 1,
        "description": draw(TEXTS),
        "messages": [drawing.message(at) for at in range(draw(st.integers(1, 3)))],
        "model": {"provider": "p", "id": draw(TEXTS.filter(bool))},
    }
    optional = {
        "variables": lambda: drawing.schema("v.json"),
        "few_shot": drawing.few_shot,
        "tools": drawing.tools,
        "response": lambda: {"format": "json_schema", "schema": drawing.schema("r.json")},
        "decoding": drawing.decoding,
        "assets": drawing.assets,
    }
    value |= {name: make() for name, make in optional.items() if draw(st.booleans())}
    write = draw(st.sampled_from([writing.document, lambda value: writing.flow(value) + "\n"]))
    return tree(write(value), drawing.files)


@given(manifests(), manifests())
@settings(max_examples=120)
def test_any_version_can_be_checked_out_over_any_other(here, there):
    other = load_manifest(there, PATH)
    checked_out(here, other.bundle, other.assets)
