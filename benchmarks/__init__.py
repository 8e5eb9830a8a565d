"""Measurements whose tables stand in docs/benchmarks and docs/models."""
