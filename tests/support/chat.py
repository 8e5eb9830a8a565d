"""Servers of language models: one that behaves as a test says, and a real one with a tiny model of random weights."""

import base64
import io
import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gguf
import httpx
import numpy as np
from PIL import Image
from werkzeug.serving import make_server

from tests.support.waiting import wait_until

WORDS = ("It is", " a ", "one.")


def chunk(text=None, finish=None, **more):
    """A chunk of an answer, as llama.cpp, Ollama and OpenAI send it."""
    return {"choices": [{"index": 0, "delta": {"content": text} | more, "finish_reason": finish}]}


class Exchange:
    """One question that a server received: its body, its headers, and the connection to answer on."""

    def __init__(self, handler, body):
        self._handler, self.body, self.headers = handler, body, handler.headers
        self.path = handler.path

    @property
    def pictures(self):
        """The data URLs in the question."""
        return pictures_in(self.body)

    @property
    def is_probe(self):
        return self.body["max_tokens"] == 1

    def refuse(self, status, error, **headers):
        """Answers with an error."""
        self._begin(status, "application/json", headers)
        self._handler.wfile.write(json.dumps(error).encode())

    def begin(self, kind="text/event-stream"):
        """Accepts the question."""
        self._begin(200, kind, {})

    def send(self, text):
        self._handler.wfile.write(text.encode())
        self._handler.wfile.flush()

    def say(self, *chunks, end="data: [DONE]\n\n"):
        """Sends chunks, and ends the answer."""
        for one in chunks:
            self.send(f"data: {json.dumps(one)}\n\n")
        self.send(end)

    def answer(self, *words, finish="stop"):
        """A whole answer."""
        self.begin()
        self.say(
            chunk(role="assistant"), *map(chunk, words or WORDS), chunk(finish=finish), {"choices": [], "usage": {}}
        )

    def wait_until_left(self):
        """Waits until the other side closes the connection."""
        self._handler.connection.settimeout(120)
        assert self._handler.connection.recv(1) == b""

    def _begin(self, status, kind, headers):
        self._handler.send_response(status)
        for name, value in ({"Content-Type": kind, "Connection": "close"} | headers).items():
            self._handler.send_header(name, value)
        self._handler.end_headers()


def pictures_in(body):
    parts = [
        part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]
    ]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def opened(url):
    """The picture in a data URL, and its media type."""
    head, _, data = url.partition(",")
    return Image.open(io.BytesIO(base64.b64decode(data))), head.removeprefix("data:").removesuffix(";base64")


class Fake:
    """A server that handles each question with `behave`, a function of an `Exchange`, and remembers all of them."""

    def __init__(self):
        self.behave = Exchange.answer
        self.asked = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                exchange = Exchange(self, body)
                fake.asked.append(exchange)
                with suppress(BrokenPipeError, ConnectionResetError):  # the other side has left
                    fake.behave(exchange)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def questions(self):
        """What it was asked but for whether it sees."""
        return [exchange for exchange in self.asked if not exchange.is_probe]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def seconds_to_close(url, fake, begun):
    """How long the connection to the language model stays open after a browser left, before or after the first word."""
    left = threading.Event()

    def endless(exchange):
        if begun:
            exchange.begin()
            exchange.say(chunk("It"), end="")
        exchange.wait_until_left()
        left.set()

    fake.behave, fake.asked = endless, []
    with httpx.stream("POST", f"{url}/api/chat", json={"question": "hello"}, timeout=60) as answer:
        parts = answer.iter_text()
        next(parts)
        wait_until(lambda: fake.asked)
        if begun:
            assert "It" in next(part for part in parts if "message" in part)
        stopped = time.perf_counter()
    assert left.wait(30), "the connection to the language model stays open"
    return time.perf_counter() - stopped


@contextmanager
def serving(app):
    """Serves an app, as `app.test_client()` has no connection that closes. The context is its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def events(text):
    """Server-sent events as (name, data); comments are left out."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def closed_port():
    """The address of a server that is away."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


# ---- A tiny language model ----


def write_tiny_model(path, width=32, feed=64, heads=2, context=32768):
    """Writes a GGUF file of 120 kB: a Llama with one layer of random weights, whose words are bytes."""
    random = np.random.default_rng(5)
    words = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256)), "\u2581".encode()]
    kinds = [gguf.TokenType.UNKNOWN, *2 * [gguf.TokenType.CONTROL], *256 * [gguf.TokenType.BYTE], gguf.TokenType.NORMAL]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(feed)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(words))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * len(words))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:")

    def tensor(name, *shape):
        writer.add_tensor(f"{name}.weight", random.normal(0, 0.5, shape).astype(np.float32))

    def ones(name):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))

    tensor("token_embd", len(words), width)
    tensor("output", len(words), width)
    ones("output_norm")
    for name in ("attn_norm", "ffn_norm"):
        ones(f"blk.0.{name}")
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        tensor(f"blk.0.{name}", width, width)
    tensor("blk.0.ffn_gate", feed, width)
    tensor("blk.0.ffn_up", feed, width)
    tensor("blk.0.ffn_down", width, feed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
