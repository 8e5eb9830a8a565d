"""Settings are read once and refused when wrong; what the README says of them, and of routes and commands, holds."""

import re

import pytest

from app import app as real_app
from inkling.config import ELSEWHERE, ROOT, SETTINGS, BadSetting, Settings

BAD = {
    "INKLING_RUNTIME": ["tensorflow", "Keras", ""],
    "INKLING_PRECISION": ["f16", ""],
    "INKLING_THREADS": ["-1", "257", "two", "1.5", ""],
    "INKLING_MAX_BYTES": ["1023", "1073741825", "16 MB", ""],
    "INKLING_MAX_PIXELS": ["1023", "1e6", ""],
    "INKLING_MAX_FRAMES": ["0", "1000001", ""],
    "INKLING_DECODE_SECONDS": ["0", "61", "0.5", ""],
    "INKLING_DECODE_MEMORY": ["127", "1 GB", ""],
    "INKLING_REQUEST_SECONDS": ["0", "601", "1.5", ""],
    "INKLING_BODY_SECONDS": ["0", "3601", ""],
    "INKLING_MAX_BATCH": ["0", "1001", ""],
    "INKLING_QUOTA_MB": ["-1", "2 GB", ""],
    "INKLING_RETENTION_DAYS": ["-1", "36501", "1.5", ""],
    "INKLING_CONCURRENT": ["0", "65", ""],
    "INKLING_QUEUE": ["-1", "1001", ""],
    "INKLING_RATE_LIMIT": ["-1", "10/s", ""],
    "INKLING_RATE_STORAGE": ["localhost:6379", "memory://"],
    "INKLING_TRUSTED_PROXIES": ["proxy", "127.0.0.1;10.0.0.1", "10.0.0.1/8"],
    "INKLING_METRICS_FROM": ["*", "all"],
    "INKLING_DATABASE_URL": ["not a URL", "postgre://localhost/inkling", "postgresql+nodriver://localhost/inkling"],
    "INKLING_SECRET_KEY": ["too short"],
    "INKLING_MODELS": ["~no-such-user/models", ""],
    "INKLING_PICTURES": ["~no-such-user/pictures", ""],
}


# ---- Values ----


def test_the_environment_may_be_empty():
    settings = Settings.from_env({})
    assert settings.models == ROOT / "models"
    assert settings.pictures == ROOT / "saveimages"
    assert (settings.runtime, settings.max_bytes, settings.max_pixels) == ("openvino", 16 * 2**20, 50_000_000)


@pytest.mark.parametrize("field", SETTINGS)
def test_a_default_written_out_changes_nothing(field):
    setting = SETTINGS[field]
    assert Settings.from_env({setting.variable: setting.default}) == Settings.from_env({})


def pairs(table):
    return [(variable, value) for variable, values in table.items() for value in values]


@pytest.mark.parametrize("variable, value", pairs(BAD))
def test_a_bad_value_is_refused_by_name_and_value(variable, value):
    with pytest.raises(BadSetting) as caught:
        Settings.from_env({variable: value})
    assert str(caught.value).startswith(variable)
    assert str(caught.value).endswith(f"Received: {value!r}")


def test_every_setting_has_a_bad_value_here():
    assert BAD.keys() == {setting.variable for setting in SETTINGS.values()}


def test_an_unknown_variable_is_refused_by_name():
    with pytest.raises(BadSetting, match=r"^INKLING_MAX_BITES is not a setting\. Known are: .*INKLING_MAX_BYTES"):
        Settings.from_env({"INKLING_MAX_BITES": "1"})


@pytest.mark.parametrize("variable", ELSEWHERE)
def test_a_variable_read_elsewhere_is_known(variable):
    assert Settings.from_env({variable: "x"}) == Settings.from_env({})


def test_other_programs_variables_are_ignored():
    assert Settings.from_env({"PATH": "/bin", "XINKLING_": "1"}) == Settings.from_env({})


@pytest.mark.parametrize("text, path", [("pictures", ROOT / "pictures"), ("/srv/pictures", "/srv/pictures")])
def test_a_relative_folder_lies_beside_the_app(text, path):
    assert str(Settings.from_env({"INKLING_PICTURES": text}).pictures) == str(path)


def test_the_database_lies_with_the_pictures_by_default():
    assert Settings.from_env({"INKLING_PICTURES": "/srv"}).sqlalchemy_url == "sqlite:////srv/inkling.sqlite3"


# ---- The README ----


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text("utf-8")


def rows(readme):
    """The tables' rows, as lists of cells without their backticks."""
    lines = [line for line in readme.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def code(readme):
    """All that is set as code, one piece a line."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    return "\n".join(blocks + re.findall(r"`([^`\n]+)`", readme))


def test_the_readme_lists_the_settings_and_their_defaults(readme):
    listed = {cells[0]: cells[1] for cells in rows(readme) if re.fullmatch(r"[A-Z_]+", cells[0])}
    assert listed.keys() == {setting.variable for setting in SETTINGS.values()} | ELSEWHERE.keys()
    defaults = {setting.variable: setting.default for setting in SETTINGS.values()}
    assert {name: listed[name] for name in defaults} == defaults


def test_the_readme_lists_every_route(readme):
    words = {word.split("?")[0].strip(",") for cells in rows(readme) for cell in cells for word in cell.split()}
    rules = {rule.rule for rule in real_app.url_map.iter_rules() if rule.endpoint != "static"}
    assert rules - {word.strip("`") for word in words} == set()


def test_the_readme_names_every_command(readme):
    ours = [name for name, command in real_app.cli.commands.items() if command.callback.__module__ == "inkling.cli"]
    assert len(ours) >= 2
    assert [name for name in ours if not re.search(rf"\bflask {name}\b", code(readme))] == []


def test_the_readme_names_every_command_of_training(readme):
    """Without importing it: it would not be there where only the serving set is installed."""
    source = (ROOT / "training" / "__main__.py").read_text("utf-8")
    ours = re.findall(r'add_parser\("(\w+)"', source)
    assert {"train", "import", "compare"} <= set(ours)
    assert [name for name in ours if not re.search(rf"python -m training (\S+\|)?{name}\b", code(readme))] == []


def test_every_make_target_of_the_readme_exists(readme):
    mentioned = {
        word
        for line in re.findall(r"^(?:\$ )?make ([a-z][\w -]*)", code(readme), re.MULTILINE)
        for word in line.split()
    }
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test"} <= mentioned <= targets
