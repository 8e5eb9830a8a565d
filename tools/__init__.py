"""Scripts for those who work on Inkling."""
