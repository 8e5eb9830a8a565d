"""Questions: the API and the pages, who may ask about what, and answers in the language of whoever asks."""

import io
import re

import pytest

from inkling.ask import grounded, intents
from inkling.storage import StoreError
from inkling.web import asked
from inkling.web.edge.admission import EXPLANATIONS
from inkling.web.schemas import Answered
from tests.conftest import OwnersClient
from tests.support.taught import RED, app_with_colors, colored

RUSSIAN = {"Accept-Language": "ru"}


@pytest.fixture
def id(client, png, ink_model):
    """The id of a result that this client made."""
    sent = client.post("/predict", data={"model": ink_model, "image": (io.BytesIO(png), "a.png")})
    return sent.location.rpartition("/")[2]


@pytest.fixture
def ask(client):
    """Asks the API; checks the form of the answer."""

    def ask(question, result=None, client=client):
        answer = client.post("/api/ask", json={"question": question} | ({"result": result} if result else {}))
        assert answer.status_code == 200, answer.text
        Answered.model_validate(answer.json)
        return answer.json

    return ask


# ---- The API ----


@pytest.mark.parametrize("code", ["en", "ru"])
def test_all_questions_that_are_offered_are_understood(app, ask, id, code):
    with app.test_request_context(headers={"Accept-Language": code}):
        offered = [
            (intent, asked.words(question), about)
            for questions, about in ((grounded.OF_A_RESULT, id), (grounded.IN_GENERAL, None))
            for intent, question in questions.items()
        ]
    for intent, text, about in offered:
        answer = ask(text, about)
        assert (answer["intent"], answer["language"]) == (intent, code), text
        assert answer["text"] == " ".join(sentence["text"] for sentence in answer["sentences"])
        assert not re.search(r"%\(|\{", answer["text"])
        for sentence in answer["sentences"]:
            assert all(value["text"] in sentence["text"] for value in sentence["values"]), sentence


def test_numbers_are_those_of_the_stored_answer(client, ask, id):
    stored = client.get(f"/results/{id}.json").json
    values = {value["name"]: value for value in ask("how sure are you", id)["sentences"][0]["values"]}
    assert values["label"]["value"] == stored["label"]
    assert values["share"]["value"] == pytest.approx(stored["confidence"], abs=1e-6)
    assert {value["source"] for value in values.values()} == {"prediction"}


def test_changes_are_small_pictures_with_the_models_answers(client, ask, id):
    changes = ask("what would change your mind", id)["changes"]
    assert [change["change"] for change in changes] == ["hidden", "turned", "darker", "blurred", "cropped"]
    for change in changes:
        answer = client.post("/api/predict?model=digits-cnn", json={"image": change["picture"]}).json
        assert change["label"] is None or answer["label"] == change["label"]


def test_confusions_are_those_of_the_card(ask, id, classifier):
    card = classifier.catalog.models["digits-cnn"].card
    answer = ask("what does it confuse", id)
    assert answer["confusions"]
    for pair in answer["confusions"]:
        i, j = (card.labels.index(pair[name]) for name in ("true", "predicted"))
        assert pair["count"] == card.metrics.confusion[i][j]


def test_what_is_not_understood_gets_a_list_of_what_is(ask, id):
    answer = ask("tell me a joke", id)
    assert (answer["intent"], answer["sentences"][0]["values"]) == (None, [])
    assert len(answer["questions"]) == len(grounded.OF_A_RESULT) >= 9


@pytest.mark.parametrize(
    "body, status",
    [
        ({}, 400),
        ({"question": ""}, 400),
        ({"question": 1}, 400),
        ({"question": "x" * (intents.LONGEST + 1)}, 400),
        ({"question": "why", "more": 1}, 400),
        ({"question": "why", "result": 1}, 400),
        ({"question": "why", "result": "x" * 65}, 400),
        ({"question": "why", "result": "no-such-result"}, 404),
        ({"question": "why", "result": ""}, 404),
        ([], 400),
    ],
)
def test_other_bodies_are_problems(client, body, status):
    answer = client.post("/api/ask", json=body)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["reason"] == {400: "bad-request", 404: "not-found"}[status]


def test_a_body_that_is_no_json_is_a_problem(client):
    assert client.post("/api/ask", data={"question": "why"}).status_code == 415


def test_questions_count_for_the_rate_limit(make_app, settings):
    client = make_app(settings.replace(rate_limit=2)).test_client()
    statuses = [client.post("/api/ask", json={"question": "help"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_while_others_are_explained_it_says_so(make_app, settings, png, ink_model):
    app = make_app(settings.replace(queue=0))
    client = app.test_client()
    id = client.post("/predict", data={"model": ink_model, "image": (io.BytesIO(png), "a.png")}).location[9:]
    with app.extensions["admission"].turn(0, EXPLANATIONS):
        busy = client.post("/api/ask", json={"question": "why", "result": id})
        assert (busy.status_code, busy.json["reason"]) == (503, "busy")
        assert client.post(f"/ask/{id}", data={"question": "why"}).status_code == 503
        assert client.post("/api/ask", json={"question": "how sure", "result": id}).status_code == 200
    assert client.post("/api/ask", json={"question": "why", "result": id}).status_code == 200


def test_nothing_is_saved_but_an_explanation(ask, id, kept):
    before = set(kept())
    for question in ("what is it", "how good is the model", "tell me a joke"):
        ask(question, id)
    assert set(kept()) == before
    ask("what would change your mind", id)
    assert set(kept()) - before == {f"{id}.heat.png"}


def test_a_question_leaves_no_trace_in_the_log(client, id, caplog):
    with caplog.at_level("DEBUG"):
        client.post(f"/ask/{id}", data={"question": "why is my secret so secret"})
    assert "secret" not in caplog.text


# ---- Who may ask ----


def test_a_deleted_result_answers_nothing(client, id):
    client.post(f"/results/{id}/delete")
    assert client.post("/api/ask", json={"question": "what is it", "result": id}).status_code == 404
    assert client.get(f"/ask/{id}").status_code == 404
    assert client.post(f"/ask/{id}", data={"question": "what is it"}).status_code == 404


def test_whoever_has_the_link_may_ask_but_is_not_told_to_correct(app, ask, id):
    other = app.test_client()
    mine, theirs = ask("how do I correct you", id), ask("how do I correct you", id, other)
    assert any(link["url"].endswith("#right") for link in mine["links"])
    assert not any(link["url"].endswith("#right") for link in theirs["links"])
    assert "Only the browser" in theirs["text"]


@pytest.fixture
def taught(settings, tmp_path):
    """An app with the unlisted classifier "colors" of the owner at the machine itself."""
    return app_with_colors(settings, tmp_path / "models")


def test_a_classifier_taught_here_answers_its_owner_alone(taught, ask):
    owner, visitor = OwnersClient(taught, taught.response_class), taught.test_client()
    visitor.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    file = io.BytesIO()
    colored(RED, None, 1, 9)[0][0].image.save(file, "PNG")
    file.seek(0)
    id = owner.post("/predict", data={"model": "colors", "image": (file, "a.png")}).location[9:]
    assert "24 examples" in ask("how good is this model", id, owner)["text"]
    for question in intents.INTENTS:
        answer = ask(question, id, visitor)
        assert "card" not in {value["source"] for one in answer["sentences"] for value in one["values"]} or (
            answer["intent"] == "can"  # the model that is listed
        )
    assert "no longer installed" in ask("how good is this model", id, visitor)["text"]
    assert "olors" not in ask("how good is colors", None, visitor)["text"]
    for question in ("why", "what would change your mind", "what does it confuse", "none of these", "why not blue"):
        assert ask(question, id, owner)["sentences"]


# ---- Pages ----


def test_a_result_offers_questions_in_a_tab(client, id):
    page = client.get(f"/results/{id}").text
    section = page[page.index('<section id="ask">') : page.index('<section id="saw">')]
    for text in ("What is it?", "How sure are you?", "What would change your mind?"):
        assert f'<button type="submit" name="question" value="{text}">' in section
    assert section.count(f'method="post" action="/ask/{id}"') == 2
    assert 'aria-live="polite"' in section


def test_a_result_that_was_not_saved_has_no_such_tab(app, client, png, monkeypatch):
    def fail(*_):
        raise StoreError("full")

    monkeypatch.setattr(app.extensions["inkling"].storage, "add", fail)
    page = client.post("/predict", data={"model": "digits-cnn", "image": (io.BytesIO(png), "a.png")}).text
    assert "cannot save" in page
    assert 'id="ask"' not in page


def test_the_answer_is_a_page_of_its_own(client, id):
    page = client.post(f"/ask/{id}", data={"question": "How sure are you?"}).text
    answer = page[page.index('<article class="asked">') : page.index("</article>")]
    assert "How sure are you?" in answer
    assert re.search(
        r"The confidence in “1” is [<>]?[\d.]+%\. <small>\(stored answer\)</small>",
        answer.replace("&lt;", "<").replace("&gt;", ">"),
    )
    assert f'href="/results/{id}"' in page


def test_the_answer_is_in_the_pages_language_whatever_that_of_the_question(client, id):
    page = client.post(f"/ask/{id}", data={"question": "how sure are you"}, headers=RUSSIAN).text
    assert "Уверенность в ответе «1»:" in page
    page = client.post(f"/ask/{id}", data={"question": "почему"}).text
    assert re.search("It looked |No single part decides", page)


def test_confusions_are_shown_by_the_pictures_of_the_model_page(client, id):
    page = client.post(f"/ask/{id}", data={"question": "what does it confuse"}).text
    assert '<ul class="tiles">' in page
    assert '<image href="/models/digits-cnn/mistakes.png' in page


def test_changed_pictures_are_part_of_the_page(client, id):
    page = client.post(f"/ask/{id}", data={"question": "what would change your mind"}).text
    assert page.count('<img src="data:image/jpeg;base64,') == 5


def test_a_general_question_has_a_page_without_a_result(client):
    assert "What can you do?" in client.get("/ask").text
    page = client.post("/ask", data={"question": "how good is digits-hog"}).text
    assert "10,000 test pictures" in page
    assert 'href="/models/digits-hog"' in page
    assert "That is a question about one picture." in client.post("/ask", data={"question": "why?"}).text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{{ 7*7 }}", "%(label)s %d %", "\"'><b>"]
)
def test_a_question_is_shown_as_text(client, id, text):
    for path in ("/ask", f"/ask/{id}"):
        page = client.post(path, data={"question": text}).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "49" not in page[page.index('class="question"') : page.index('class="reply"')]
    answer = client.post("/api/ask", json={"question": text})
    assert answer.json["intent"] is None


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_form_is_told_to_ask_something(client, id, text):
    for path in ("/ask", f"/ask/{id}"):
        answer = client.post(path, data={"question": text})
        assert answer.status_code == 400
        assert "Type a question first" in answer.text


def test_the_page_is_under_explore(client):
    assert '<a href="/ask" aria-current="page">Ask</a>' in client.get("/ask").text
