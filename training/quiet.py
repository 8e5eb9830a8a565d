"""Keeps TensorFlow's and Keras' own messages from a command's user."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Withholds what is written to standard error, also by C++, where no Python setting reaches.

    An error that no command expects shows it after all.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        expected = False
        try:
            yield
            expected = True
        except (ValueError, KeyboardInterrupt):
            expected = True
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if not expected:
                heard.seek(0)
                sys.stderr.write(heard.read().decode("utf-8", "replace"))
