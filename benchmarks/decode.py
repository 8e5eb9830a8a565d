"""Compares decoding in the worker with decoding in a separate process that can be killed, in turns within one run.

    python -m benchmarks.decode [--rounds 15] [--megapixels 12]

The pictures are generated: a drawing as the canvas sends it, and a photo of 12 megapixels in each format. "Worker" is
`decode.decode` in this process, and "decoder" is the same function in a decoder process that already runs. Both get the
file as `reading` strips it, and return a picture whose longer side has at least 1024 pixels. Memory is the peak of the
worker while it decodes the picture in this way, less its memory before; each figure comes from a fresh process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pillow_heif import register_heif_opener
from tqdm import tqdm

from benchmarks.pictures import encoded, scene, three
from inkling.config import ROOT, Settings
from inkling.pictures import sandbox
from inkling.pictures.containers import strip
from inkling.pictures.decode import Job, decode

register_heif_opener()
AT_LEAST = 1024
ROWS = {  # title -> Pillow's format, options for saving, whether it is a drawing
    "drawing, PNG": ("PNG", {}, True),
    "photo, JPEG": ("JPEG", {"quality": 90}, False),
    "photo, progressive JPEG": ("JPEG", {"quality": 90, "progressive": True}, False),
    "photo, PNG": ("PNG", {"compress_level": 1}, False),
    "photo, WebP": ("WEBP", {"quality": 80, "method": 0}, False),
    "photo, HEIC": ("HEIF", {"quality": 50}, False),
    "photo, AVIF": ("AVIF", {"quality": 60, "speed": 10}, False),
}


def job_of(data: bytes, kind: str, settings: Settings) -> tuple[Job, bytes, bool]:
    """The job, the stripped file, and whether it is plain, as `reading` would decide."""
    still = strip(kind, data)
    seconds = settings.decode_seconds * 10  # generous, because the machine may be busy
    job = Job(kind, still.frames, AT_LEAST, seconds, seconds, settings.max_pixels, settings.max_frames)
    return job, still.data, still.plain


def ways(settings: Settings) -> dict[str, Callable[[bytes, Job], object]]:
    """The functions that decode in each way."""
    return {"worker": decode, "decoder": lambda data, job: sandbox.decode(data, job, settings.decode_memory)}


def peak(way: str, path: Path, kind: str) -> float:
    """Megabytes by which a fresh process grows while it decodes a file in this way."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.decode", "--one", way, kind, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def one(way: str, kind: str, path: str) -> None:
    """Prints the megabytes by which this process grows while it decodes a file."""
    settings = Settings.from_env({})
    job, data, _ = job_of(Path(path).read_bytes(), kind, settings)
    warm, small, _ = job_of(encoded(three(), kind), kind, settings)
    decode = ways(settings)[way]
    decode(small, warm)  # loads the libraries of the format
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = peak_memory()
    decode(data, job)
    print(peak_memory() - before)


def peak_memory() -> float:
    """The highest memory use of this process so far, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def milliseconds(decode: Callable[[bytes, Job], object], data: bytes, job: Job) -> float:
    """Milliseconds that decoding takes."""
    start = time.perf_counter()
    decode(data, job)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--megapixels", type=float, default=12, help="size of the photo (default 12)")
    parser.add_argument("--one", nargs=3, metavar=("WAY", "KIND", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(*arguments.one)
        return
    settings = Settings.from_env({})
    height = round((arguments.megapixels * 1e6 * 3 / 4) ** 0.5)
    pictures = {True: three(), False: scene(height * 4 // 3, height)}
    print(
        f"photos of {arguments.megapixels:g} megapixels, {os.cpu_count()} cores, medians of {arguments.rounds} rounds\n"
    )
    print(
        "| picture | bytes | worker, ms | decoder, ms | difference | worker grows, MB | with a decoder, MB "
        "| decoded in |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    both = ways(settings)
    with tempfile.TemporaryDirectory() as scratch:
        for title, (kind, options, is_drawing) in ROWS.items():
            path = Path(scratch, "picture")
            path.write_bytes(encoded(pictures[is_drawing], kind, **options))
            job, data, plain = job_of(path.read_bytes(), kind, settings)
            times = {way: [] for way in both}
            for _ in tqdm(range(arguments.rounds + 1), title, leave=False):
                for way, decode in both.items():
                    times[way].append(milliseconds(decode, data, job))
            # Without the first round, which starts the decoder process.
            worker, other = (statistics.median(times[way][1:]) for way in both)
            grown = [peak(way, path, kind) for way in both]
            print(
                f"| {title} | {path.stat().st_size:,} | {worker:.2f} | {other:.2f} | {other / worker - 1:+.0%} | "
                f"{grown[0]:.0f} | {grown[1]:.0f} | {'worker' if plain else 'decoder process'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
