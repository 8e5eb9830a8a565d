"""Compiled URL builders that all apps of a test run share."""

from werkzeug.routing import Rule

_compile_builder = Rule._compile_builder
_builders = {}


def share_url_builders() -> None:
    """Makes Werkzeug compile the function that builds a route's URL once a process, not once an app.

    It generates Python code for each route: most of the 35 ms that creating an app takes.
    """

    def compile_builder(rule: Rule, append_unknown: bool = True):
        key = (rule.rule, rule.subdomain, rule.host, repr(rule.defaults), append_unknown)
        if key not in _builders:
            _builders[key] = _compile_builder(rule, append_unknown)
        return _builders[key]

    Rule._compile_builder = compile_builder
