"""Serving: the only package that app.py imports."""
