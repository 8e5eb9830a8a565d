"""The server: gunicorn's settings and hooks, for `inkling serve` and, through gunicorn.conf.py, for `gunicorn app:app`.

The master process runs this module but must not import `inkling.web.edge`: metrics that exist before the fork would not
be counted in each worker's own files.
"""

import array
import ctypes
import gc
import importlib
import ipaddress
import logging
import mmap
import multiprocessing
import os
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache, partial
from typing import Any

from gunicorn import glogging, util
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn, ThreadWorker
from prometheus_client import multiprocess

from inkling import access
from inkling.config import Settings
from inkling.recognition import catalog, inputs
from inkling.recognition.pretrained.build import build_and_log
from inkling.recognition.runtimes import openvino
from inkling.storage import Storage, StoreError
from inkling.web import counters, logs

log = logging.getLogger("inkling.server")

SHARED_MEMORY = "/dev/shm"  # a folder in memory, on Linux
# Loaded before the fork, like OpenVINO: workers share 42 MB and start sooner.
PRELOADED = ("cv2", "flask", "flask_babel", "httpx", "limits", "markdown_it", "pydantic", "sqlalchemy.orm")
READ_AHEAD = 2**18  # bytes of a body, as many as the app reads; gunicorn copies further bytes at every read
ANY_ADDRESS = ("0.0.0.0", "::")
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # parameters of mallopt(3)
LARGE_BLOCK = 8 * 2**20  # bytes
# Threads of a worker beside those of the admission control. A client that sends nothing, or sends slowly, holds one.
SPARE_THREADS = 600
KEPT_ALIVE = 400  # connections of a worker that hold no thread, because their client may ask again
HEADERS = 64  # of a request, of up to 8 kB each; a browser behind two proxies sends about 40
HEAD_BYTES = 2**15  # of all headers of a request together, as many as nginx accepts; cookies have up to 8 kB
HEAD_SECONDS = 10  # for the request line and the headers of a request to arrive
OPEN = (
    "Inkling listens on %s, port %s, and INKLING_TRUSTED_PROXIES names no proxy. Whoever reaches this port speaks to "
    "gunicorn itself: without TLS, and without a proxy's protection from floods. If a proxy does stand in front, all "
    "its visitors count as one client until it is named. Otherwise put one there, or listen on a loopback address "
    "(INKLING_HOST): see docs/operate/deploy.md."
)
# Seconds that a thread waits for the next request of the client that it has answered, and the most threads that wait in
# this way. A request that comes through the thread that accepts takes 8% more processor time.
NEXT_SECONDS, MOST_WAITING = 0.5, 64
HEAD_START = 0.002  # seconds that a worker leaves one with fewer connections to accept the next
CROWD = 64  # connections of a worker, from which on it waits for no other one: many clients spread by themselves
MOST_WORKERS, NO_WORKER = 256, 2**31 - 1
START_SECONDS = 120  # that new workers get to open their models before the old ones stop anyway


class Server(BaseApplication):
    """gunicorn with the app. GUNICORN_CMD_ARGS may change its settings."""

    def __init__(self, settings: Settings):
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        from_environment = vars(self.cfg.parser().parse_args(self.cfg.get_cmd_args_from_env()))
        changes = {name: value for name, value in from_environment.items() if value is not None and name != "args"}
        for name, value in (options(self._settings) | changes).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from inkling.web.app import create_app  # in the worker: see above

        return create_app(self._settings.replace(web_concurrency=self._settings.workers))


class Master(Arbiter):
    """gunicorn's master process. It stops workers only once those that replace them are ready."""

    stopping = False  # whether a signal has asked it to stop, which it handles when it has done what it is doing

    def signal(self, sig: int, frame: Any) -> None:
        self.stopping |= sig in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
        super().signal(sig, frame)

    def manage_workers(self) -> None:
        limit = time.monotonic() + START_SECONDS
        while len(self.WORKERS) > self.num_workers and not self._replaced():
            if self.stopping or time.monotonic() > limit:
                break
            time.sleep(0.1)
            try:
                self.reap_workers()
            except HaltServer as error:
                self.log.error("A new worker did not start. %s", error.reason)
        super().manage_workers()

    def spawn_worker(self) -> int:
        """Starts a worker. Where the machine has no room for it now, gunicorn tries again a second later."""
        try:
            return super().spawn_worker()
        except OSError as error:
            self.log.error("A worker cannot be started. %s", error)
            return 0

    def _replaced(self) -> bool:
        """Whether the newest workers, as many as are to stay, have sent a heartbeat: they do when they accept."""
        newest = sorted(self.WORKERS.values(), key=lambda worker: worker.age)[-self.num_workers :]
        return all(worker.tmp.last_update() != worker.born for worker in newest)


class Worker(ThreadWorker):
    """gunicorn's worker with threads, in which slow clients hold a thread for a while, and never the one that accepts.

    It closes the connection of a client whose head does not arrive in time.

    Attributes:
        number: see `pre_fork`.
        connections: those that each worker has open, by its number; `NO_WORKER` where there is none.
    """

    number: int
    connections: memoryview

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._due: dict[TConn, float] = {}  # when the head must have arrived, by the monotonic clock
        self._waiting = threading.Semaphore(MOST_WAITING)  # for the next request: see `_continues`

    def notify(self) -> None:  # gunicorn calls it before each wait for events
        super().notify()
        self.connections[self.number] = self.nr_conns

    def accept(self, listener: Any) -> None:
        """Accepts a connection, unless a worker that has fewer does so first.

        Otherwise one worker accepts nearly all connections that come one after the other, and answers alone as long as
        they stay open.
        """
        if min(self.connections) < self.nr_conns < CROWD:
            time.sleep(HEAD_START)
        super().accept(listener)

    def handle(self, conn: TConn) -> Any:
        """Answers a connection's requests, as long as each begins soon after the last answer."""
        kept = self._handle(conn)
        while kept is True and self._continues(conn):
            kept = self._handle(conn)
        if not kept:
            # The client gets two seconds to read the end and to close. gunicorn would wait in the thread that accepts.
            with suppress(OSError):
                util.close_graceful(conn.sock.dup())
                conn.sock.shutdown(socket.SHUT_RD)
        return kept

    def _handle(self, conn: TConn) -> Any:
        self._due[conn] = time.monotonic() + HEAD_SECONDS
        try:
            return super().handle(conn)
        finally:
            self._due.pop(conn, None)

    def _continues(self, conn: TConn) -> bool:
        """Whether the next request begins within `NEXT_SECONDS`. `MOST_WAITING` threads may wait for one."""
        if not self.alive or conn.parser.unreader.buf.getvalue() or not self._waiting.acquire(blocking=False):
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(1000 * NEXT_SECONDS))
        finally:
            self._waiting.release()

    def handle_request(self, req: Any, conn: TConn) -> Any:
        self._due.pop(conn, None)
        return super().handle_request(req, conn)

    def murder_pending(self) -> None:  # gunicorn calls it every second
        super().murder_pending()
        for conn, due in list(self._due.items()):
            if due < time.monotonic():
                with suppress(OSError):  # the client has closed the connection
                    conn.sock.shutdown(socket.SHUT_RD)


class Head(Request):
    """gunicorn's request, with a limit on all of its headers together, which gunicorn has only for each."""

    def parse(self, unreader: Any) -> Any:
        self.max_buffer_headers = HEAD_BYTES
        return super().parse(unreader)


class Log(glogging.Logger):
    """Disables gunicorn's access log: the app logs requests itself."""

    def access(self, *_: Any) -> None:
        pass


def run(settings: Settings) -> None:
    """Serves the app until SIGTERM."""
    Server(settings).run()


def options(settings: Settings) -> dict[str, Any]:
    """gunicorn's settings and hooks by name."""
    # Answers, explanations and lessons that run or wait (edge/admission.py), and the threads for all other requests.
    threads = 2 * (settings.concurrent + settings.queue) + 8 + SPARE_THREADS
    return {
        "bind": settings.bind,
        "workers": settings.workers,
        "raw_env": [f"WEB_CONCURRENCY={settings.workers}"],  # for the settings of `app:app`
        "worker_class": Worker,
        "threads": threads,
        "worker_connections": threads + KEPT_ALIVE,
        "limit_request_fields": HEADERS,
        "preload_app": False,  # each worker opens the models itself: their threads would not survive the fork
        "timeout": 30,
        # After SIGTERM, an upload in progress may still arrive and be answered.
        "graceful_timeout": settings.body_seconds + settings.request_seconds + 6,
        # Replaces workers, one after the other, before small memory leaks add up.
        "max_requests": 50_000,
        "max_requests_jitter": 5_000,
        "worker_tmp_dir": memory_folder(),  # a heartbeat file on a slow disk would make gunicorn kill healthy workers
        "forwarded_allow_ips": "",  # edge/proxies.py decides which proxies to trust
        "control_socket_disable": True,  # nobody controls a running server through a socket in the home folder
        "logconfig_dict": logs.CONFIG,
        "logger_class": Log,
        "on_starting": partial(on_starting, settings),
        "on_exit": on_exit,
        "pre_fork": pre_fork,
        "post_fork": post_fork,
        "post_worker_init": post_worker_init,
        "pre_request": partial(pre_request, settings.body_seconds),
        "child_exit": child_exit,
    }


def memory_folder() -> str | None:
    """A folder in memory that files can be created in; None stands for the temporary folder."""
    try:
        with tempfile.TemporaryFile(dir=SHARED_MEMORY):
            return SHARED_MEMORY
    except OSError:
        return None


# ---- Hooks of the master process ----


def on_starting(settings: Settings, server: Any) -> None:
    """Prepares the start, creates the folder for the workers' metrics, and loads libraries and weights they share."""
    server.__class__, RequestParser.mesg_class = Master, Head  # gunicorn has no settings for them
    if not settings.trusted_proxies:
        for address in filter(is_open, server.cfg.address):
            log.warning(OPEN, *address[:2])
    # In a process of its own, because the memory that this takes would stay with the master.
    preparing = multiprocessing.get_context("fork").Process(target=prepare, args=(settings, server.cfg.address[0]))
    preparing.start()
    preparing.join()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each file of an upload may hold a descriptor
    with suppress(OSError):  # without a folder each worker counts for itself
        os.environ[counters.FOLDER] = tempfile.mkdtemp(prefix="inkling-metrics-", dir=memory_folder())
    for library in PRELOADED:
        importlib.import_module(library)
    if settings.runtime == "openvino":
        openvino.share(catalog.read_catalog(*catalog.roots(settings)).models.values())
    gc.freeze()  # a garbage collection in a worker would write to every object, and so unshare its memory


def is_open(address: Any) -> bool:
    """Whether other machines may reach an address that gunicorn listens on.

    Args:
        address: as gunicorn parses it: (host, port), or a Unix socket or a descriptor, which only this machine reaches.
    """
    if not isinstance(address, tuple):
        return False
    try:
        return not ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] != "localhost"


def prepare(settings: Settings, address: Any) -> None:
    """Builds missing networks, and prints a sign-in link if the output is a terminal: anything else may be a log.

    Args:
        address: where the server will listen, as gunicorn parses it: (host, port), or a Unix socket or a descriptor,
            for which there is no link.
    """
    build_and_log(settings)
    if not isinstance(address, tuple) or not sys.stdout.isatty():
        return
    host, port = address
    if host in ANY_ADDRESS:
        host = "localhost"
    storage = Storage(settings)
    try:
        secret = access.new_link(storage.tokens)
    except StoreError as error:
        log.warning("there is no sign-in link: %s", error)
        return
    finally:
        storage.database.close()
    name = f"[{host}]" if ":" in host else host
    print(f"Sign in once, within ten minutes: http://{name}:{port}/sign-in?link={secret}", flush=True)


def on_exit(_server: Any) -> None:
    """Removes the folder of the workers' metrics."""
    if counters.FOLDER in os.environ:
        shutil.rmtree(os.environ[counters.FOLDER], ignore_errors=True)


def pre_fork(server: Any, worker: Any) -> None:
    """Numbers a worker with the lowest free number, so that it continues a dead worker's metrics files."""
    worker.born = worker.tmp.last_update()
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in range(len(taken) + 1) if number not in taken)
    worker.connections = connections()


@cache
def connections() -> memoryview:
    """See `Worker.connections`. The master process calls it before the fork, so that all workers share the memory."""
    shared = memoryview(mmap.mmap(-1, 4 * MOST_WORKERS)).cast("i")
    shared[:] = array.array("i", [NO_WORKER] * MOST_WORKERS)
    return shared


def child_exit(_server: Any, worker: Any) -> None:
    """Deletes the metrics that only a living worker has, and forgets its connections."""
    worker.connections[worker.number] = NO_WORKER
    if counters.FOLDER in os.environ:
        with suppress(OSError):
            multiprocess.mark_process_dead(worker.number)


# ---- Hooks of a worker ----


def post_fork(_server: Any, worker: Any) -> None:
    """Makes the worker count in files of its number, and return large blocks of memory as soon as they are free.

    By default glibc keeps free blocks of up to 32 MB in each thread. After 20 clients sent 22 MB of text each, a worker
    had 835 MB with that default, and 305 MB with this threshold. One heap for all threads saves another 15 MB.
    """
    _glibc("mallopt", M_MMAP_THRESHOLD, LARGE_BLOCK)
    _glibc("mallopt", M_ARENA_MAX, 1)
    inputs.use_one_thread()
    if counters.FOLDER in os.environ:
        counters.use(worker.number)
    logging.captureWarnings(True)


def post_worker_init(worker: Any) -> None:
    """Opens the models before the first request, and starts the housekeeper and the notifier."""
    from inkling.web.edge import metrics

    app = worker.app.wsgi()
    service = app.extensions["inkling"]
    service.predictor.warm()
    _glibc("malloc_trim", 0)  # returns the memory that compiling the models took
    metrics.models(service.predictor.catalog.serving)

    def record() -> None:
        metrics.models(service.predictor.catalog.serving)
        metrics.saving(service.storage.problem is None)
        app.extensions["teaching"].tend()

    app.extensions["housekeeper"].start(after=record)
    app.extensions["notifier"].start()


def pre_request(seconds: int, _worker: Any, request: Any) -> None:
    """Lets the kernel drop a client that does not read its response for so many seconds, and so frees the thread.

    A socket timeout would be worse: gunicorn then waits two more seconds for such a client, and accepts no other.
    """
    with suppress(AttributeError, OSError):  # only Linux has this option, and only TCP sockets
        request.unreader.max_body_chunk = READ_AHEAD
        request.unreader.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def _glibc(function: str, *arguments: int) -> None:
    """Calls a function of the GNU C library; does nothing where another C library lacks it."""
    with suppress(AttributeError):
        getattr(ctypes.CDLL(None), function)(*arguments)
