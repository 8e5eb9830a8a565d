"""Compares an exported classifier with the one in Inkling, from files.

    python -m benchmarks.export ZIP FOLDER --model NAME

runs the program in the zip's README on each picture below FOLDER, asks the published model of that name about the same
pictures, and prints in how many of them both answer the same label.
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from inkling.config import Settings
from inkling.service import File, Service
from inkling.teach.intake import files_below


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__.partition("\n")[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    files = [file.resolve() for file in files_below(options.folder)]
    outcomes = list(Service.from_settings(Settings.from_env()).look_ahead(map(File, files), options.model))
    with ZipFile(options.zip) as archive, tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder)
        os.chdir(folder)  # as somebody who unpacked it, and runs the program there
        sys.path.insert(0, folder)
        (program,) = re.findall(r"```python\n(.*?)```", archive.read("README.md").decode(), re.DOTALL)
        lines = re.sub(r'"(photo\.jpg|drawing\.png)"', "file", program).splitlines()
        first = next(i for i, line in enumerate(lines) if "(file)" in line)
        start, each = "\n".join(lines[:first]), "\n".join(lines[first:-1])  # the last line prints
        names: dict = {}
        exec(start, names)
        same, differences = 0, []
        for file, outcome in zip(files, outcomes, strict=True):
            exec(each, names | {"file": file}, found := {})
            label = names["card"]["labels"][found["probabilities"].argmax()]
            same += label == outcome.prediction.label
            differences.append(abs(float(found["probabilities"].max()) - outcome.prediction.confidence))
        os.chdir("/")
    differences.sort()
    print(f"the same label in {same} of {len(files)} files ({same / len(files):.1%})")
    print(f"difference in confidence: median {differences[len(files) // 2]:.4f}, largest {differences[-1]:.4f}")


if __name__ == "__main__":
    main()
