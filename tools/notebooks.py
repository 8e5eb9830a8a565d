"""Executes the notebooks in place: `make notebooks`, or `python -m tools.notebooks notebooks/digits.ipynb`.

Each notebook has a kernel of its own. Times, progress, warnings and versions are removed, because they differ between
runs. A notebook that fails is not changed.
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
COLORS = 48
PROGRESS = "progress"  # tag of a cell whose output only shows progress
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(notebook: NotebookNode) -> NotebookNode:
    """Executes all cells of a notebook and tidies it.

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
    """Removes everything that differs between runs, and reduces the colors of the plots."""
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
    """A base64 PNG reduced to `COLORS` colors: enough for plots, and a fraction of the size for noisy pictures."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main(arguments: Sequence[str]) -> int:
    """Executes the named notebooks, or all; returns 1 if one failed, else 0."""
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
