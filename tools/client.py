"""Writes the generated part of the client from the API's OpenAPI document.

    python -m tools.client            writes inkling/client/shapes.py and operations.py
    python -m tools.client --check    fails if they are out of date

Each schema becomes a TypedDict with the fields of the document, and each operation a method of both clients.
"""

import argparse
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from inkling.config import ROOT, Settings
from inkling.web import openapi

FOLDER = ROOT / "inkling" / "client"
WIDTH = 110
JSON, FORM = "application/json", "multipart/form-data"
HEAD = '"""{about}, written by `python -m tools.client` from the OpenAPI document."""\n'
SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
# Posts that change nothing, so that they may be sent again.
LOOKS = ("predict", "explain", "ask", "try_classifier", "explain_classifier")
ONE_PICTURE = "The picture is the path of a file, the bytes of one, or a drawing."


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.client", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if a file is out of date")
    check = parser.parse_args(arguments).check
    document = openapi.document(Settings(), "http://localhost:5000")
    stale = False
    for name, text in (("shapes.py", shapes(document)), ("operations.py", operations(document))):
        path, text = FOLDER / name, formatted(text)
        if check and (not path.exists() or path.read_text("utf-8") != text):
            stale = True
            print(f"{path.relative_to(ROOT)} is out of date: run `python -m tools.client`", file=sys.stderr)
        elif not check:
            path.write_text(text, "utf-8")
    return int(stale)


def formatted(code: str) -> str:
    """The code as `ruff format` writes it."""
    command = [sys.executable, "-m", "ruff", "format", "--config", str(ROOT / "pyproject.toml"), "-"]
    return subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout


# ---- Schemas ----


def shapes(document: dict) -> str:
    """The module with a TypedDict for each schema."""
    classes = "\n\n".join(_shape(name, schema) for name, schema in document["components"]["schemas"].items())
    used = [name for name in ("Any", "Literal", "NotRequired", "TypedDict") if name in classes]
    imports = f"from __future__ import annotations\n\nfrom typing import {', '.join(used)}\n"
    return f"{HEAD.format(about='The shapes of requests and answers')}\n{imports}\n\n{classes}"


def _shape(name: str, schema: dict) -> str:
    required = schema.get("required", ())
    lines = [f"class {name}(TypedDict):", *_docstring(schema.get("description", "").split("\n\n")[0])]
    for field, inner in schema["properties"].items():
        lines += textwrap.wrap(inner.get("description", ""), WIDTH, initial_indent="    # ", subsequent_indent="    # ")
        kind = type_of(inner)
        lines.append(f"    {field}: {kind if field in required else f'NotRequired[{kind}]'}")
    return "\n".join(lines)


def type_of(schema: dict) -> str:
    """The Python type of what a schema allows.

    Raises:
        ValueError: it uses a keyword that this program does not know.
    """
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            return " | ".join(dict.fromkeys(map(type_of, schema[keyword])))
    if "enum" in schema or "const" in schema:
        return f"Literal[{', '.join(map(repr, schema.get('enum') or [schema['const']]))}]"
    kind = schema.get("type")
    if kind == "array":
        parts = [schema["items"]] if schema.get("items") else schema.get("prefixItems", [])
        return f"list[{' | '.join(dict.fromkeys(map(type_of, parts))) or 'Any'}]"
    if kind == "object" and "properties" not in schema:
        inner = schema.get("additionalProperties")
        return f"dict[str, {type_of(inner) if isinstance(inner, dict) else 'Any'}]"
    if kind in SIMPLE:
        return SIMPLE[kind]
    raise ValueError(f"a schema must have a known type. Received: {schema}")


# ---- Operations ----


def operations(document: dict) -> str:
    """The module with a method for each operation: of the client, and of its asynchronous twin."""
    found = [
        (path, method.upper(), one) for path, methods in document["paths"].items() for method, one in methods.items()
    ]
    classes = [
        _class("Operations", "The operations of the API.", "", (_method(document, *one) for one in found)),
        _class("AsyncOperations", "`Operations` for asyncio.", "async ", (_method(document, *one) for one in found)),
    ]
    body = "\n\n".join(classes)
    names = [name for name in document["components"]["schemas"] if re.search(rf"(: |-> |\[){name}\b", body)]
    imports = (
        "from __future__ import annotations\n\nimport os\nfrom collections.abc import Sequence\n"
        f"from typing import Any, Literal\n\nfrom .shapes import {', '.join(names)}\n"
        "from .transport import Call, Picture, given\n"
    )
    return f"{HEAD.format(about='The operations of the API')}\n{imports}\n\n{body}"


def _class(name: str, about: str, prefix: str, methods: Iterable[tuple[str, str, str, str]]) -> str:
    wait = "await " if prefix else ""
    lines = [f"class {name}:", f'    """{about}"""', ""]
    lines += [f"    {prefix}def _send(self, call: Call) -> Any:", "        raise NotImplementedError", ""]
    for signature, answer, about, call in methods:
        lines += [f"    {prefix}def {signature} -> {answer}:", *(f"    {line}" for line in _docstring(about))]
        lines += [f"        {'return ' if answer != 'None' else ''}{wait}self._send({call})", ""]
    return "\n".join(lines)


def _method(document: dict, path: str, method: str, one: dict) -> tuple[str, str, str, str]:
    """The signature, the type of the answer, the description and the `Call` of an operation."""
    parameters = one.get("parameters", [])
    in_path = [(each["name"], type_of(each["schema"])) for each in parameters if each["in"] == "path"]
    in_query = [(each["name"], type_of(each["schema"])) for each in parameters if each["in"] == "query"]
    positional = [f"{name}: {kind}" for name, kind in in_path]
    keywords: list[str] = []
    about = one["summary"]
    changes = method != "GET" and one["operationId"] not in LOOKS
    call = [repr(method), repr(path), f"changes={changes}"]
    if in_path:
        call.append(_dict("parts", (name for name, _ in in_path)))
    content = one.get("requestBody", {}).get("content", {})
    if FORM in content:
        fields = content[FORM]["schema"]["properties"]
        if "zip" in fields:
            positional.append("pictures: Sequence[Picture] = ()")
            others = [(name, type_of(inner)) for name, inner in fields.items() if name not in ("image", "zip")]
            keywords += ["zip: str | os.PathLike[str] | None = None", *_optional(others)]
            call += ["pictures=pictures", "archive=zip", _dict("form", (name for name, _ in others))]
        else:
            positional.append("picture: Picture")
            about += f" {ONE_PICTURE}"
            call.append("pictures=[picture]")
    elif JSON in content:
        shape = document["components"]["schemas"][type_of(content[JSON]["schema"])]
        required = [(name, type_of(shape["properties"][name])) for name in shape.get("required", ())]
        others = [(name, type_of(inner)) for name, inner in shape["properties"].items() if name not in dict(required)]
        keywords += [f"{name}: {kind}" for name, kind in required] + _optional(others)
        given = f"given({{{', '.join(f'{name!r}: {name}' for name, _ in others)}}})"
        body = f"{{{', '.join(f'{name!r}: {name}' for name, _ in required)}}}"
        call.append(f"json={f'{body} | {given}' if required and others else given if others else body}")
    if in_query:
        keywords += _optional(in_query)
        call.append(_dict("query", (name for name, _ in in_query)))
    answer = _answer(one, FORM in content)
    if answer in ("bytes", "None"):
        call.append(f"answer={'file' if answer == 'bytes' else 'nothing'!r}")
    stars = ["*"] if keywords else []
    signature = f"{one['operationId']}({', '.join(['self', *positional, *stars, *keywords])})"
    return signature, answer, about, f"Call({', '.join(call)})"


def _optional(fields: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name}: {kind if kind.endswith('None') else f'{kind} | None'} = None" for name, kind in fields]


def _dict(name: str, keys: Iterable[str]) -> str:
    return f"{name}={{{', '.join(f'{key!r}: {key}' for key in keys)}}}"


def _answer(one: dict, with_pictures: bool) -> str:
    (answer,) = (answer for status, answer in one["responses"].items() if status.startswith("2"))
    content: dict[str, Any] = answer.get("content", {})
    if not content:
        return "None"
    if JSON not in content:
        return "bytes"
    kind = type_of(content[JSON]["schema"])
    return "Result" if with_pictures and kind == "Result | Results" else kind  # methods send one picture


def _docstring(text: str) -> Iterator[str]:
    """The lines of a docstring with one indentation; none without a text."""
    lines = textwrap.wrap(" ".join(text.split()), WIDTH - 10)
    if len(lines) == 1:
        yield f'    """{lines[0]}"""'
    elif lines:
        yield f'    """{lines[0]}'
        yield from (f"    {line}" for line in lines[1:])
        yield '    """'


if __name__ == "__main__":
    sys.exit(main())
