"""Builds the networks whose weights come from a pinned Python package: `inkling models build`."""
