"""Pages and the JSON API, one file per group: parse, call the service, render."""
