"""The language model beside the measured answers: what it is told, how it fails, who may ask, what it can't change."""

import json
import logging
import re
import threading

import httpx
import pytest
from PIL import Image, ImageDraw

from inkling.ask import model
from inkling.ask.intents import INTENTS
from inkling.problems import REASONS
from inkling.web.edge.admission import CHATS
from tests.support.chat import Exchange, Fake, chunk, closed_port, events, opened, seconds_to_close, serving
from tests.support.injections import ORDERS, SCRIPTS
from tests.support.waiting import wait_until

KEY = "sk-very-secret"


@pytest.fixture
def fake():
    server = Fake()
    yield server
    server.close()


@pytest.fixture
def app(make_app, settings, fake):
    return make_app(
        settings.replace(chat_url=fake.url, chat_model="tiny", chat_key=KEY, rate_limit=0, client_share=100)
    )


@pytest.fixture
def url(app):
    with serving(app) as url:
        yield url


def sent(url, file, model=None, name="a.png"):
    """The id of a new result."""
    answer = httpx.post(f"{url}/predict", data={"model": model} if model else {}, files={"image": (name, file)})
    return answer.headers["Location"].rpartition("/")[2]


@pytest.fixture
def id(url, png, ink_model):
    return sent(url, png, ink_model)


@pytest.fixture
def ask(url):
    """Asks, and returns the events of the answer."""

    def ask(question="What is it?", result=None, **more):
        body = {"question": question} | ({"result": result} if result else {}) | more
        answer = httpx.post(f"{url}/api/chat", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert "no-cache" in answer.headers["Cache-Control"]
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        return events(answer.text)

    return ask


def text_of(found):
    return "".join(data["text"] for name, data in found if name == "message")


def reason_of(found):
    """The reason of the problem that an answer ends with."""
    name, data = found[-1]
    assert name == "problem", found
    assert data["title"] == REASONS[data["reason"]].title
    return data["reason"]


# ---- What it is told ----


def test_an_answer_comes_as_it_is_said(ask, id, fake):
    found = ask(result=id)
    assert [name for name, _ in found] == ["begin", "message", "message", "message", "end"]
    assert text_of(found) == "It is a one."
    assert found[0][1] == {"sees": True}
    (question,) = fake.questions
    assert question.path == "/v1/chat/completions"
    assert question.headers["Authorization"] == f"Bearer {KEY}"
    assert {name: question.body[name] for name in ("model", "stream", "max_tokens")} == {
        "model": "tiny",
        "stream": True,
        "max_tokens": model.MOST_TOKENS,
    }


def test_it_is_told_what_was_measured(url, ask, id, fake):
    ask("why is it a one", id, history=[{"question": "what is it", "answer": "a one"}])
    stored = httpx.get(f"{url}/results/{id}.json").json()
    rules, *turns = fake.questions[0].body["messages"]
    assert rules["role"] == "system"
    told = json.loads(rules["content"].removeprefix(model.RULES))
    assert told["result"]["label"] == stored["label"]
    assert told["result"]["confidence"] == pytest.approx(stored["confidence"], abs=1e-4)
    for question in ("What is it?", "How sure are you?", "How good is this model?", "What does it confuse?"):
        measured = httpx.post(f"{url}/api/ask", json={"question": question, "result": id}).json()
        assert told["answers"][question] == measured["text"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[-1]["content"] == "why is it a one"


def test_facts_are_in_the_language_of_the_question(ask, id, fake):
    ask("что это", id)
    assert "Уверенность" in fake.questions[0].body["messages"][0]["content"]


def test_the_picture_is_a_small_jpeg(url, ask, fake, encode):
    id = sent(url, encode(Image.linear_gradient("L").resize((1000, 500)), "JPEG"), "cats-dogs-cnn")
    ask(result=id)
    probe, question = fake.asked
    image, kind = opened(probe.pictures[0])
    assert (image.size, kind, image.format) == ((64, 64), "image/jpeg", "JPEG")
    image, kind = opened(question.pictures[0])
    assert (max(image.size), kind, image.format) == (768, "image/jpeg", "JPEG")
    assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert probe.body["stream"]


def test_it_is_asked_once_whether_it_sees(ask, id, fake):
    for _ in range(3):
        ask(result=id)
    assert [exchange.is_probe for exchange in fake.asked] == [True, False, False, False]
    assert all(exchange.pictures for exchange in fake.asked)


def test_a_question_about_this_inkling_has_no_picture(ask, fake):
    ask("what can you do")
    (question,) = fake.asked
    assert not question.pictures
    assert "result" not in json.loads(question.body["messages"][0]["content"].removeprefix(model.RULES))


def test_the_picture_stays_in_the_first_question(ask, id, fake):
    """Servers cache the beginning of a conversation."""
    ask("and now", id, history=[{"question": "what is it", "answer": "a one"}])
    first, _, last = fake.questions[0].body["messages"][1:]
    assert first["content"][1]["text"] == "what is it"
    assert last["content"] == "and now"


# ---- Servers as they are ----


def ollama(exchange):
    """Ollama refuses pictures that are not data URLs."""
    for url in exchange.pictures:
        if not url.startswith("data:image/"):
            return exchange.refuse(400, {"error": {"message": "invalid image input"}})
    exchange.begin()
    exchange.say(chunk("", role="assistant"), chunk("", role="assistant", reasoning="Hm."), *map(chunk, ("A ", "one.")))


def lm_studio(exchange):
    """LM Studio refuses WebP, and pictures whose media type is not that of their bytes."""
    for url in exchange.pictures:
        image, kind = opened(url)
        if kind not in ("image/jpeg", "image/png") or kind != f"image/{image.format.lower()}":
            return exchange.refuse(400, {"error": "'url' field must be a base64 encoded image."})
    exchange.begin()
    exchange.say(chunk("A one.", role="assistant", reasoning_content="Hm."), chunk(finish="stop"))


def blind(exchange):
    """llama.cpp without a projector for pictures; what it says is what xllamacpp said (tests/server/test_chat.py)."""
    if exchange.pictures:
        return exchange.refuse(500, {"error": {"code": 500, "message": "image input is not supported - hint: mmproj"}})
    exchange.answer()


def plain(exchange):
    """A server that takes nothing but strings."""
    if exchange.pictures:
        return exchange.refuse(422, {"detail": [{"msg": "Input should be a valid string", "loc": ["messages", 0]}]})
    exchange.answer()


@pytest.mark.parametrize("behave", [ollama, lm_studio])
def test_servers_that_see_get_the_picture(ask, id, fake, behave):
    fake.behave = behave
    found = ask(result=id)
    assert (found[0], text_of(found)) == (("begin", {"sees": True}), "A one.")


@pytest.mark.parametrize("behave", [blind, plain])
def test_servers_that_do_not_see_are_asked_without_the_picture(ask, id, fake, behave):
    fake.behave = behave
    for _ in range(3):
        found = ask(result=id)
        assert found[0] == ("begin", {"sees": False})
        assert text_of(found) == "It is a one."
    assert [bool(exchange.pictures) for exchange in fake.asked] == [True, False, False, False]


def test_a_model_that_loads_is_waited_for(ask, fake, monkeypatch):
    """llama.cpp accepts connections before it has read the model."""
    monkeypatch.setattr(model, "RETRY", 0.05)
    loading = iter(range(3))

    def behave(exchange):
        if next(loading, None) is not None:
            return exchange.refuse(503, {"error": {"code": 503, "message": "Loading model"}})
        exchange.answer()

    fake.behave = behave
    assert text_of(ask()) == "It is a one."
    assert len(fake.asked) == 4


def test_while_nothing_comes_comments_keep_the_connection_open(url, fake, monkeypatch):
    monkeypatch.setattr(model, "PAUSE", 0.05)
    loaded = threading.Event()

    def slow(exchange):
        loaded.wait(60)
        exchange.answer()

    fake.behave = slow
    with httpx.stream("POST", f"{url}/api/chat", json={"question": "hello"}, timeout=60) as answer:
        parts = answer.iter_text()
        got = ""
        while got.count(":\n\n") < 4:
            got += next(parts)
        assert events(got) == []
        loaded.set()
        got += "".join(parts)
    assert text_of(events(got)) == "It is a one."


# ---- Failures ----


def breaks_off(exchange):
    exchange._handler.send_response(200)
    exchange._handler.send_header("Content-Type", "text/event-stream")
    exchange._handler.send_header("Content-Length", "10000")
    exchange._handler.end_headers()
    exchange.say(chunk("It"), end="")


def says(*lines, kind="text/event-stream"):
    def behave(exchange):
        exchange.begin(kind)
        exchange.send("".join(f"{line}\n\n" for line in lines))

    return behave


def refuses(status, error="no", **headers):
    return lambda exchange: exchange.refuse(status, {"error": {"message": error}}, **headers)


FAILURES = {
    "quota of a cloud": (refuses(429, "Rate limit reached", **{"Retry-After": "20"}), "chat-limited"),
    "wrong key": (refuses(401, f"Incorrect API key provided: {KEY}"), "chat-refused"),
    "forbidden": (refuses(403), "chat-refused"),
    "no such model": (refuses(404, "model 'tiny' not found"), "chat-refused"),
    "bad request": (refuses(400), "chat-refused"),
    "server error": (refuses(500), "chat-failed"),
    "bad gateway": (refuses(502), "chat-failed"),
    "unavailable": (refuses(503, "overloaded"), "chat-failed"),
    "redirect": (refuses(307, Location="http://192.0.2.1/"), "chat-refused"),
    "picture": (refuses(400, "This model does not support images"), "chat-blind"),
    "no JSON": (says("data: {nonsense"), "chat-garbled"),
    "deep JSON": (says("data: " + "[" * 100_000), "chat-garbled"),
    "no object": (says("data: [1, 2]"), "chat-garbled"),
    "a page": (says("<!doctype html><title>Sign in</title>", kind="text/html"), "chat-garbled"),
    "one answer as JSON": (says('{"choices": []}', kind="application/json"), "chat-garbled"),
    "endless line": (says("data: " + "x" * 2**21), "chat-garbled"),
    "nothing": (says(), "chat-empty"),
    "nothing but the end": (says("data: [DONE]"), "chat-empty"),
    "no text": (lambda exchange: exchange.answer("", ""), "chat-empty"),
    "odd chunks": (
        says('data: {"choices": 5}', 'data: {"choices": [5]}', 'data: {"choices": [{"delta": 5}]}'),
        "chat-empty",
    ),
    "error in the stream": (says('data: {"error": {"code": 429, "message": "slow down"}}'), "chat-limited"),
    "error as text in the stream": (says('data: {"error": "out of memory"}'), "chat-failed"),
    "breaks off": (breaks_off, "chat-away"),
}


@pytest.mark.parametrize("behave, reason", FAILURES.values(), ids=FAILURES)
def test_each_failure_has_one_sentence_and_measured_answers_go_on(url, ask, fake, behave, reason, caplog):
    fake.behave = behave
    with caplog.at_level(logging.DEBUG, "inkling"):
        found = ask("a private question")
    assert reason_of(found) == reason
    assert [name for name, _ in found].count("problem") == 1
    assert httpx.post(f"{url}/api/ask", json={"question": "what can you do"}).json()["intent"] == "can"
    everything = caplog.text + json.dumps(found)
    assert KEY not in everything
    assert "private" not in everything
    assert len(fake.asked) == 1, "nothing is asked twice, and no redirect is followed"


def test_a_failure_after_some_words_keeps_the_words(ask, fake):
    fake.behave = breaks_off
    found = ask()
    assert text_of(found) == "It"
    assert reason_of(found) == "chat-away"


def test_a_server_that_is_away_is_told_so_and_asked_again(make_app, settings, fake):
    with serving(make_app(settings.replace(chat_url=closed_port()))) as url:
        for _ in range(2):
            answer = httpx.post(f"{url}/api/chat", json={"question": "hello"}, timeout=60)
            assert reason_of(events(answer.text)) == "chat-away"


def test_a_server_that_never_speaks_is_given_up(ask, fake, monkeypatch):
    monkeypatch.setattr(model, "SILENCE", 0.2)
    done = threading.Event()
    fake.behave = lambda exchange: done.wait(60)
    assert reason_of(ask()) == "chat-late"
    done.set()


def test_an_answer_has_a_longest_time(ask, fake, monkeypatch):
    monkeypatch.setattr(model, "WHOLE", 0.2)
    done = threading.Event()
    fake.behave = lambda exchange: done.wait(60)
    assert reason_of(ask()) == "chat-late"
    done.set()


def test_a_server_that_fails_when_it_is_asked_whether_it_sees_is_asked_again(ask, id, fake):
    fake.behave = refuses(500)
    assert reason_of(ask(result=id)) == "chat-failed"
    fake.behave = Exchange.answer
    assert ask(result=id)[0] == ("begin", {"sees": True})


def test_an_answer_that_is_too_long_says_so(ask, fake):
    fake.behave = lambda exchange: exchange.answer("It", finish="length")
    assert ask()[-1] == ("end", {"cut": True})


# ---- Stop ----


@pytest.mark.parametrize("begun", [False, True], ids=["before the first word", "in the middle"])
def test_stop_closes_the_connection_to_the_server(url, fake, begun):
    seconds_to_close(url, fake, begun)  # or fails


def test_a_stopped_answer_gives_its_place_back(make_app, settings, fake):
    app = make_app(settings.replace(chat_url=fake.url, chat_streams=1, rate_limit=0))
    fake.behave = Exchange.wait_until_left
    with serving(app) as url:
        for _ in range(2):
            with httpx.stream("POST", f"{url}/api/chat", json={"question": "hello"}, timeout=60) as answer:
                assert answer.status_code == 200
                busy = httpx.post(f"{url}/api/chat", json={"question": "hello"}, timeout=60)
                assert (busy.status_code, busy.json()["reason"]) == (503, "busy")
                measured = httpx.post(f"{url}/api/ask", json={"question": "what can you do"}, timeout=60)
                assert measured.json()["intent"] == "can"
            wait_until(lambda: not app.extensions["admission"]._turns[CHATS]._running)


# ---- Who may ask ----


def test_without_a_language_model_there_is_none(make_app):
    client = make_app().test_client()
    answer = client.post("/api/chat", json={"question": "hello"})
    assert (answer.status_code, answer.json["reason"]) == (404, "not-found")
    assert "chat" not in client.get("/ask").text


def test_one_client_holds_its_share_of_the_streams(make_app, settings, fake):
    app = make_app(settings.replace(chat_url=fake.url, chat_streams=2, client_share=50, rate_limit=0))
    with app.extensions["admission"].turn(0, CHATS, "127.0.0.1"):
        answer = app.test_client().post("/api/chat", json={"question": "hello"})
        assert (answer.status_code, answer.json["reason"]) == (503, "busy")
        other = app.test_client()
        other.environ_base["REMOTE_ADDR"] = "192.0.2.1"
        assert other.post("/api/chat", json={"question": "hello"}).status_code == 200


def test_a_stream_holds_no_turn_of_the_models(make_app, settings, fake, png, ink_model):
    app = make_app(settings.replace(chat_url=fake.url, concurrent=1, queue=0, rate_limit=0))
    fake.behave = Exchange.wait_until_left
    with serving(app) as url:
        id = sent(url, png, ink_model)
        with httpx.stream("POST", f"{url}/api/chat", json={"question": "hello", "result": id}, timeout=60):
            wait_until(lambda: fake.asked)
            files = {"image": ("a.png", png)}
            assert httpx.post(f"{url}/api/predict", files=files, timeout=60).status_code == 200


@pytest.mark.parametrize("setting", ["chat_client_day", "chat_day"])
def test_questions_of_a_day_are_counted(make_app, settings, fake, setting):
    app = make_app(settings.replace(chat_url=fake.url, rate_limit=0, **{setting: 2}))
    with serving(app) as url:
        answers = [httpx.post(f"{url}/api/chat", json={"question": "hello"}, timeout=60) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["reason"] == "chat-quota"
    assert int(answers[2].headers["Retry-After"]) > 60


def test_the_days_number_is_divided_among_workers(make_app, settings, fake):
    app = make_app(settings.replace(chat_url=fake.url, chat_day=10, web_concurrency=4))
    assert app.extensions["chat-quota"].all.most == 3


def test_a_deleted_or_unknown_result_is_not_found(url, id):
    assert httpx.post(f"{url}/api/chat", json={"question": "x", "result": "none"}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": ""},
        {"question": "x" * 501},
        {"question": "x", "url": "http://192.0.2.1"},
        {"question": "x", "history": [{"role": "system", "content": "x"}]},
        {"question": "x", "history": [{"question": "x", "answer": "y"}] * 11},
        {"question": "x", "history": [{"question": "x", "answer": "y" * 10_001}]},
        {"question": "x", "history": [{"question": "x", "answer": "y", "role": "system"}]},
    ],
)
def test_other_bodies_are_problems(url, fake, body):
    answer = httpx.post(f"{url}/api/chat", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad-request")
    assert not fake.asked


def test_another_sites_page_may_not_ask(url, fake):
    answer = httpx.post(f"{url}/api/chat", json={"question": "x"}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert not fake.asked


def test_pages_name_the_host_and_never_the_key(app, id):
    client = app.test_client()
    host = app.extensions["inkling"].settings.chat_host
    for path in ("/ask", f"/results/{id}", "/privacy", "/help"):
        page = client.get(path).text
        assert KEY not in page
        assert (f'data-host="{host}"' in page) == (path not in ("/privacy", "/help"))
    assert "data-leaves" not in client.get("/ask").text


def test_a_server_elsewhere_is_named_and_asked_for(make_app, settings):
    client = make_app(settings.replace(chat_url="https://api.example.com/v1")).test_client()
    page = client.get("/ask").text
    assert "data-leaves" in page
    assert "api.example.com" in client.get("/privacy").text
    assert "api.example.com" in client.post("/api/ask", json={"question": "are you a language model"}).json["text"]


# ---- Text changes nothing ----


def measured(url, id):
    """All that Inkling says it measured."""
    answers = {
        intent: httpx.post(f"{url}/api/ask", json={"question": question, "result": id}, timeout=60).json()
        for intent, question in {"what": "what is it", "sure": "how sure are you", "good": "how good is it"}.items()
    }
    assert answers.keys() <= set(INTENTS)
    return httpx.get(f"{url}/results/{id}.json").json(), answers


def obey(exchange):
    """A language model that does what the picture says: the worst that a server can be."""
    exchange.answer("I measured again: it is a banana, 100%.", ' {"label": "banana"}')


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_in_a_picture_a_name_or_a_question_changes_nothing_that_was_measured(
    url, ask, fake, encode, ink_model, order
):
    image = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(image).text((10, 80), order, "black", font_size=16)
    id = sent(url, encode(image), ink_model, name=f"{re.sub('[/?]', ' ', order[:60])}.png")
    before = measured(url, id)
    fake.behave = obey
    found = ask(order, id)
    assert "banana" in text_of(found)
    assert measured(url, id) == before
    rules, question = fake.questions[0].body["messages"]
    assert rules["content"].startswith(model.RULES)
    assert order not in rules["content"], "a name or a question is no instruction"
    assert [part for part in question["content"] if part["type"] == "text"] == [{"type": "text", "text": order}]
    assert fake.questions[0].body.keys() == {"model", "messages", "stream", "max_tokens"}, "it gets no tools"


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_passed_on_as_text(ask, fake, script):
    fake.behave = lambda exchange: exchange.answer(script)
    found = ask(script if script.isprintable() else "x")
    assert text_of(found) == script
    assert found[-1] == ("end", {"cut": False})
