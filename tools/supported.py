"""Exits with a sentence where Inkling cannot be installed: `python -m tools.supported`.

The versions and platforms are those for which all pinned packages publish wheels. This file must run on
older versions of Python 3 too.
"""

import platform
import sys

PYTHONS = ((3, 11), (3, 14))  # from the first on, below the second
GLIBC = {"x86_64": (2, 28), "aarch64": (2, 35)}  # machine -> oldest GNU C library; OpenVINO asks for the newest
SUPPORTED = (
    "Inkling runs on Python 3.11 to 3.13, on Linux (x86-64 with glibc 2.28 or newer, arm64 with glibc 2.35 or newer) "
    "and on macOS (Apple silicon)."
)


def problem(version, system, machine, libc):
    """Returns a sentence about what is not supported, or None.

    Args:
        version: of Python: (major, minor).
        system, machine: as `platform.system` and `platform.machine` name them.
        libc: (name, version) as of `platform.libc_ver`.
    """
    if not PYTHONS[0] <= tuple(version) < PYTHONS[1]:
        return "This is Python {}.{}; choose another with make PYTHON=python3.12.".format(*version)
    if system == "Darwin":
        return None if machine == "arm64" else "This is a Mac with an Intel processor."
    if system != "Linux" or machine not in GLIBC:
        return f"This is {system} on {machine}."
    name, number = libc
    if name != "glibc" or tuple(int(part) for part in number.split(".")[:2]) < GLIBC[machine]:
        return "This system's C library is {}.".format(" ".join(libc).strip() or "not glibc")
    return None


if __name__ == "__main__":
    found = problem(sys.version_info[:2], platform.system(), platform.machine(), platform.libc_ver())
    if found:
        sys.exit(f"{SUPPORTED} {found}")
