"""The cookie that remembers a visitor's theme, and how long cookies remember a choice."""

from datetime import timedelta

from flask import request

THEME = "inkling-theme"
LIFETIME = timedelta(days=365)


def theme() -> str:
    """The theme that the visitor chose: "light" or "dark", or "" to follow their system."""
    chosen = request.cookies.get(THEME)
    return chosen if chosen in ("light", "dark") else ""
