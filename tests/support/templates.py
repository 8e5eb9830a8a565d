"""Compiled Jinja templates shared by all apps of a test process."""

import jinja2
from jinja2.bccache import Bucket


class BytecodeCache(jinja2.BytecodeCache):
    """Keeps compiled templates in memory, so that only the first app of a process compiles them.

    Compiling the home page takes 150 to 200 ms, and almost every test has an app of its own.
    """

    def __init__(self):
        self._compiled = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key, bucket.checksum] = bucket.code
