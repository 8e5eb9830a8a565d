"""The API of taught classifiers under generated requests: every answer is one that the document lists."""

import io

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.specs.openapi.checks import positive_data_acceptance

from inkling.service import Service
from inkling.storage import Storage
from inkling.teach.teaching import Teaching
from inkling.web.app import create_app
from inkling.web.classifier_paths import OPERATIONS, ROOT
from tests.hostile.files import good


@pytest.fixture(scope="module")
def server(tmp_path_factory, app, classifier):
    """The app as a server that is bound to loopback, on a folder of its own."""
    limits = app.extensions["inkling"].settings.replace(pictures=tmp_path_factory.mktemp("teach") / "pictures")
    service = Service(limits, classifier, Storage(limits))
    own = create_app(limits, service, Teaching(limits, service, wake=lambda: None))

    def server(environ, start_response):
        environ["SERVER_NAME"] = environ["REMOTE_ADDR"] = "127.0.0.1"
        return own(environ, start_response)

    server.client = own.test_client()
    return server


@pytest.fixture(scope="module")
def operations(server):
    """The operations of the OpenAPI document, by method and path."""
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", server)
    return {one.ok().label: one.ok() for one in schema.get_all_operations()}


@pytest.fixture
def ask(server):
    """Returns a function that sends a request as the owner."""

    def ask(method, path, **options):
        environ = {"SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1"}
        return server.client.open(path, method=method, environ_overrides=environ, **options)

    return ask


@pytest.mark.parametrize("operation", [f"{one.method.upper()} {one.path}" for one in OPERATIONS])
def test_the_document_promises_every_answer(ask, operations, operation):
    """Schemathesis generates requests about a classifier that is there, and about others."""
    id = ask("POST", ROOT, json={"title": "Birds"}).json["id"]
    added = ask("POST", f"{ROOT}/{id}/examples", data={"image": (io.BytesIO(good("png")), "a.png"), "label": "robin"})
    (example,) = added.json["results"]
    known = {"id": id, "label": example["label"], "example": example["id"]}

    @settings(max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operations[operation].as_strategy(), names=st.sets(st.sampled_from(sorted(known))))
    def holds(case, names):
        for name in names & (case.path_parameters or {}).keys():
            case.path_parameters[name] = known[name]
        # Generated files fit the schema but are no pictures, so a refusal of valid data is right.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    holds()
    for one in ask("GET", ROOT).json["classifiers"]:
        assert ask("DELETE", f"{ROOT}/{one['id']}").status_code == 204


NAMES = ["../../etc/passwd.png", "C:\\a\\..\\b.png", "a\0.png", "\x1b[2J.png", "a\u202egnp.png", "x" * 4096 + ".png"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_file_is_never_a_path_or_a_class(ask, server, name):
    """Names with folders name classes only where they stay inside; what is shown of the others prints."""
    id = ask("POST", ROOT, json={"title": "Birds"}).json["id"]
    file = io.BytesIO()
    Image.new("RGB", (40, 40), "teal").save(file, "PNG")
    file.seek(0)
    answer = ask("POST", f"{ROOT}/{id}/examples", data={"image": (file, name)})
    (result,) = answer.json["results"]
    assert result["name"].isprintable()
    assert not set("/\\") & set(result["name"])
    assert "error" not in result or result["error"]["reason"] in ("path", "extension", "bad-name")
    assert ask("GET", f"{ROOT}/{id}").json["labels"] == []
