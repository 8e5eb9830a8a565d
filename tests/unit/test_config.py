"""Settings: defaults, bounds and error messages."""

import re

import pytest

from inkling import config
from inkling.config import ROOT, BadSetting, Settings

BAD = {
    "PORT": ["http", "0", "65536"],
    "WEB_CONCURRENCY": ["0", "257", "auto"],
    "INKLING_RUNTIME": ["tensorflow", "Keras", ""],
    "INKLING_ENGINE": ["Ray", "cluster", ""],
    "INKLING_RAY_ADDRESS": ["10.0.0.5", "ray://10.0.0.5:10001", "head:", "a b:6379"],
    "INKLING_RAY_SECONDS": ["0", "601", "1.5", ""],
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
    "INKLING_TEACH_CLASSIFIERS": ["-1", "many", ""],
    "INKLING_TEACH_EXAMPLES": ["-1", "many", ""],
    "INKLING_TEACH_MB": ["-1", "4 GB", ""],
    "INKLING_RETENTION_DAYS": ["-1", "36501", "1.5", ""],
    "INKLING_CONCURRENT": ["0", "65", ""],
    "INKLING_QUEUE": ["-1", "1001", ""],
    "INKLING_ZIP_MB": ["0", "100001", ""],
    "INKLING_ZIP_FILES": ["0", "1e4", ""],
    "INKLING_RATE_LIMIT": ["-1", "10/s", ""],
    "INKLING_CLIENT_SHARE": ["0", "101", "50%", ""],
    "INKLING_RATE_STORAGE": ["localhost:6379", "memory://"],
    "INKLING_CHAT_URL": [
        "localhost:11434",
        "ftp://a/v1",
        "http://",
        "http://u:p@a/v1",
        "http://a/v1?key=x",
        "http://a b",
    ],
    "INKLING_CHAT_STREAMS": ["0", "257", ""],
    "INKLING_CHAT_CLIENT_DAY": ["-1", "many", ""],
    "INKLING_CHAT_DAY": ["-1", "many", ""],
    "INKLING_HOSTS": ["*", "example.org:80", "https://example.org", "example.org.", ".example.org", "a b", "::1"],
    "INKLING_CONTACT": ["ann", "ann@", "http://example.org", "javascript:alert(1)", "a@b.c\nContact: x", "https://a b"],
    "INKLING_CORS": ["*", "null", "example.org", "https://example.org/", "https://*.example.org", "ftp://example.org"],
    "INKLING_TRUSTED_PROXIES": ["proxy", "127.0.0.1;10.0.0.1", "10.0.0.1/8"],
    "INKLING_USER_HEADER": ["Remote_User", "Remote User", "Remote-User:"],
    "INKLING_METRICS_FROM": ["*", "all"],
    "INKLING_MQTT_URL": ["broker", "http://broker", "mqtt://", "mqtt://broker/#", "mqtt://broker:port"],
    "INKLING_MQTT_PICTURES": ["true", "on"],
    "INKLING_WEBHOOK_NETWORKS": ["private", "10.0.0.0/33"],
    "INKLING_DATABASE_URL": [
        "not a URL",
        "postgre://localhost/inkling",
        "postgresql+nodriver://localhost/inkling",
        "mysql://localhost/inkling",
    ],
    "INKLING_BLOBS": [
        "pictures",
        "s3://",
        "s3://a",
        "s3://Bucket/x",
        "s3://bucket//x",
        "https://s3.example.org/bucket",
    ],
    "INKLING_SECRET_KEY": ["too short"],
    "INKLING_MODELS": ["~no-such-user/models", ""],
    "INKLING_PICTURES": ["~no-such-user/pictures", ""],
    "INKLING_AUDIT_LOG": ["~no-such-user/audit.log", "."],
    "INKLING_DATA": ["~no-such-user/data", ""],
}
# gunicorn reports an invalid address itself, and the language model's server the other two.
ANY_TEXT = {"INKLING_HOST", "INKLING_CHAT_MODEL", "INKLING_CHAT_KEY"}


# ---- Values ----


def test_the_environment_may_be_empty():
    settings = Settings.from_env({})
    assert settings.models == ROOT / "models"
    assert settings.pictures == ROOT / "saveimages"
    assert (settings.runtime, settings.max_bytes, settings.max_pixels) == ("openvino", 16 * 2**20, 50_000_000)


@pytest.mark.parametrize("row", config.rows(), ids=lambda row: row.variable)
def test_a_default_written_out_changes_nothing(row):
    assert Settings.from_env({row.variable: row.default}) == Settings.from_env({})


def test_the_environment_is_read_only_by_from_env(monkeypatch):
    monkeypatch.setenv("INKLING_MAX_BATCH", "3")
    assert Settings() == Settings.from_env({})
    assert Settings.from_env().max_batch == 3


def pairs(table):
    return [(variable, value) for variable, values in table.items() for value in values]


@pytest.mark.parametrize("variable, value", pairs(BAD))
def test_a_bad_value_is_refused_by_name_and_value(variable, value):
    with pytest.raises(BadSetting) as caught:
        Settings.from_env({variable: value})
    assert str(caught.value).startswith(variable)
    assert str(caught.value).endswith(f"Received: {value!r}")


def test_every_setting_has_a_bad_value_here():
    assert BAD.keys() | ANY_TEXT == config.variables().keys()


def test_the_message_says_what_is_accepted():
    with pytest.raises(BadSetting, match=r"^INKLING_THREADS must be a whole number from 0 to 256\. Received: 'two'$"):
        Settings.from_env({"INKLING_THREADS": "two"})


def test_an_unknown_variable_is_refused_by_name():
    with pytest.raises(BadSetting, match=r"^INKLING_MAX_BITES is not a setting\. Known are: .*INKLING_MAX_BYTES"):
        Settings.from_env({"INKLING_MAX_BITES": "1"})


@pytest.mark.parametrize("variable", ["PORT", "WEB_CONCURRENCY", "INKLING_HOST"])
def test_a_platform_may_set_an_empty_variable(variable):
    assert Settings.from_env({variable: ""}) == Settings.from_env({})


def test_other_programs_variables_are_ignored():
    assert Settings.from_env({"PATH": "/bin", "XINKLING_": "1"}) == Settings.from_env({})


@pytest.mark.parametrize("text, path", [("pictures", ROOT / "pictures"), ("/srv/pictures", "/srv/pictures")])
def test_a_relative_folder_lies_in_the_checkout(text, path):
    assert str(Settings.from_env({"INKLING_PICTURES": text}).pictures) == str(path)


def test_in_a_wheel_a_relative_folder_lies_in_the_current_folder(monkeypatch, tmp_path):
    """In a wheel, only the starter models are in the package. Other folders are relative to the current folder."""
    package = tmp_path / "site-packages" / "inkling"
    (package / "templates").mkdir(parents=True)
    monkeypatch.setattr(config, "PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({})
    assert (settings.models, settings.pictures) == (package / "models", tmp_path / "saveimages")


def test_secrets_are_not_in_the_repr():
    env = {
        "INKLING_SECRET_KEY": "0123456789abcdef",
        "INKLING_DATABASE_URL": "sqlite:///password",
        "INKLING_RATE_STORAGE": "redis://:password@localhost/0",
        "INKLING_CHAT_KEY": "sk-password",
    }
    assert not re.search("password|0123456789abcdef", repr(Settings.from_env(env)))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_database_server_is_named_as_other_programs_name_it(scheme):
    url = Settings.from_env(
        {"INKLING_DATABASE_URL": f"{scheme}://user:p%40ss@host:5433/name?sslmode=require"}
    ).sqlalchemy_url
    assert url == "postgresql+psycopg://user:p%40ss@host:5433/name?sslmode=require"


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().max_batch = 3
    assert Settings().replace(max_batch=3).max_batch == 3


def test_every_setting_has_a_help_text():
    assert [row for row in config.rows() if not row.help.endswith(".")] == []
    assert len(config.rows()) == len(Settings.model_fields)


def test_the_database_lies_with_the_pictures_by_default():
    assert Settings.from_env({"INKLING_PICTURES": "/srv"}).sqlalchemy_url == "sqlite:////srv/inkling.sqlite3"


@pytest.mark.parametrize(
    "url, host, is_here",
    [
        ("", "", False),
        ("http://127.0.0.1:11434/v1", "127.0.0.1:11434", True),
        ("http://localhost:1234/v1/", "localhost:1234", True),
        ("http://[::1]:8080/v1/chat/completions", "[::1]:8080", True),
        ("http://127.0.0.1.example.org/v1", "127.0.0.1.example.org", False),
        ("http://192.168.0.7:11434/v1", "192.168.0.7:11434", False),
        ("https://api.example.com/v1", "api.example.com", False),
    ],
)
def test_what_a_language_model_gets_leaves_the_machine_or_not(url, host, is_here):
    settings = Settings.from_env({"INKLING_CHAT_URL": url, "INKLING_CHAT_KEY": " key\n"})
    assert (settings.chat_host, settings.chat_is_here, settings.chat_key) == (host, is_here, "key")
    assert not settings.chat_url.endswith(("/", "completions"))
