"""Which Python versions and platforms are supported."""

import pytest

from tools.supported import problem

GLIBC = ("glibc", "2.36")


@pytest.mark.parametrize(
    "version, system, machine, libc",
    [
        ((3, 11), "Linux", "x86_64", ("glibc", "2.28")),
        ((3, 13), "Linux", "aarch64", ("glibc", "2.35")),
        ((3, 12), "Darwin", "arm64", ("", "")),
    ],
)
def test_supported(version, system, machine, libc):
    assert problem(version, system, machine, libc) is None


@pytest.mark.parametrize(
    "version, system, machine, libc, sentence",
    [
        ((3, 10), "Linux", "x86_64", GLIBC, "This is Python 3.10; choose another with make PYTHON=python3.12."),
        ((3, 14), "Linux", "x86_64", GLIBC, "This is Python 3.14; choose another with make PYTHON=python3.12."),
        ((3, 12), "Windows", "AMD64", ("", ""), "This is Windows on AMD64."),
        ((3, 12), "Linux", "riscv64", GLIBC, "This is Linux on riscv64."),
        ((3, 12), "Darwin", "x86_64", ("", ""), "This is a Mac with an Intel processor."),
        ((3, 12), "Linux", "x86_64", ("", ""), "This system's C library is not glibc."),
        ((3, 12), "Linux", "aarch64", ("glibc", "2.31"), "This system's C library is glibc 2.31."),
    ],
)
def test_not_supported(version, system, machine, libc, sentence):
    assert problem(version, system, machine, libc) == sentence
