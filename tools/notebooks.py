"""Runs the notebooks anew, in place: `make notebooks`, or `python -m tools.notebooks notebooks/digits.ipynb`.

Each runs in a kernel of its own. What differs from run to run is not kept: times, progress, warnings, versions.
A notebook that fails is left as it was.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from inkling.settings import ROOT

NOTEBOOKS = ROOT / "notebooks"
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
    client = NotebookClient(notebook, timeout=None, startup_timeout=600, kernel_name="python3", record_timing=False,
                            coalesce_streams=True, resources={"metadata": {"path": str(NOTEBOOKS)}})
    return tidy(client.execute())


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Takes away what differs from run to run."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in ("tags",) if key in cell.metadata})
        if cell.cell_type == "code":
            quiet = PROGRESS in cell.metadata.get("tags", ())
            cell.outputs = [] if quiet else [one for one in cell.outputs if one.get("name") != "stderr"]
    return notebook


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
