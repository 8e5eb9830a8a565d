"""Downloads from a local server that fails in the ways that real servers do."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from training import download
from training.download import DownloadError, Source, fetch

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Host:
    """The server's content, its faults, and the Range header of each request."""

    url: str
    content: bytes = CONTENT
    cut: list[int] = field(default_factory=list)  # bytes that the next responses really send
    status: list[int] = field(default_factory=list)  # status codes of the next responses, instead of 200 or 206
    ranges: bool = True  # whether Range is honored
    length: bool = True  # whether Content-Length is sent
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *args: None  # a client may close the connection early
    server.host = Host(f"http://127.0.0.1:{server.server_port}/file")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.host
    server.shutdown()
    thread.join()
    server.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        host = self.server.host
        asked = self.headers["Range"]
        host.asked.append(asked)
        if host.status:
            return self.send_error(host.status.pop(0))
        first, last = 0, len(host.content) - 1
        if asked and host.ranges:
            begin, end = asked.removeprefix("bytes=").split("-")
            first, last = int(begin), min(last, int(end or last))
            if first > last:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(host.content)}")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(host.content)}")
        else:
            self.send_response(200)
        body = host.content[first : last + 1]
        if host.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: host.cut.pop(0)] if host.cut else body)

    def log_message(self, *args):
        pass


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_good(host, tmp_path):
    path = fetch(Source(host.url, len(CONTENT), SHA256), tmp_path / "a")
    assert path == tmp_path / "a"
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["a"]
    assert host.asked == [None]


def test_a_verified_file_is_not_fetched_again(host, tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    fetch(Source(host.url, sha256=SHA256), tmp_path / "a")
    assert host.asked == []


def test_a_file_with_another_checksum_is_deleted(host, tmp_path):
    (tmp_path / "a").write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match="Received"):
        fetch(Source(host.url, size=len(CONTENT)), tmp_path / "a")
    assert names(tmp_path) == []


@pytest.mark.parametrize("source", [{}, {"size": len(CONTENT)}, {"first": 5_000}])
def test_a_cut_off_transfer_goes_on_where_it_stopped(host, tmp_path, source):
    host.cut = [1_000, 500]
    path = fetch(Source(host.url, **source), tmp_path / "a")
    assert path.read_bytes() == CONTENT[: source.get("first")]
    assert [asked and asked.split("-")[0] for asked in host.asked[1:]] == ["bytes=1000", "bytes=1500"]


def test_giving_up_leaves_the_part_for_the_next_run(host, tmp_path):
    host.cut = [100] * download.ATTEMPTS
    with pytest.raises(DownloadError, match="run again"):
        fetch(Source(host.url, sha256=SHA256), tmp_path / "a")
    assert names(tmp_path) == ["a.part"]
    assert (tmp_path / "a.part").read_bytes() == CONTENT[: 100 * download.ATTEMPTS]
    fetch(Source(host.url, sha256=SHA256), tmp_path / "a")
    assert host.asked[-1] == "bytes=400-"
    assert names(tmp_path) == ["a"]


def test_a_server_that_ignores_range_sends_all_again(host, tmp_path):
    host.ranges = False
    (tmp_path / "a.part").write_bytes(b"x" * 1_000)
    assert fetch(Source(host.url, sha256=SHA256), tmp_path / "a").read_bytes() == CONTENT
    assert host.asked == ["bytes=1000-"]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_killed_run_may_leave_a_whole_part(host, tmp_path, size):
    (tmp_path / "a.part").write_bytes(CONTENT)
    assert fetch(Source(host.url, size, SHA256), tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_longer_than_the_file_is_dropped(host, tmp_path, size):
    (tmp_path / "a.part").write_bytes(CONTENT + b"x")
    assert fetch(Source(host.url, size, SHA256), tmp_path / "a").read_bytes() == CONTENT


def test_wrong_checksum(host, tmp_path):
    with pytest.raises(DownloadError, match=f"Received: .*{SHA256}"):
        fetch(Source(host.url, sha256="0" * 64), tmp_path / "a")
    assert names(tmp_path) == []


def test_a_corrupt_part_is_deleted_and_the_next_run_starts_again(host, tmp_path):
    (tmp_path / "a.part").write_bytes(b"x" * 1_000)
    source = Source(host.url, sha256=SHA256)
    with pytest.raises(DownloadError):
        fetch(source, tmp_path / "a")
    assert fetch(source, tmp_path / "a").read_bytes() == CONTENT


def test_wrong_size(host, tmp_path):
    with pytest.raises(DownloadError, match=rf"must have 7 bytes. Received: {len(CONTENT)}"):
        fetch(Source(host.url, size=7), tmp_path / "a")
    assert names(tmp_path) == []
    assert len(host.asked) == 1


def test_404(host, tmp_path):
    host.status = [404]
    with pytest.raises(DownloadError, match="Received: 404"):
        fetch(Source(host.url), tmp_path / "a")
    assert names(tmp_path) == []
    assert len(host.asked) == 1


def test_a_busy_server_is_asked_again(host, tmp_path):
    host.status = [503, 429]
    assert fetch(Source(host.url), tmp_path / "a").read_bytes() == CONTENT


def test_nobody_listens(host, tmp_path):
    with pytest.raises(DownloadError, match="refused"):
        fetch(Source("http://127.0.0.1:1/file"), tmp_path / "a")
    assert names(tmp_path) == []


def test_a_server_that_sends_no_length(host, tmp_path):
    host.length = False
    host.cut = [1_000]
    assert fetch(Source(host.url, len(CONTENT), SHA256), tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(("first", "received"), [(1, 1), (300, 300), (99_999, len(CONTENT))])
def test_first_bytes(host, tmp_path, ranges, first, received):
    host.ranges = ranges
    path = fetch(Source(host.url, first=first), tmp_path / "a")
    assert path.read_bytes() == CONTENT[:received]
    assert host.asked == [f"bytes=0-{first - 1}"]
