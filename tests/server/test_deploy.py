"""The Dockerfile and the files in deploy/ follow good practice and agree with the app."""

import http.client
import json
import re
import runpy
import shlex
import shutil
import ssl
import subprocess
import threading
import tomllib
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from werkzeug.serving import make_server

from app import app as real_app
from benchmarks.servers import free_port
from inkling.config import ROOT, Settings, variables
from inkling.web.views import history
from tests.support.server import request as send
from tests.support.waiting import wait_until

DEPLOY = ROOT / "deploy"
KNOWN = variables().keys()
OTHERS = re.compile("AWS_|RAY_|HOME$|PYTHONPATH$")
PYTHONS = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PATH"}
DEFAULTS = Settings.from_env({})


def needs(program):
    """Skips a test where a program is not installed."""
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


# ---- Dockerfile: rules like hadolint's ----


def instructions():
    """Returns the Dockerfile as (instruction, arguments), without comments and with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [tuple(line.split(None, 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


STEPS = instructions()


def arguments(name):
    return [rest for instruction, rest in STEPS if instruction == name]


@pytest.mark.parametrize("base", arguments("FROM"))
def test_the_base_is_slim_and_pinned_to_its_digest(base):
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}( AS [a-z]+)?", base)


def test_all_stages_have_one_base():
    """A package compiled for one version of Python does not run in another."""
    assert len({base.split()[0] for base in arguments("FROM")}) == 1


def test_nothing_is_fetched_but_the_pinned_packages():
    assert arguments("ADD") == []
    for run in arguments("RUN"):
        assert not re.search(r"\b(curl|wget|git|apt|apt-get|sudo|npm)\b", run)
        for install in re.findall(r"pip (?:install|wheel) ([^&]*)", run):
            assert "--no-cache-dir" in install
            assert "--no-index" in install or re.search(
                r"--require-hashes -r (requirements-\w+\.txt|\$REQUIREMENTS)\s*$", install
            )


def test_every_install_enforces_the_hashes():
    """Everything that installs from an index does so from files of pins. This package itself is installed from here."""
    makefile = (ROOT / "Makefile").read_text()
    assert len(re.findall("pip install", makefile)) == 1, "all go through PIP_INSTALL"
    installs = re.findall(r"\$\(PIP_INSTALL\) (.*)", makefile)
    assert len(installs) > 5
    for install in installs:
        own = install == "--no-deps --no-build-isolation --editable ."
        assert own or install.startswith("--require-hashes -r requirements-"), install
    gate = (ROOT / ".ci" / "run").read_text()
    assert not re.search(r"\b(pip|uv|npm|curl|wget)\b", gate)
    for file in (ROOT / "Procfile", *filter(Path.is_file, DEPLOY.rglob("*"))):
        assert not re.search(r"\bpip install\b", file.read_text()), file


def needed(names):
    """Returns the canonical names of these packages and of everything that they require on this platform."""
    found, open_names = set(), list(names)
    while open_names:
        name = canonicalize_name(open_names.pop())
        if name not in found:
            found.add(name)
            open_names += (
                requirement.name
                for requirement in map(Requirement, metadata.requires(name) or ())
                if not requirement.marker or requirement.marker.evaluate({"extra": ""})
            )
    return found


def pins(file):
    """Returns the requirements that a file pins for this platform, with their hashes: [(requirement, hashes)]."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / file).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(" --hash=") for line in text.splitlines()]
    found = [(Requirement(pin), hashes) for pin, *hashes in lines]
    return [(pin, hashes) for pin, hashes in found if not pin.marker or pin.marker.evaluate()]


@pytest.mark.parametrize("file", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_every_requirement_is_one_version_with_hashes(file):
    for pin, hashes in pins(file):
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes), pin
    assert "://" not in (ROOT / file).read_text(), "a file of pins names no package host"


def test_every_package_to_serve_is_pinned_and_tensorflow_is_none_of_them():
    names = {canonicalize_name(pin.name) for pin, _ in pins("requirements-serve.txt")}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert names == needed(Requirement(line).name for line in declared)
    assert not {"tensorflow", "keras", "tf2onnx", "torch", "pillow-heif"} & names


def test_it_does_not_run_as_root():
    user = arguments("USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)  # a number lets a cluster verify that the user is not root
    last = max(i for i, (instruction, _) in enumerate(STEPS) if instruction == "USER")
    assert not {"RUN", "COPY"} & {instruction for instruction, _ in STEPS[last:]}


def test_no_file_of_the_app_belongs_to_its_user():
    assert not any("--chown" in copied for copied in arguments("COPY"))
    assert [run for run in arguments("RUN") if "chmod" in run or "chown " in run] == []


@pytest.mark.parametrize("name", ["CMD", "HEALTHCHECK"])
def test_programs_are_started_without_a_shell(name):
    (given,) = arguments(name)
    command = json.loads(given[given.index("[") :])
    assert command[0] in ("inkling", "python")
    assert "curl" not in given
    if name == "HEALTHCHECK":
        assert "/healthz" in command[-1]
        compile(command[-1], "HEALTHCHECK", "exec")


@pytest.fixture
def environment():
    pairs = [word for line in arguments("ENV") for word in shlex.split(line)]
    return dict(pair.split("=", 1) for pair in pairs)


def test_its_variables_are_settings_and_its_port_is_the_exposed_one(environment):
    assert environment.keys() - KNOWN - PYTHONS == set()
    Settings.from_env(environment)
    assert arguments("EXPOSE") == [environment["PORT"]]


def test_it_has_two_volumes_pictures_and_models(environment):
    (volumes,) = arguments("VOLUME")
    assert json.loads(volumes) == [environment["INKLING_PICTURES"], environment["INKLING_MODELS"]]


def test_all_that_is_copied_exists_and_is_sent_to_the_build():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    for copied in arguments("COPY"):
        if "--from" not in copied:
            for source in copied.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in rules
    assert rules[0] == "*"
    for private in (".git", ".env", "data", "saveimages", "tests"):
        assert f"!{private}" not in rules


# ---- compose ----


SECRETS = {"INKLING_SECRET_KEY": "k" * 32, "POSTGRES_PASSWORD": "p" * 32, "S3_SECRET": "s" * 32}


def composed(file):
    """The services of a compose file, with secrets as `.env` would give them."""
    text = re.sub(r"\$\{(\w+):\?\}", lambda match: SECRETS[match[1]], (DEPLOY / file).read_text())
    return yaml.safe_load(text)["services"]


FLEET = composed("compose.fleet.yaml")


@pytest.fixture(scope="module", params=["compose.yaml", "compose.fleet.yaml"])
def service(request):
    """Inkling's own service."""
    return composed(request.param)["inkling"]


def test_the_container_can_do_no_more_than_it_needs(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["tmpfs"][0].startswith("/tmp:size=")
    assert {"mem_limit", "pids_limit", "restart"} <= service.keys()
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_container_keeps_the_pictures_and_only_reads_the_models(environment):
    service = composed("compose.yaml")["inkling"]
    places = dict(volume.split(":", 1) for volume in service["volumes"])
    assert places == {"pictures": environment["INKLING_PICTURES"], "../models": f"{environment['INKLING_MODELS']}:ro"}


def test_the_containers_settings_are_settings(service, environment):
    assert {name for name in service["environment"] if not OTHERS.match(name)} <= KNOWN
    Settings.from_env(environment | service["environment"])
    assert service.get("ports", [f"127.0.0.1:8000:{environment['PORT']}"]) == [f"127.0.0.1:8000:{environment['PORT']}"]


def test_gunicorn_has_time_to_stop(service):
    graceful = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
    assert graceful > DEFAULTS.body_seconds + DEFAULTS.request_seconds, "gunicorn waits for uploads in progress"
    assert int(service["stop_grace_period"].rstrip("s")) > graceful
    stop = re.search(r"^TimeoutStopSec=(\d+)", (DEPLOY / "inkling.service").read_text(), re.MULTILINE)[1]
    assert int(stop) > graceful


def test_all_threads_fit(service):
    """A worker has gunicorn's threads, and at most 64 of libraries and decoder processes; a reload doubles workers."""
    threads = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["threads"] + 64
    assert int(service["pids_limit"]) >= 2 * int(service["environment"]["WEB_CONCURRENCY"]) * threads
    unit = (DEPLOY / "inkling.service").read_text()
    assert int(re.search(r"^TasksMax=(\d+)", unit, re.MULTILINE)[1]) >= 2 * 32 * threads
    connections = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["worker_connections"]
    assert int(re.search(r"^LimitNOFILE=(\d+)", unit, re.MULTILINE)[1]) >= 3 * connections  # two files for each wait


# ---- compose: a fleet ----


def test_in_a_fleet_every_part_can_do_no_more_than_it_needs():
    for name, one in FLEET.items():
        if name != "bucket":  # which ends
            assert (one["cap_drop"], one["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
        assert "privileged" not in one
        assert "ports" not in one or name == "nginx", "only nginx is reached from outside"


def test_in_a_fleet_the_parts_are_where_inkling_looks_for_them(environment):
    settings = Settings.from_env(environment | FLEET["inkling"]["environment"])
    assert urlsplit(settings.sqlalchemy_url).hostname in FLEET
    assert urlsplit(settings.rate_storage).hostname in FLEET
    assert urlsplit(FLEET["inkling"]["environment"]["AWS_ENDPOINT_URL"]).hostname in FLEET
    database, store = FLEET["postgres"]["environment"], FLEET["s3"]["environment"]
    user = urlsplit(settings.sqlalchemy_url)
    assert (user.username, user.password) == (database["POSTGRES_USER"], database["POSTGRES_PASSWORD"])
    assert user.path == f"/{database['POSTGRES_DB']}"
    for name in ("inkling", "bucket"):
        keys = FLEET[name]["environment"]
        assert keys["AWS_ACCESS_KEY_ID"] == store["ROOT_ACCESS_KEY"]
        assert keys["AWS_SECRET_ACCESS_KEY"] == store["ROOT_SECRET_KEY"]
    assert settings.blobs in "".join(f"s3://{word}" for word in re.findall(r'Bucket="(\w+)"', str(FLEET["bucket"])))
    for name, one in FLEET.items():
        assert set(one.get("depends_on", ())) <= FLEET.keys(), name
        for volume in one.get("volumes", ()):
            if volume.startswith("./"):
                assert (DEPLOY / volume.split(":")[0]).exists(), volume


def test_in_a_fleet_the_database_has_connections_for_all():
    """Twice the workers: a reload starts new ones before the old ones end. Each may have a process that trains."""
    settings = Settings.from_env(FLEET["inkling"]["environment"])
    processes = FLEET["inkling"]["deploy"]["replicas"] * (2 * settings.workers + 1)
    allowed = int(FLEET["postgres"]["command"][-1].partition("max_connections=")[2])
    assert processes * settings.database_connections < allowed


def test_in_a_fleet_nginx_passes_requests_on_to_all():
    (shell,) = FLEET["nginx"]["command"][2:]
    script = shell.partition(" /site.conf")[0]
    assert script.startswith("sed '")
    site = subprocess.run(shlex.split(script), input=SITE, capture_output=True, text=True, check=True).stdout
    assert "server inkling:8000;" in site
    assert "server 127.0.0.1:8000" not in site


def test_the_image_of_a_fleet_has_the_packages_of_its_extras():
    names = {canonicalize_name(pin.name) for pin, _ in pins("requirements-fleet.txt")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = [*project["dependencies"], *(line for extra in ("postgres", "s3", "ray") for line in extras(project, extra))]
    assert {canonicalize_name(Requirement(line).name) for line in own} <= names
    assert not {"pytest", "tensorflow"} & names
    assert FLEET["inkling"]["build"]["args"]["REQUIREMENTS"] == "requirements-fleet.txt"


def extras(project, extra):
    return project["optional-dependencies"][extra]


# ---- Kubernetes ----

MANIFESTS = [
    pytest.param(manifest, id=f"{manifest['kind']}-{manifest['metadata']['name']}")
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(file.read_text())
]


@pytest.mark.parametrize("manifest", MANIFESTS)
@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_kubernetes_accepts_the_manifest(manifest, version):
    kubernetes_validate.validate(manifest, version, strict=True)


def manifest(kind, name="inkling"):
    return next(one.values[0] for one in MANIFESTS if one.id == f"{kind}-{name}")


@pytest.mark.parametrize("name", ["inkling", "inkling-redis"])
def test_a_pod_can_do_no_more_than_it_needs(name):
    pod = manifest("Deployment", name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert {"livenessProbe", "readinessProbe"} <= container.keys()


def test_the_pod_of_the_app_agrees_with_the_image(environment):
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert str(container["ports"][0]["containerPort"]) == environment["PORT"]
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == arguments("USER")[-1]
    assert environment["INKLING_PICTURES"] in [mount["mountPath"] for mount in container["volumeMounts"]]
    paths = {container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("liveness", "readiness", "startup")}
    assert paths == {"/healthz", "/readyz"}
    assert paths <= {rule.rule for rule in real_app.url_map.iter_rules()}
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", "a restart does not bring the database back"
    graceful = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
    wait = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= graceful + wait


def test_the_pods_settings_are_settings():
    given = manifest("ConfigMap")["data"]
    assert given.keys() <= KNOWN
    settings = Settings.from_env(given)
    assert urlsplit(settings.rate_storage).hostname == manifest("Service", "inkling-redis")["metadata"]["name"]


def test_services_find_their_pods():
    for name in ("inkling", "inkling-redis"):
        labels = manifest("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert manifest("Service", name)["spec"]["selector"].items() <= labels.items()
        assert manifest("Deployment", name)["spec"]["selector"]["matchLabels"].items() <= labels.items()


# ---- systemd ----


@pytest.fixture
def unit(tmp_path):
    """The systemd unit with a program that exists here, because systemd checks that."""
    path = tmp_path / "inkling.service"
    text = (DEPLOY / "inkling.service").read_text()
    path.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={shutil.which('true')}", text, flags=re.MULTILINE))
    return path


@needs("systemd-analyze")
def test_systemd_accepts_the_unit(unit):
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])


def test_systemd_keeps_the_server_when_a_decoder_runs_out_of_memory():
    """By default systemd stops the whole unit after the kernel has killed one of its processes."""
    assert "\nOOMPolicy=continue\n" in (DEPLOY / "inkling.service").read_text()


@needs("systemd-analyze")
def test_systemd_rates_the_unit_as_well_protected(unit):
    """Its exposure is at most 1.5 on systemd's scale from 0 to 10; the threshold is given in tenths."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_units_settings_are_settings():
    pairs = re.findall(r"^Environment=(\w+)=(.*)$", (DEPLOY / "inkling.service").read_text(), re.MULTILINE)
    assert dict(pairs).keys() - KNOWN - PYTHONS == set()
    Settings.from_env(dict(pairs))


# ---- nginx ----


SITE = (DEPLOY / "nginx.conf").read_text()


def test_nginx_and_the_app_have_the_same_body_limits():
    one, *several = (int(size) for size in re.findall(r"client_max_body_size (\d+);", SITE))
    assert one == DEFAULTS.max_bytes * 4 // 3 + 65536
    assert set(several) == {DEFAULTS.max_batch * DEFAULTS.max_bytes + 65536, DEFAULTS.zip_mb * 2**20 + 65536}
    posts = [rule.rule for rule in real_app.url_map.iter_rules() if "POST" in rule.methods]
    taking = {rule.replace("<id>", "0") for rule in posts if "predict" in rule or rule.endswith("/examples")}
    locations = re.findall(r"location ([=~]) (\S+) \{\n\s*client_max_body_size", SITE)
    assert len(taking) == len(locations)
    for path in taking:
        assert any(re.search(one, path) if kind == "~" else path == one for kind, one in locations), path


def test_nginx_lets_a_page_load_all_its_pictures_at_once():
    """Over HTTP/2 nginx counts each request in progress as a connection."""
    limits = dict(re.findall(r"limit_conn (\w+) (\d+);", SITE))
    assert int(limits["inkling_connections"]) > 2 * history.MOST
    assert int(re.search(r"limit_req zone=\w+ burst=(\d+) nodelay;", SITE)[1]) > 2 * history.MOST
    assert SITE.count("limit_conn inkling_uploads ") == SITE.count("client_max_body_size ") - 1


def test_the_parts_agree_on_a_port(environment):
    assert "server 127.0.0.1:8000;" in SITE
    assert "Environment=PORT=8000" in (DEPLOY / "inkling.service").read_text()
    assert environment["PORT"] == "8000"


@pytest.fixture
def nginx(tmp_path):
    """Returns a function that writes a complete configuration around the site and returns nginx's command."""
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=test",
            "-keyout",
            tmp_path / "key.pem",
            "-out",
            tmp_path / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )

    def write(upstream, plain, tls, site=SITE):
        site = re.sub(r"listen \[::\].*\n", "", site).replace("listen 80;", f"listen 127.0.0.1:{plain};")
        site = site.replace("listen 443", f"listen 127.0.0.1:{tls}").replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
        site = re.sub(r"/etc/letsencrypt/\S+fullchain.pem", str(tmp_path / "cert.pem"), site)
        site = re.sub(r"/etc/letsencrypt/\S+privkey.pem", str(tmp_path / "key.pem"), site)
        temporary = "".join(f"{name}_temp_path {tmp_path}/{name};\n" for name in names)
        path = tmp_path / "nginx.conf"
        path.write_text(
            f"daemon off;\nmaster_process off;\npid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\n"
            f"events {{}}\nhttp {{\n{temporary}{site}}}\n"
        )
        return ["nginx", "-p", str(tmp_path), "-c", str(path)]

    return write


@needs("nginx")
@needs("openssl")
def test_nginx_accepts_the_site(nginx):
    done = subprocess.run([*nginx(1, 2, 3), "-t"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@pytest.fixture
def ask(request, nginx, make_app, settings):
    """Sends a request through nginx to the app and returns (status, headers, body). A test may change the site."""
    upstream, plain, tls = free_port(), free_port(), free_port()
    app = make_app(settings.replace(max_bytes=DEFAULTS.max_bytes, trusted_proxies=settings.metrics_from))
    server = make_server("127.0.0.1", upstream, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process = subprocess.Popen(nginx(upstream, plain, tls, getattr(request, "param", SITE)), stderr=subprocess.DEVNULL)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def ask(method, path, body=None, headers=None, over_tls=True):
        connection = (
            http.client.HTTPSConnection("127.0.0.1", tls, timeout=60, context=trusting)
            if over_tls
            else http.client.HTTPConnection("127.0.0.1", plain, timeout=60)
        )
        return send(connection, method, path, body, headers)

    def answers():
        try:
            return ask("GET", "/healthz")
        except OSError:
            return None

    try:
        wait_until(answers)
        yield ask
    finally:
        process.terminate()
        process.wait(20)
        server.shutdown()
        server.server_close()


@needs("nginx")
@needs("openssl")
def test_through_nginx(ask, png, ink_model):
    """nginx enforces TLS, hides /metrics, sets its own request id, and reports refused bodies as the app does."""
    status, headers, _ = ask("GET", "/models", over_tls=False)
    assert (status, headers["Location"]) == (301, "https://127.0.0.1/models")

    status, headers, page = ask("GET", "/api/docs", headers={"X-Request-ID": "z" * 32, "X-Forwarded-For": "192.0.2.1"})
    assert status == 200
    assert b"https://127.0.0.1" in page
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-ID"])  # set by nginx
    assert headers["Strict-Transport-Security"]
    assert headers["Content-Security-Policy"]
    assert "/" not in headers["Server"]

    assert ask("GET", "/metrics")[0] == 404

    edge = {"Content-Type": "multipart/form-data; boundary=edge"}
    head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    status, _, answer = ask("POST", f"/api/predict?model={ink_model}", head + png + b"\r\n--edge--\r\n", edge)
    assert (status, json.loads(answer)["label"]) == (200, "1")

    status, headers, _ = ask("POST", "/predict", b"", edge | {"Content-Length": "400000000"})
    assert (status, headers["Location"].split("://")[-1].split("/", 1)[-1]) == (303, "help?reason=too-large")

    status, headers, answer = ask("POST", "/api/predict", b"", edge | {"Content-Length": "400000000"})
    assert (status, headers["Content-Type"]) == (413, "application/problem+json")
    assert json.loads(answer)["reason"] == "too-large"


# Three requests and no more for a long time; the test says in a header whose request it is.
NARROW = "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Client;\n" + SITE.replace("rate=50r/s", "rate=1r/m").replace(
    "burst=500", "burst=2"
)


@needs("nginx")
@needs("openssl")
@pytest.mark.parametrize("ask", [NARROW], indirect=True, ids=["narrow"])
def test_nginx_limits_what_a_client_reads_and_groups_ipv6_by_network(ask):
    def statuses(*addresses):
        return [ask("GET", "/static/icon.svg", headers={"X-Client": address})[0] for address in addresses]

    statuses_of_ipv4 = statuses("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2")
    assert statuses_of_ipv4 == [200, 200, 200, 429, 200]
    assert statuses(*(f"2001:db8:a0a:a0a:{i}::{i}" for i in range(1, 5))) == [200, 200, 200, 429]
    assert statuses(*(f"2001:db8:a0a:{i}::1" for i in range(1, 5))) == [200] * 4
    for path in ("/models", "/api/predict", "/api/explain"):
        status, headers, _ = ask("GET", path, headers={"X-Client": "192.0.2.1"})
        assert (status, headers["Retry-After"]) == (429, "10"), path
    assert headers["Strict-Transport-Security"]
