"""The cookie that remembers a visitor's theme, and how long cookies remember a choice."""

from datetime import timedelta

THEME = "inkling-theme"
LIFETIME = timedelta(days=365)
