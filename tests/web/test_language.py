"""Pages in two languages: how the language is selected, and that every string is translated."""

import ast
import io
import re
from html.parser import HTMLParser

import pytest
from jinja2 import Environment, nodes

from inkling.config import ROOT
from inkling.pictures.formats import EXTENSIONS
from inkling.recognition.catalog import read_catalog
from inkling.web.edge.language import LANGUAGES, label, named, received, translated
from tools import words as words_tool

RUSSIAN = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"}
COOKIE = "inkling-language"
MODELS = read_catalog(ROOT / "models").models


def language_of(answer):
    """Returns the language that a page declares."""
    (code,) = answer.content_language
    assert f'<html lang="{code}">' in answer.text
    assert {"accept-language", "cookie"} <= {name.lower() for name in answer.vary}
    return code


# ---- Selecting a language ----


@pytest.mark.parametrize(
    "wish, code",
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.5", "ru"),
        ("en,ru;q=0.5", "en"),
        ("de,ru;q=0.1", "ru"),
        ("de", "en"),
        ("*", "en"),
        ("nonsense;q=x", "en"),
    ],
)
def test_the_browsers_wish_is_followed(client, wish, code):
    assert language_of(client.get("/help", headers={"Accept-Language": wish})) == code


@pytest.mark.parametrize("chosen, code", [("en", "en"), ("ru", "ru"), ("de", "ru"), ("", "ru"), ("../ru", "ru")])
def test_the_visitors_choice_comes_before_the_browsers_wish(client, chosen, code):
    client.set_cookie(COOKIE, chosen)
    assert language_of(client.get("/help", headers=RUSSIAN)) == code


def test_an_error_is_in_the_language_too(client):
    assert language_of(client.get("/no-such-page", headers=RUSSIAN)) == "ru"


# ---- Changing the language ----


@pytest.mark.parametrize(
    "came_from, back",
    [
        ("http://localhost/help?reason=blank", "/help?reason=blank"),
        ("http://localhost/?way=draw&model=doodles-cnn", "/?way=draw&model=doodles-cnn"),
        (None, "/"),
        ("", "/"),
        ("nonsense", "/"),
        ("http://evil.example/help", "/"),
        ("http://localhost//evil.example", "/evil.example"),
        ("http://localhost/\\evil.example", "/evil.example"),
        ("http://localhost@evil.example/help", "/"),
        ("http://[", "/"),
        ("//evil.example/help", "/"),
    ],
)
def test_the_choice_is_kept_and_leads_back_to_our_own_page_only(client, came_from, back):
    headers = {} if came_from is None else {"Referer": came_from}
    answer = client.post("/language", data={"language": "ru"}, headers=headers)
    assert (answer.status_code, answer.location) == (303, back)
    assert client.get_cookie(COOKIE).value == "ru"
    assert language_of(client.get("/help")) == "ru"


def test_the_cookie_is_for_the_server_alone(client):
    cookie = client.post("/language", data={"language": "ru"}).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    safe = client.post("/language", data={"language": "ru"}, base_url="https://localhost").headers["Set-Cookie"]
    assert "Secure" in safe


@pytest.mark.parametrize("fields", [{}, {"language": ""}, {"language": "de"}])
def test_another_language_is_refused(client, fields):
    answer = client.post("/language", data=fields)
    assert answer.status_code == 400
    assert "English, Русский" in answer.text
    assert "Set-Cookie" not in answer.headers


# ---- Programs ----


@pytest.mark.parametrize("path", ["/api/models", "/api/openapi.json", "/api/nothing", "/healthz", "/readyz"])
def test_programs_are_answered_in_one_language(client, path):
    plain, russian = client.get(path), client.get(path, headers=RUSSIAN)
    assert plain.data == russian.data
    assert not russian.vary


# ---- Every string is translated ----

SPOKEN = {"alt", "title", "placeholder", "aria-label", "aria-description", "aria-roledescription", "label"}
DATA = {"data-words", "data-scripts", "data-extensions"}  # labels that scripts compare, names of scripts and of files
VERBATIM = {"code", "kbd", "pre", "script", "style"}  # not translated
NAMES = {"Inkling", "API", "RU", "jpg", "png", "webp", "heic"}
GETTEXT = {"_", "gettext", "ngettext", "pgettext", "npgettext"}
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted(path for path in (ROOT / "static").rglob("*.js"))
SENTENCE = re.compile(r"[A-Z][a-z]|[a-z] [a-z]")


class Texts(HTMLParser):
    """Collects the visible and spoken texts of a page as (text, whether it is English on purpose)."""

    VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

    def __init__(self, html):
        super().__init__()
        self.open, self.said = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        english = (
            any(english for _, english in self.open)
            or (tag != "html" and "en" in (attributes.get("lang"), attributes.get("hreflang")))
            or (attributes.get("translate") == "no")
        )
        if tag not in self.VOID:
            self.open.append((tag, english))
        spoken = [
            value
            for name, value in attributes.items()
            if name in SPOKEN or (name.startswith("data-") and name not in DATA and SENTENCE.search(value or ""))
        ]  # texts that a script shows
        if tag == "meta" and attributes.get("name", attributes.get("property", "")).endswith(("description", "title")):
            spoken.append(attributes["content"])
        self.said += [(value, english) for value in spoken if value]

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not any(tag in VERBATIM for tag, _ in self.open):
            self.said.append((data, any(english for _, english in self.open)))


def words(text):
    """Returns the words of a text, except names."""
    return [word for word in re.findall(r"[^\W\d_]+", text) if word not in NAMES]


def flatten(node, expressions):
    """Returns a template as HTML. One private-use character stands for each expression."""
    if isinstance(node, nodes.TemplateData):
        return node.data
    if isinstance(node, nodes.Expr):
        expressions.append(node)
        return chr(0xE000 + len(expressions) - 1)
    return "".join(
        flatten(child, expressions)
        for child in node.iter_child_nodes()
        if isinstance(child, (nodes.Stmt, nodes.TemplateData)) or isinstance(node, nodes.Output)
    )


def said_by(expression):
    """Returns the literal texts that an expression can write into the page."""
    if isinstance(expression, nodes.Const):
        return [expression.value] if isinstance(expression.value, str) else []
    if isinstance(expression, nodes.CondExpr):
        return said_by(expression.expr1) + (said_by(expression.expr2) if expression.expr2 else [])
    if isinstance(expression, (nodes.Or, nodes.And)):
        return said_by(expression.left) + said_by(expression.right)
    if isinstance(expression, nodes.Concat):
        return [text for part in expression.nodes for text in said_by(part)]
    return []


def literals(node):
    """Returns all literal texts in a template's expressions, except those passed to gettext."""
    if isinstance(node, nodes.Const):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in GETTEXT:
        return [text for value in node.kwargs for text in literals(value.value)]
    return [text for child in node.iter_child_nodes() for text in literals(child)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_string_of_a_template_escapes(path):
    tree = Environment(extensions=["jinja2.ext.i18n"]).parse(path.read_text("utf-8"))
    expressions, bare = [], []
    for text, _ in Texts(flatten(tree, expressions)).said:
        bare += [text.strip()] * bool(words(re.sub("[\ue000-\uf8ff]", " ", text)))
        for place in re.findall("[\ue000-\uf8ff]", text):
            bare += filter(words, said_by(expressions[ord(place) - 0xE000]))
    bare += [text for text in literals(tree) if SENTENCE.search(text) and words(text)]
    assert bare == [], "wrap each in _(…)"


@pytest.fixture
def pages(client, data_url, png, ink_model):
    """Addresses of one page of every kind."""
    result = client.post("/predict", data={"model": ink_model, "drawing": data_url(png)}).location
    batch = client.post(
        "/predict",
        data={
            "model": ink_model,
            "image": [(io.BytesIO(data), name) for data, name in ((png, "a.png"), (b"", "b.png"))],
        },
    ).location
    return {
        "first": "/",
        "play": "/play",
        "lab": "/lab",
        "history": "/history",
        "help": "/help?reason=blank&got=a.png",
        "models": "/models",
        "compare": "/compare/digits",
        "API": "/api/docs",
        "result": result,
        "others": f"{result}/others",
        "why": f"{result}/why",
        "layers": f"{result}/layers",
        "batch": batch,
        "error": "/results/0",
        "offline": "/offline",
    } | {f"model {name}": f"/models/{name}" for name in ("digits-cnn", "doodles-cnn", "cats-dogs-mobilenet")}


KINDS = (
    "first",
    "play",
    "lab",
    "history",
    "help",
    "models",
    "model digits-cnn",
    "model doodles-cnn",
    "model cats-dogs-mobilenet",
    "compare",
    "API",
    "result",
    "others",
    "why",
    "layers",
    "batch",
    "error",
    "offline",
)


@pytest.fixture(scope="module")
def translated_latin():
    """The Latin words that translations contain, such as names, and the file extensions."""
    catalog = words_tool.read(words_tool.CATALOGS / "ru.po")
    kept = " ".join(form for message in catalog for form in words_tool.forms(message.string) if message.id)
    return latin_words(kept) | set(EXTENSIONS)


def latin_words(text):
    return {word for word in words(text) if re.search("[a-zA-Z]{2}", word)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_russian_page_is_russian(client, pages, translated_latin, kind):
    answer = client.get(pages[kind], headers=RUSSIAN)
    assert language_of(answer) == "ru"
    latin = {
        text.strip()
        for text, english in Texts(answer.text).said
        if not english and not latin_words(text) <= translated_latin
    }
    assert latin == set()


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("models", "compare", "API") and not kind.startswith("model ")]
)
def test_a_page_speaks_of_nothing_but_plain_things(client, pages, kind):
    text = re.sub(r"<code.*?</code>", "", client.get(pages[kind]).text, flags=re.DOTALL)
    assert not re.search(r"\b(inference|logits?|tensors?)\b", text, re.IGNORECASE)


def test_a_wish_that_takes_long_to_read_is_not_read(client):
    assert language_of(client.get("/help", headers={"Accept-Language": "ru," * 400 + "ru"})) == "en"
    assert language_of(client.get("/help", headers={"Accept-Language": "de, ru;q=0.9"})) == "ru"


def test_numbers_have_the_languages_sign(client, pages):
    for wish, shown in (("en", r"\d\.\d+%"), ("ru", r"\d,\d+%")):
        text = client.get("/models", headers={"Accept-Language": wish}).text
        assert re.search(shown, text)
    assert not re.search(r"\d\.\d+%", text)


def test_no_error_page_escapes():
    """The description passed to `abort` is a literal, which the error page translates, or a call of gettext."""
    files = [path for path in (ROOT / "inkling" / "web").rglob("*.py") if path.name not in words_tool.FOR_PROGRAMS]
    trees = [ast.parse(path.read_text("utf-8")) for path in files]
    calls = [call for tree in trees for call in ast.walk(tree) if isinstance(call, ast.Call)]
    reasons = [call.args[1] for call in calls if ast.unparse(call.func) == "abort" and len(call.args) > 1]
    assert len(reasons) > 5
    assert [
        ast.unparse(reason)
        for reason in reasons
        if not isinstance(reason, ast.Constant)
        and not (isinstance(reason, ast.Call) and ast.unparse(reason.func) in GETTEXT)
    ] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_string_of_a_script_escapes(path):
    """Scripts take all texts that they show from the page."""
    code = re.sub(r"(?s:/\*.*?\*/)|(?m:^\s*//.*$|\s// .*$)", "", path.read_text("utf-8"))
    strings = re.findall(r'"[^"\n]*"|`[^`]*`', code)
    assert [
        text
        for text in strings
        if re.search(r"[A-Z][a-z]+[ ,]|[a-z]{2,} [a-z]{2,} [a-z]|[a-z][.…?!][\"`]", text) and "<" not in text
    ] == []


# ---- The catalogs ----

CATALOGUES = sorted(words_tool.CATALOGS.glob("*.po"))


@pytest.fixture(params=CATALOGUES, ids=lambda path: path.stem, scope="module")
def catalog(request):
    return words_tool.read(request.param)


def test_there_is_a_catalog_for_each_language():
    assert {path.stem for path in CATALOGUES} == LANGUAGES.keys() - {"en"}


def test_everything_said_is_translated_and_nothing_else(catalog):
    keys = {(message.id, message.context) for message in catalog if message.id}
    said = {(message.id, message.context) for message in words_tool.extracted() if message.id}
    assert said - keys == set(), "not in the catalog: run `make words` and translate"
    assert keys - said == set(), "no longer in use: run `make words`"
    assert [message.id for message in words_tool.untranslated(catalog)] == []
    assert list(catalog.obsolete) == []


def marks(text):
    """Returns the parts of a text that a translation must keep: placeholders, tags with addresses, percent signs."""
    return set(re.findall(r"%\(\w+\)[sd]|\{\w*\}|<[^>]+>|%%", text))


def test_translations_keep_the_placeholders(catalog):
    for message in catalog:
        *_, whole = words_tool.forms(message.id)
        for form in words_tool.forms(message.string) if message.id else ():
            assert marks(form) == marks(whole), message.id
            assert form == form.strip()
            assert not re.search(r"%(?!\(\w+\)s|%)", form) or "%" in whole, message.id


def test_plurals_have_as_many_forms_as_the_language(catalog):
    counts = {len(message.string) for message in catalog if isinstance(message.id, tuple)}
    assert counts == {catalog.num_plurals}


# ---- Data in two languages ----


def test_a_label_and_a_card_of_ones_own_stay_as_they_are(app):
    with app.test_request_context(headers=RUSSIAN):
        assert (label("cat"), label("Models"), label("my thing"), label("")) == ("кошка", "Models", "my thing", "")
        assert (translated("letters"), translated("my thing"), translated("")) == ("буквы", "my thing", "")
    with app.test_request_context():
        assert (label("cat"), translated("letters")) == ("cat", "letters")


@pytest.mark.parametrize(
    "value, english, russian",
    [
        ("17 bytes", "17 bytes", "17 Б"),
        ("17825792 bytes", "17.0 MB", "17,0 МБ"),
        ("108500000 pixels", "108.5 megapixels", "108,5 Мп"),
        ("999999 pixels", "999999 pixels", "999999 px"),
        ("21 pictures", "21 pictures", "21 шт"),
        ("6 or more frames", "6 or more frames", "6 и более кадров"),
        ("2000 x 1000", "2000 x 1000", "2000 x 1000"),
        ("my pixels.png", "my pixels.png", "my pixels.png"),
        ("", "", ""),
    ],
)
def test_what_was_received_has_a_unit_that_people_use(app, value, english, russian):
    with app.test_request_context():
        assert received(value) == english
    with app.test_request_context(headers=RUSSIAN):
        assert received(value) == russian


@pytest.mark.parametrize(
    "name, english, russian",
    [
        ("camel", "a camel", "верблюд"),
        ("octopus", "an octopus", "осьминог"),
        ("8", "an 8", "8"),
        ("headphones", "headphones", "наушники"),
        ("The Mona Lisa", "the Mona Lisa", "Мона Лиза"),
        ("bus", "a bus", "автобус"),
        ("praying mantis", "a praying mantis", "богомол"),
        ("Great Pyrenees", "a Great Pyrenees", "пиренейская горная собака"),
        ("unicycle", "a unicycle", "моноцикл"),
        ("umbrella", "an umbrella", "зонт"),
        ("hourglass", "an hourglass", "песочные часы"),
        ("one-piece swimsuit", "a one-piece swimsuit", "слитный купальник"),
        ("hay", "hay", "сено"),
        ("food", "food", "еда"),
        ("automobile", "a car", "автомобиль"),
    ],
)
def test_a_label_within_a_sentence(app, name, english, russian):
    for code, text in (("en", english), ("ru", russian)):
        with app.test_request_context(headers={"Accept-Language": code}):
            assert named(name) == text


@pytest.mark.parametrize("name", MODELS)
def test_no_two_labels_of_a_model_have_the_same_name(app, name):
    """Otherwise a visitor who corrects an answer could not tell which one they choose."""
    labels = MODELS[name].card.labels
    for code in LANGUAGES:
        with app.test_request_context(headers={"Accept-Language": code}):
            assert len({label(one).casefold().replace("ё", "е") for one in labels}) == len(labels)
