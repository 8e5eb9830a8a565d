"""Runs the notebooks anew, in place: `make notebooks`, or `python -m tools.notebooks notebooks/digits.ipynb`.

Each runs in a kernel of its own. What differs from run to run is not kept: times, progress, warnings, versions.
A notebook that fails is left as it was.
"""

import base64
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image

from inkling.config import ROOT

NOTEBOOKS = ROOT / "notebooks"
COLOURS = 48
PROGRESS = "progress"  # the tag of a cell whose output is for those who wait
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(notebook: NotebookNode) -> NotebookNode:
    """Executes a notebook from its first cell on, and tidies it.

    Raises:
        CellExecutionError: a cell failed.
    """
    client = NotebookClient(
        notebook,
        timeout=None,
        startup_timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    return tidy(client.execute())


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Takes away what differs from run to run, and makes the plots small."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in ("tags",) if key in cell.metadata})
        if cell.cell_type == "code":
            quiet = PROGRESS in cell.metadata.get("tags", ())
            cell.outputs = [] if quiet else [one for one in cell.outputs if one.get("name") != "stderr"]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller(output.data["image/png"])
    return notebook


def smaller(png: str) -> str:
    """A base64 PNG with few colours: plots need no more, and pictures with noise would fill a notebook."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main(arguments: Sequence[str]) -> int:
    """Runs the notebooks named, or all; 1 if one failed."""
    failed = []
    for path in [Path(name) for name in arguments] or sorted(NOTEBOOKS.glob("*.ipynb")):
        start = time.perf_counter()
        try:
            done = run(nbformat.read(path, as_version=4))
        except CellExecutionError as error:
            print(f"{path.name} failed:\n{error}", file=sys.stderr)
            failed.append(path)
            continue
        nbformat.write(done, path)
        print(f"{path.name}: {time.perf_counter() - start:.0f} s, {path.stat().st_size / 1e3:.0f} KB", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
