"""Stylesheet, scripts and drawings go out compressed. Pages do not: their size would tell of secrets in them."""

import gzip
from functools import lru_cache

from flask import Flask, Response, request


def init_app(app: Flask) -> None:
    app.after_request(compress)


def compress(response: Response) -> Response:
    """A file of `static/` for a browser that reads gzip."""
    if request.endpoint != "static" or response.status_code != 200:
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"]:
        response.direct_passthrough = False
        response.set_data(_compressed(response.get_data()))
        response.content_encoding = "gzip"
        etag, _ = response.get_etag()
        response.set_etag(etag, weak=True)  # the same file, in other bytes
    return response


@lru_cache(64)
def _compressed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
