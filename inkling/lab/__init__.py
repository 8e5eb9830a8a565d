"""Edges, thresholds and augmentation on a visitor's own picture."""
