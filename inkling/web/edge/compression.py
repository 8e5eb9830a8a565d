"""Compression of static files. Pages are never compressed: their size could then reveal their secrets (BREACH)."""

import gzip
from functools import lru_cache

from flask import Flask, Response, request

COMPRESSED = ("image/png", "image/webp")  # these files are compressed already


def init_app(app: Flask) -> None:
    app.after_request(compress)


def compress(response: Response) -> Response:
    """Compresses a file of `static/` for a browser that accepts gzip."""
    if request.endpoint != "static" or response.status_code != 200 or response.mimetype in COMPRESSED:
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"]:
        response.direct_passthrough = False
        response.set_data(_compressed(response.get_data()))
        response.content_encoding = "gzip"
        etag, _ = response.get_etag()
        response.set_etag(etag or "", weak=True)  # the same file, but other bytes
    return response


@lru_cache(64)
def _compressed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
