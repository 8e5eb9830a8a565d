"""Sphinx configuration of the documentation: `make docs` writes it to docs/_build/html."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

project = "Inkling"
author = "The Inkling contributors"
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
version = release

extensions = ["myst_parser", "sphinx_design"]
exclude_patterns = ["_build"]
root_doc = "index"
language = "en"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Inkling {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_favicon = "../static/icon.svg"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
# The pages work offline, so they name no server for fonts or scripts.
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": True}
