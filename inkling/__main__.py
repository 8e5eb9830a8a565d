"""`python -m inkling`, the same as the command `inkling`."""

from inkling.cli import main

main(prog_name="inkling")
