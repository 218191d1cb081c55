"""The agent's HTTP face, over real connections."""

import http.client
import json
import socket
import urllib.request
from contextlib import closing
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from llmvc import runtime
from llmvc.core import digest
from llmvc.places import Folder
from llmvc.runtime import server
from llmvc.runtime.agent import Agent
from llmvc.runtime.answers import Answers
from llmvc.runtime.export import export
from llmvc.runtime.fleet import read
from llmvc.runtime.heart import Heart
from llmvc.runtime.server import serve
from tests.serving.beats import beat
from tests.serving.build import digests, llmvc, load, roll_back, tips, tree, until
from tests.store.build import bundle, opened

JSON = {"Content-Type": "application/json"}
GET = "GET /v1/resolve?bundle=support HTTP/1.1\r\nHost: localhost\r\n"
POST = "POST /v1/render HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def agent(source, served):
    said = []
    found = Agent(source, Folder(served), "this repository", tell=said.append)
    found.said = said
    return found


@pytest.fixture
def url(agent):
    with serve(agent, "0") as found:
        yield found


def ask(url, path, *, method="GET", body=None, headers=None):
    """Returns status, headers and body of one answer, whatever it is."""
    data = json.dumps(body).encode() if isinstance(body, dict | list) else body
    asked = urllib.request.Request(
        url + path, data=data, method=method, headers=JSON if headers is None else headers
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except HTTPError as err:
        with err:
            return err.code, err.headers, err.read()


def told(url, path, **more):
    status, headers, body = ask(url, path, **more)
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(body)


def raw(url, text):
    """Sends bytes and returns all that comes back."""
    parts = urlsplit(url)
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=10)) as made:
        made.sendall(text if isinstance(text, bytes) else text.encode())
        made.shutdown(socket.SHUT_WR)
        found = b""
        while part := made.recv(65536):
            found += part
    return found.decode()


def test_the_snapshot_is_served_with_a_tag(url, served):
    status, headers, body = ask(url, "/snapshot.json")
    assert (status, body) == (200, (served / "snapshot.json").read_bytes())
    assert headers["ETag"] == f'"{digest.of_bytes(body)[3:]}"'
    status, _, body = ask(url, "/snapshot.json", headers={"If-None-Match": headers["ETag"]})
    assert (status, body) == (304, b"")
    for path, data in tree(served).items():
        assert ask(url, f"/{path}")[2] == data


def test_a_client_and_an_agent_can_read_it(url, served, tmp_path):
    with runtime.open(url) as client:
        assert client.resolve("support").digest == bundle("two").digest
    from llmvc.runtime.sources import open_source

    export(open_source(url), Folder(tmp_path / "next"))
    assert tree(tmp_path / "next") == tree(served)


def test_resolve_and_render_are_those_of_the_sdk(url, served):
    with runtime.open(served) as client:
        given = client.resolve("support", unit="u1")
        body = given.render({})
    status, found = told(url, "/v1/resolve?bundle=support&env=prod&unit=u1")
    assert status == 200
    expected = {name: value for name, value in given._asdict().items() if name != "bundle"}
    for one in (expected, found):
        assert one.pop("stale_s") >= 0
    assert found == expected
    asked = {"bundle": "support", "unit": "u1", "variables": {}}
    status, found = told(url, "/v1/render", method="POST", body=asked)
    assert (status, found["request"]) == (200, body)
    asked |= {"pin": found["assignment"]["pin"], "api": "messages"}
    status, found = told(url, "/v1/render", method="POST", body=asked)
    assert (found["assignment"]["arm"], found["request"]) == (
        "pinned",
        given.render({}, api="messages"),
    )


def test_a_rollback_reaches_resolve(url, agent, origin):
    assert told(url, "/v1/resolve?bundle=support")[1]["seq"] == 2
    with opened(origin) as repo:
        roll_back(repo.chain("support", "prod"), "one")
    agent.look()
    until(lambda: told(url, "/v1/resolve?bundle=support")[1]["seq"] == 3)
    assert told(url, "/v1/resolve?bundle=support")[1]["digest"] in digests("one")


def test_heartbeats_are_collected(url, served, origin, cli, monkeypatch):
    one = Heart(url)
    one.beat(tips(served))
    assert one.trouble == ""
    assert read([url])[0] == read([str(served)])[0]
    monkeypatch.chdir(origin)
    assert cli.json("fleet", "--heartbeats", url)["proven"]
    one.stop()
    assert (one.trouble, read([url])) == ("", ((), ()))


def test_health_tells_of_trouble(url, agent, tmp_path):
    status, found = told(url, "/healthz")
    assert (status, found["ok"], found["problem"], found["older"]) == (200, True, None, 0)
    agent.place = Folder(tmp_path / "file")
    (tmp_path / "file").write_text("x")
    agent.look()
    status, found = told(url, "/healthz")
    assert (status, found["ok"], found["seqs"]) == (503, False, {"support/prod": 2})
    assert told(url, "/v1/resolve?bundle=support")[0] == 200  # what was good is served on
    assert "cannot" in found["problem"]


def test_an_agent_that_has_seen_nothing_serves_once_it_has(source, tmp_path):
    top = tmp_path / "later"
    agent = Agent(source, Folder(top), "this repository")
    with serve(agent, "127.0.0.1:0") as url:
        for path in ("/v1/resolve?bundle=support", "/healthz"):
            assert told(url, path)[0] == 503
        assert told(url, "/snapshot.json")[0] == 404
        agent.look()
        assert told(url, "/healthz")[0] == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/objects/", 404),
        ("/objects/" + "0" * 64, 404),
        ("/objects/" + "A" * 64, 404),
        ("/objects/../snapshot.json", 404),
        ("/objects/%2e%2e/snapshot.json", 404),
        ("/../../etc/passwd", 404),
        ("/fleet/host-1-1.json", 404),
        ("/.lock", 404),
        ("/snapshot.json/", 404),
        ("/v1/resolve", 400),
        ("/v1/resolve?bundle=", 400),
        ("/v1/resolve?bundle=other", 404),
        ("/v1/resolve?bundle=support&env=nowhere", 404),
        ("/v1/resolve?bundle=support&unit=", 400),
        ("/v1/resolve?bundle=support&units=u1", 400),
        ("/v1/resolve?bundle=support&unit=%ff", 400),
        ("/v1/resolve?bundle=support&unit=%C3", 400),
        ("/v1/resolve?bundle=support&unit=%ED%A0%80", 400),
        ("/v1/resolve?bundle=support" + "&unit=u" * 20, 400),
        ("/v1/render", 404),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_refused(url, path, status):
    found, error = told(url, path)
    assert found == status
    assert error["error"]["message"]


def test_a_unit_that_is_sent_unspelt_is_refused_and_not_read_as_another(url):
    asked = "GET /v1/resolve?bundle=support&unit=J\u00fcrgen HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert "HTTP/1.1 400 " in raw(url, asked)
    assert told(url, "/v1/resolve?bundle=support&unit=J%C3%BCrgen")[1]["unit"] == "J\u00fcrgen"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/resolve?bundle=support&unit=a&env=prod&unit=b", None),
        ("/v1/render", b'{"bundle": "support", "unit": "a", "unit": "b"}'),
        ("/v1/render", b'{"bundle": "support", "variables": {"unit": 1, "unit": 2}}'),
        ("/v1/heartbeat", b'{"llmvc": "heartbeat/1", "unit": 1, "unit": 2}'),
    ],
)
def test_what_is_said_twice_is_refused_by_its_name(url, path, body):
    status, found = told(url, path, method="POST" if body else "GET", body=body)
    assert (status, "'unit'" in found["error"]["message"]) == (400, True)


def test_two_faults_have_two_messages(url):
    messages = []
    for more in ({"more": 1}, {"unit": 1}, {"variables": 1}, {"member": 1}):
        asked = {"bundle": "support", **more}
        messages.append(told(url, "/v1/render", method="POST", body=asked)[1]["error"]["message"])
    assert messages == [
        "'more' is not known here",
        "unit is no text",
        "variables is no object",
        "member is no text",
    ]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bug_is_an_answer_too(url, monkeypatch, method):
    monkeypatch.setattr(Answers, "_resolve", lambda *_: 1 / 0)
    path = "/v1/resolve?bundle=support" if method == "GET" else "/v1/render"
    status, found = told(url, path, method=method, body=b"{}" if method == "POST" else None)
    assert (status, found["error"]["code"]) == (500, "bug")
    assert ask(url, "/healthz")[0] == 200


def test_objects_may_be_kept_for_good_and_the_pointer_is_asked_for_each_time(url, served):
    (one, *_) = (served / "objects").iterdir()
    kept = [f"/objects/{one.name}", "/snapshot.json", f"/objects/{'0' * 64}", "/healthz"]
    found = [ask(url, path)[1]["Cache-Control"] for path in kept]
    assert found == ["public, max-age=31536000, immutable", *["no-cache"] * 3]


@pytest.mark.parametrize("path", ["/snapshot.json", "/v1/resolve?bundle=support", "/nowhere"])
def test_a_head_is_a_get_without_a_body(url, path):
    status, headers, body = ask(url, path, method="HEAD")
    wanted, others, data = ask(url, path)
    assert (status, body, headers.keys()) == (wanted, b"", others.keys())
    assert headers["ETag"] == others["ETag"]
    if "resolve" not in path:  # whose `stale_s` grows
        assert headers["Content-Length"] == str(len(data))
    again = raw(url, f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
    assert again.count("HTTP/1.1 ") == 2  # nothing lies in between


@pytest.mark.parametrize(
    "body",
    [
        b'{"bundle": "\\ud800"}',
        b'{"bundle": "support", "unit": "\\ud800"}',
        b'{"bundle": "support", "variables": {"message": "\\ud800"}}',
        b'{"bundle": "support", "variables": {"\\ud800": 1}}',
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        {},
        {"bundle": 1},
        {"bundle": "support", "variables": []},
        {"bundle": "support", "variables": {}, "more": 1},
        {"bundle": "support", "variables": {}, "api": "telnet"},
        {"bundle": "support", "variables": {}, "api": 7},
        {"bundle": "support", "variables": {}, "member": "x"},
        {"bundle": "support", "variables": {}, "member": {}},
        {"bundle": "support", "variables": {}, "unit": 7},
        {"bundle": "support", "variables": {}, "unit": ""},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_body_that_makes_no_sense_is_refused(url, body):
    status, found = told(url, "/v1/render", method="POST", body=body)
    assert status == 400
    assert found["error"]["code"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("name", ["..%2F..%2Fsnapshot", "../snapshot", ".x", "", "a b"])
def test_a_heartbeat_cannot_be_named_out_of_its_folder(url, served, method, name):
    before = tree(served)
    path = "/v1/heartbeat" + ("" if method == "POST" else f"/{name.replace(' ', '%20')}")
    body = json.loads(beat().to_bytes()) | {"process": name}
    status, _ = told(url, path, method=method, body=body if method == "POST" else None)
    assert status == 400
    assert tree(served) == before


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /snapshot.json HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        ("GET /snapshot.json HTTP/1.1\r\nHost: evil.example:8900\r\n\r\n", 403),
        ("GET /snapshot.json HTTP/1.1\r\n\r\n", 403),
        (GET + "Origin: http://evil.example\r\n\r\n", 403),
        (GET + "Origin: null\r\n\r\n", 403),
        (POST + "Origin: http://localhost\r\nContent-Length: 2\r\n\r\n{}", 403),
        ("GET /snapshot.json HTTP/1.1\r\nHost: [::1\r\n\r\n", 403),
        ("POST /v1/render HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415),
        (POST + "\r\n", 411),
        (POST + "Content-Length: -5\r\n\r\n", 411),
        (POST + f"Content-Length: {server.MOST_BODY + 1}\r\n\r\n", 413),
        ("GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("PUT /snapshot.json HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
        (f"GET /{'x' * 70_000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"\x16\x03\x01\x00\xa5 \x00\r\n\r\n", 400),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_a_page_could_send_and_what_is_no_request_is_refused(url, request_, status):
    found = raw(url, request_)
    assert f" {status} " in found.split("\r\n")[0] or found.startswith("{")
    assert '"error"' in found
    assert ask(url, "/healthz")[0] == 200


def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(url):
    again = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    found = raw(url, f"{GET}Content-Length: {len(again)}\r\n\r\n{again}")
    assert found.count("HTTP/1.1 ") == 1
    assert "\r\nConnection: close\r\n" in found


@pytest.mark.parametrize("times", [2, 12])
def test_who_sends_too_much_is_told_so(url, times):
    status, found = told(url, "/v1/render", method="POST", body=b" " * server.MOST_BODY * times)
    assert (status, "more than" in found["error"]["message"]) == (413, True)


def test_more_connections_than_allowed_are_closed(agent, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)
    with serve(agent, "0") as url:
        parts = urlsplit(url)
        held = [http.client.HTTPConnection(parts.hostname, parts.port, timeout=10) for _ in "ab"]
        for one in held:
            one.request("GET", "/healthz")
            one.getresponse().read()
        with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)) as third:
            third.request("GET", "/healthz")
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                third.getresponse()
        for one in held:
            one.close()
        until(lambda: _answers(url))


def _answers(url):
    try:
        return ask(url, "/healthz")[0] == 200
    except OSError:
        return False


def test_a_peer_that_says_nothing_is_given_up(agent, monkeypatch):
    monkeypatch.setattr(server._Handler, "timeout", 0.1)
    with serve(agent, "0") as url:
        parts = urlsplit(url)
        with closing(socket.create_connection((parts.hostname, parts.port), timeout=10)) as slow:
            slow.sendall(b"GET /health")
            assert slow.recv(1) == b""


def test_an_address_that_others_reach_is_said_to_be_open(agent):
    with serve(agent, "0.0.0.0:0"):
        pass
    assert any("other machines" in line for line in agent.said)


def test_an_address_that_is_taken_is_an_error(url, cli, tmp_path, served):
    at, to = urlsplit(url).netloc, str(tmp_path / "x")
    done = cli("agent", "--from", str(served), "--to", to, "--http", at, code=4)
    assert f"cannot serve at {at}" in done.err


def test_a_path_that_is_not_known_is_refused_without_a_folder():
    found = Answers(None).to("GET", "/nowhere")
    assert (found.status, json.loads(found.body)["error"]["code"]) == (404, "not-found")


def test_an_agent_process_serves_and_ends_cleanly(origin, tmp_path):
    top = tmp_path / "served"
    with llmvc("agent", "--to", top, "--http", "127.0.0.1:0", cwd=origin) as child:
        url = child.stderr.readline().split()[-1]
        until(lambda: _answers(url))
        assert told(url, "/v1/resolve?bundle=support")[1]["seq"] == 2
        child.terminate()
        child.communicate(timeout=20)
    assert child.returncode == 0
    assert load(top).seqs == {("support", "prod"): 2}
