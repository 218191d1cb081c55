"""Where snapshots come from: directories, HTTP, fsspec, Git; and what they must not do."""

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmvc import runtime
from llmvc.core import digest, pointer
from llmvc.errors import ConfigError, FormatError, LlmvcError, NotFoundError, StoreError, UsageError
from llmvc.runtime import web
from llmvc.runtime.sources import COARSE_S, Directory, open_source, usual_wait_s
from llmvc.runtime.web import Http
from tests.support.snapshots import World, simple

NAMES = ["../key", "a" * 63, "A" * 64, "a" * 64 + "\n", "/" + "a" * 63, ""]


class Shelf:
    """A static file server that keeps a list of what it was asked."""

    def __init__(self, folder: Path) -> None:
        shelf = self
        self.asked: list[tuple[str, str | None]] = []
        self.keys: list[str | None] = []
        self.tells_etag = True

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen = self.headers.get("If-None-Match")
                shelf.asked.append((self.path, seen))
                shelf.keys.append(self.headers.get("Authorization"))
                if self.path.startswith("/moved/"):
                    self.send_response(302)
                    self.send_header("Location", self.path.removeprefix("/moved"))
                    self.end_headers()
                    return
                path = folder / self.path.lstrip("/")
                if not path.is_file():
                    self.send_error(500 if self.path.endswith("broken/snapshot.json") else 404)
                    return
                data = path.read_bytes()
                etag = f'"{digest.of_bytes(data)}"'
                self.send_response(304 if shelf.tells_etag and seen == etag else 200)
                if shelf.tells_etag:
                    self.send_header("ETag", etag)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if seen != etag or not shelf.tells_etag:
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_a_directory_is_read_again_only_when_its_pointer_was_replaced(tmp_path: Path) -> None:
    world, _, new = simple()
    now = iter((0.0, COARSE_S + 1, COARSE_S + 2))
    source = Directory(world.write(tmp_path), clock=lambda: next(now))
    source.pointer(None)
    data, tag = source.pointer(None) or (b"", "")
    assert data == world.data()
    assert source.pointer(tag) is None
    world.release("support", "prod", new)
    world.write(tmp_path)
    assert (source.pointer(tag) or (b"",))[0] == world.data()


def test_a_pointer_that_only_its_bytes_tell_from_the_last_is_seen(tmp_path: Path) -> None:
    path, now = tmp_path / "snapshot.json", 0.0
    path.write_bytes(b"one")
    os.utime(path, (1_000, 1_000))
    source = Directory(tmp_path, clock=lambda: now)
    _, tag = source.pointer(None) or (b"", "")
    now = COARSE_S - 0.1
    path.write_bytes(b"two")  # the same inode, size and, where times are in seconds, time
    os.utime(path, (1_000, 1_000))
    assert (source.pointer(tag) or (b"",))[0] == b"two"


def test_a_directory_whose_data_is_a_link_that_is_swapped_is_read_again(tmp_path: Path) -> None:
    """So a mounted ConfigMap changes."""
    world, _, new = simple()
    world.write(tmp_path / "first")
    world.release("support", "prod", new)
    world.write(tmp_path / "second")
    (tmp_path / "data").symlink_to("first")
    source = Directory(tmp_path / "data")
    _, tag = source.pointer(None) or (b"", "")
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").replace(tmp_path / "data")
    assert (source.pointer(tag) or (b"",))[0] == world.data()


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_folder_of_objects(tmp_path: Path, name: str) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    for source in (Directory(tmp_path), Http("http://127.0.0.1:1"), open_source("memory://x")):
        with pytest.raises(FormatError, match="no object's name"):
            source.object(name)


@pytest.mark.parametrize(
    ("told", "since"),
    [(b"2026-11-20T10:00:00Z\n", 1795168800.0), (b"2026-11-20T11:00:00+01:00", 1795168800.0)],
)
def test_a_directory_tells_when_its_feeder_looked(
    tmp_path: Path, told: bytes, since: float
) -> None:
    source = Directory(tmp_path)
    assert source.checked() is None
    (tmp_path / "checked").write_bytes(told)
    assert source.checked() == since


@pytest.mark.parametrize(
    "told",
    [b"", b"yesterday", b"\xff", b"1" * 200, b"2026-11-20T10:00:00", b"2026-13-20T10:00:00Z"],
)
def test_a_time_that_is_none_is_a_problem(tmp_path: Path, told: bytes) -> None:
    (tmp_path / "checked").write_bytes(told)
    with pytest.raises(FormatError, match="no time"):
        Directory(tmp_path).checked()


def test_a_directory_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "snapshot.json").mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        Directory(tmp_path).pointer(None)


def test_what_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "snapshot.json").open("wb") as file:
        file.truncate(100 * 2**20)  # a hole: it takes no room
    data, _ = Directory(tmp_path).pointer(None) or (b"", "")
    assert len(data) == pointer.MOST + 1
    with pytest.raises(FormatError, match="more than"):
        runtime.open(tmp_path)


def test_http_asks_again_with_the_etag(tmp_path: Path, shelf: Shelf) -> None:
    world, old, new = simple()
    world.write(tmp_path)
    with runtime.open(shelf.url + "/", every_s=3600) as client:
        assert client.resolve("support").digest == old
        shelf.asked.clear()
        assert client.refresh().ok
        etag = f'"{digest.of_bytes(world.data())}"'
        assert shelf.asked == [("/snapshot.json", etag)]
        world.release("support", "prod", new)
        world.write(tmp_path)
        assert client.refresh().ok
        assert client.resolve("support").digest == new


def test_http_without_an_etag_goes_by_the_bytes(tmp_path: Path, shelf: Shelf) -> None:
    world, _, _ = simple()
    world.write(tmp_path)
    shelf.tells_etag = False
    source = Http(shelf.url)
    data, tag = source.pointer(None) or (b"", "")
    assert (data, tag) == (world.data(), digest.of_bytes(world.data()))
    assert source.pointer(tag) is None


def test_http_tells_when_its_feeder_looked_if_it_does(tmp_path: Path, shelf: Shelf) -> None:
    source = Http(shelf.url)
    assert source.checked() is None
    assert source.checked() is None
    assert len(shelf.asked) == 1
    (tmp_path / "checked").write_bytes(b"2026-11-20T10:00:00Z")
    assert Http(shelf.url).checked() == 1795168800.0
    told = [source.checked() for _ in range(web.AGAIN)]
    assert (set(told[:-1]), told[-1]) == ({None}, 1795168800.0)


def test_http_failures_are_told_apart(tmp_path: Path, shelf: Shelf) -> None:
    with pytest.raises(NotFoundError, match="is missing"):
        Http(shelf.url).pointer(None)
    with pytest.raises(StoreError, match="answers 500"):
        Http(f"{shelf.url}/broken").pointer(None)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(StoreError, match="cannot be read"):
            Http(f"http://127.0.0.1:{port}").pointer(None)


@pytest.mark.parametrize(
    "url", ["https://ada:secret@example.org/x", "https://example.org/?k=secret"]
)
def test_a_secret_in_a_url_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        open_source(url)
    assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_http_sends_the_headers_that_it_was_given(tmp_path: Path, shelf: Shelf) -> None:
    world, old, _ = simple()
    world.write(tmp_path)
    key = {"Authorization": "Bearer k"}
    with runtime.open(Http(shelf.url, headers=key), every_s=3600) as client:
        assert client.resolve("support").digest == old
    assert set(shelf.keys) == {"Bearer k"}
    shelf.keys.clear()
    assert Http(f"{shelf.url}/moved", headers=key).pointer(None)
    assert shelf.keys == ["Bearer k", None]  # a key does not follow a redirect


def test_any_url_of_fsspec_is_read() -> None:
    fsspec = pytest.importorskip("fsspec")
    world, old, new = simple()
    memory = fsspec.filesystem("memory")

    def write(world: World) -> None:
        for name, data in world.objects.items():
            memory.pipe(f"/serve-test/objects/{name}", data)
        memory.pipe("/serve-test/snapshot.json", world.data())

    write(world)
    with runtime.open("memory://serve-test", every_s=3600) as client:
        assert client.resolve("support").digest == old
        world.release("support", "prod", new)
        write(world)
        assert client.refresh().ok
        assert client.resolve("support").digest == new
    with pytest.raises(NotFoundError):
        runtime.open("memory://nothing-here")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_reads_what_fsspec_does_not_share_between_processes() -> None:
    pytest.importorskip("fsspec")
    from fsspec import register_implementation
    from fsspec.asyn import AsyncFileSystem

    world, _, new = simple()

    class Bucket(AsyncFileSystem):
        """As those of S3, Google and Azure are made."""

        protocol = "bucket-test"

        async def _cat_file(self, path: str, **_: object) -> bytes:
            name = path.rpartition("/")[2]
            if name == "snapshot.json":
                return world.data()
            if name not in world.objects:
                raise FileNotFoundError(path)
            return world.objects[name]

    register_implementation("bucket-test", Bucket, clobber=True)
    with runtime.open("bucket-test://serve", every_s=3600) as client:
        child = os.fork()
        if child == 0:
            world.release("support", "prod", new)
            os._exit(0 if client.refresh().ok and client.resolve("support").seq == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("place", ["", None, b"serve", 7], ids=repr)
def test_what_is_no_source_is_refused(place: object) -> None:
    """Above all a variable that is not set, which must not mean the working folder."""
    with pytest.raises(UsageError, match="the source is"):
        runtime.open(place)


@pytest.mark.parametrize("url", ["http://", "http://[::1", "HTTP://127.0.0.1:1", "http://a b/c"])
def test_a_url_that_leads_nowhere_is_a_failure_that_is_meant(url: str) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        open_source(url).pointer(None)


def test_an_unknown_url_names_what_to_install() -> None:
    with pytest.raises(ConfigError, match="gopher"):
        open_source("gopher://old/menu")


@pytest.mark.parametrize("names", [[".git"], ["objects", "refs", "HEAD"]], ids=["work", "bare"])
def test_a_repository_is_read_by_the_store(
    tmp_path: Path, names: list[str], git_source: list[str]
) -> None:
    repository = tmp_path / "repo"
    for name in names:
        (repository / name).mkdir(parents=True, exist_ok=True)
    assert open_source(str(repository)) == "the repository"
    assert git_source == [str(repository)]


@pytest.fixture
def git_source(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for `llmvc.store.serving`."""
    import sys
    import types

    asked: list[str] = []
    fake = types.ModuleType("llmvc.store.serving")
    fake.GitSource = lambda path: asked.append(os.fspath(path)) or "the repository"
    monkeypatch.setitem(sys.modules, "llmvc.store.serving", fake)
    return asked


def test_a_file_url_is_a_directory_and_directories_are_looked_at_most_often(tmp_path: Path) -> None:
    source = open_source(simple()[0].write(tmp_path / "a b%c").as_uri())
    assert isinstance(source, Directory)
    assert usual_wait_s(source) == 0.1
    assert usual_wait_s(Http("http://127.0.0.1:1")) == 2.0


def test_a_snapshot_in_a_repository_is_read_as_a_directory(tmp_path: Path) -> None:
    simple()[0].write(tmp_path)
    (tmp_path / ".git").mkdir()
    assert isinstance(open_source(tmp_path), Directory)


def test_every_failure_of_a_source_is_one_that_is_meant(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nothing", "http://127.0.0.1:1", "memory://nothing"):
        with pytest.raises(LlmvcError):
            open_source(place).pointer(None)
