"""Pictures that are costly to decode go to a separate process, which can be killed and has almost no rights."""

import os
import re
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest
from PIL import Image

from inkling import problems
from inkling.config import ROOT, Settings
from inkling.pictures import reading, sandbox
from inkling.pictures.budget import Budget
from inkling.pictures.containers import strip
from inkling.pictures.decode import Job
from tests.hostile.build import bmp, chunk, encode, png, scene, segment
from tests.hostile.files import one_bit

SETTINGS = Settings.from_env({})
SECONDS = 60  # for each picture; generous, because the machine may be busy
GIF = encode(scene(), "GIF")


@pytest.fixture
def pool(monkeypatch):
    """A pool that only this test uses."""
    pool = sandbox.Pool(SETTINGS.decode_memory)
    monkeypatch.setattr(sandbox, "pool", lambda *limits: pool)
    return pool


def read(data, name="a.gif", settings=SETTINGS, seconds=SECONDS):
    return reading.read_file(data, name, settings, Budget(seconds))


def reason(data, name, settings=SETTINGS, seconds=SECONDS):
    with pytest.raises(problems.Problem) as caught:
        read(data, name, settings, seconds)
    return caught.value.reason


def slow():
    """A PNG of fifty million rows. Decoding it takes at least a second on any processor."""
    return png(1, 50_000_000, one_bit(1, 50_000_000), bits=1)


def wide():
    """A PNG that decodes to 25 million bytes."""
    return png(5000, 5000, chunk(b"IDAT", zlib.compress(bytes(5001 * 5000), 1)))


def status(pid, word):
    return re.search(rf"^{word}:?\s+(.*)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)[1].split()[0]


# ---- Where pictures are decoded ----


@pytest.mark.parametrize(
    ("name", "kind", "size", "options", "elsewhere"),
    [
        ("a.png", "PNG", (400, 400), {}, False),
        ("a.jpg", "JPEG", (4000, 3000), {}, False),
        ("a.png", "PNG", (3000, 2000), {"compress_level": 1}, True),
        ("a.jpg", "JPEG", (40, 30), {"progressive": True}, True),
        ("a.gif", "GIF", (40, 30), {}, True),
        ("a.bmp", "BMP", (40, 30), {}, True),
        ("a.webp", "WEBP", (40, 30), {}, True),
        ("a.heic", "HEIF", (40, 30), {}, True),
        ("a.avif", "AVIF", (40, 30), {}, True),
    ],
)
def test_only_plain_pictures_are_decoded_here(pool, monkeypatch, name, kind, size, options, elsewhere):
    here, real = [], reading.decode
    monkeypatch.setattr(reading, "decode", lambda *given: here.append(given) or real(*given))
    image = read(encode(scene(*size), kind, **options), name)
    assert (bool(here), bool(pool._idle)) == (not elsewhere, elsewhere)
    assert image.width / image.height == pytest.approx(size[0] / size[1], rel=0.01)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(
            b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11", b"\xff\xda\0\x08\1\1\0"
        ),  # the first scan holds one component of three
        lambda data: data[:-2] + data[data.index(b"\xff\xc0") :][:19] + data[-2:],
        lambda data: data.replace(b"\xff\xc0", b"\xff\xc2"),
        lambda data: data.replace(b"\xff\xc0", b"\xff\xc9"),
        lambda data: data.replace(b"\xff\xc0", b"\xff\xc0\0\2\xff\xc0"),
        lambda data: data[:2] + segment(0xDB, bytes(65)) * 100 + data[2:],
    ],
)
def test_a_jpeg_that_may_take_room_for_the_whole_is_not_plain(change):
    data = encode(scene(), "JPEG")
    assert strip("JPEG", data).plain
    changed = change(data)
    assert changed != data
    assert not strip("JPEG", changed).plain


@pytest.mark.parametrize("code", [0xE0, 0xDB, 0xC4, 0xC0])
@pytest.mark.parametrize("length", [0, 1])
def test_an_invalid_segment_length_is_refused(pool, code, length):
    """Decoders ignore a length below 2, so they may continue at another place than a parser that trusts the length."""
    data = encode(scene(), "JPEG")
    assert reason(data[:2] + bytes([0xFF, code, 0, length]) + data[2:], "a.jpg") == "truncated"
    assert not pool._idle, "no decoder process was started"


def test_of_many_exif_segments_the_first_is_read(pool):
    def turned(way):
        exif = Image.Exif()
        exif[0x0112] = way
        return segment(0xE1, exif.tobytes())

    data = encode(scene(), "JPEG")
    other = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + bytes(99))
    assert read(data[:2] + other + turned(6) + turned(1) + data[2:], "a.jpg").size == (80, 120)


def test_one_process_decodes_many_pictures(pool):
    pids = set()
    for _ in range(3):
        assert read(GIF).size == (120, 80)
        (waiting,) = pool._idle
        pids.add(waiting.process.pid)
    assert len(pids) == 1


def test_pictures_that_come_together_are_decoded_together(pool, monkeypatch):
    all_there, ask = threading.Barrier(3, timeout=30), pool._ask
    monkeypatch.setattr(pool, "_ask", lambda *given: (all_there.wait(), ask(*given))[1])
    threads = [threading.Thread(target=read, args=(GIF,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pool._idle) == 3


# ---- When a decoder exits or is killed ----


@pytest.mark.parametrize(("seconds", "megabytes", "make"), [(1, 1024, slow), (3, 40, wide)], ids=["time", "memory"])
def test_what_takes_too_much_is_too_large(pool, seconds, megabytes, make):
    assert read(GIF).size == (120, 80)
    pool._megabytes, pool._idle = megabytes, []
    assert reason(make(), "a.png", SETTINGS.replace(decode_seconds=seconds)) == "too-large"
    pool._megabytes = 1024
    assert read(GIF).size == (120, 80), "the next picture is decoded"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (-signal.SIGSEGV, "truncated"),
        (-signal.SIGABRT, "truncated"),
        (1, "truncated"),
        (-signal.SIGPROF, "too-large"),
        (-signal.SIGKILL, "too-large"),
    ],
)
def test_the_reason_tells_a_crash_from_an_overrun(pool, monkeypatch, status, expected):
    def end(*_):
        raise sandbox.DecoderEnded(status)

    monkeypatch.setattr(pool, "ask", end)
    assert reason(GIF, "a.gif") == expected


def test_without_a_decoder_process_the_reason_is_busy(pool, monkeypatch):
    def fail(*_, **__):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", fail)
    assert reason(GIF, "a.gif") == "busy"


def test_a_crash_in_the_middle_is_an_end():
    one, data = sandbox.Decoder(1024), slow()
    job = Job("PNG", 1, 1024, 10, 20, SETTINGS.max_pixels, 1)
    assert one.ask(job._replace(format="GIF")._asdict(), GIF)[0] == {"size": [120, 80]}, "the decoder has started"
    threading.Timer(0.2, one.process.send_signal, (signal.SIGSEGV,)).start()
    with pytest.raises(sandbox.DecoderEnded) as caught:
        one.ask(job._asdict(), data)
    assert (caught.value.status, caught.value.overran) == (-signal.SIGSEGV, False)


def test_a_hanging_decoder_is_killed_and_the_picture_is_not_blamed(pool):
    one = sandbox.Decoder(1024)
    one.process.send_signal(signal.SIGSTOP)
    pool._idle = [one]
    assert reason(GIF, "a.gif", seconds=0.2) == "late"
    assert one.process.wait() == -signal.SIGKILL
    assert read(GIF).size == (120, 80), "the next picture is decoded"


def test_a_dead_decoder_is_replaced(pool):
    read(GIF)
    (gone,) = pool._idle
    gone.process.kill()
    gone.process.wait()
    assert read(GIF).size == (120, 80)
    assert gone not in pool._idle


def test_a_decoder_exits_when_its_worker_is_gone(pool):
    read(GIF)
    (one,) = pool._idle
    one._connection.close()
    assert one.process.wait(20) == 0


def test_an_idle_decoder_exits():
    code = (
        "import sys; from multiprocessing.connection import Pipe; from inkling.pictures import sandboxed; "
        "sandboxed.IDLE = 0.01; ours, theirs = Pipe(); sandboxed.main(theirs, 1024)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=30).returncode == 0


# ---- Isolation ----


def test_it_can_do_nothing_else(pool, monkeypatch):
    monkeypatch.setenv("INKLING_SECRET_KEY", "a key that only we know")
    read(GIF)
    (one,) = pool._idle
    proc = Path(f"/proc/{one.process.pid}")
    assert b"INKLING" not in (proc / "environ").read_bytes()
    assert (proc / "oom_score_adj").read_text() == "1000\n"
    assert status(one.process.pid, "Max file size") == "0"
    assert status(one.process.pid, "Max data size") == str(SETTINGS.decode_memory * 2**20)
    assert os.getpgid(one.process.pid) != os.getpgid(0), "decoder processes ignore Ctrl-C"
    open_files = {os.readlink(file) for file in (proc / "fd").iterdir()}
    assert {re.sub(r"\d+", "", name) for name in open_files} == {"/dev/null", "socket:[]"}


def test_a_lower_limit_of_the_system_stays():
    code = (
        "import sys; from inkling.pictures import reading; from inkling.pictures.budget import Budget; "
        "from inkling.config import Settings; "
        "print(reading.read_file(sys.stdin.buffer.read(), 'a.gif', Settings.from_env({}), Budget(60)).size)"
    )
    done = subprocess.run(
        ["sh", "-c", 'ulimit -d 500000; exec "$0" -c "$1"', sys.executable, code],
        input=GIF,
        cwd=ROOT,
        capture_output=True,
    )
    assert done.stdout == b"(120, 80)\n", done.stderr


def test_the_settings_are_the_limits(monkeypatch):
    asked = []

    class Noted(sandbox.Pool):
        def ask(self, job, data):
            asked.append((job["cpu_seconds"], self._megabytes))
            return super().ask(job, data)

    monkeypatch.setattr(sandbox, "pool", Noted)
    read(GIF, settings=SETTINGS.replace(decode_seconds=7, decode_memory=700))
    assert asked == [(7, 700)]


def test_the_response_of_a_decoder_is_not_trusted(pool, monkeypatch):
    for answer in (
        ({"size": [9, 9]}, b"short"),
        ({"size": [-1, 0]}, b""),
        ({"refused": 7}, b""),
        ({}, b""),
        ({"refused": ["nonsense", "", ""]}, b""),
    ):
        monkeypatch.setattr(pool, "ask", lambda *_, answer=answer: answer)
        assert reason(bmp(9, 9, data=bytes(108)), "a.bmp") == "truncated"
