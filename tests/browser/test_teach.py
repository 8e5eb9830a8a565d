"""Teaching on the page: examples from files, camera and canvas, figures, versions, and what the keyboard does."""

import base64
import io
import re
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from inkling.service import Decoded
from inkling.teach import training
from inkling.teach.learn import learn
from tests.browser import rules
from tests.browser.hands import DIGITS, RING, SQUARE, drawing, with_mouse
from tests.support.taught import BLUE, RED, colored


def create(page, title, kind):
    """Creates a classifier with the form, and waits for the scripts of its page."""
    page.get_by_label("Name of the new classifier").fill(title)
    page.get_by_label(kind).check()
    page.get_by_role("button", name="Create").click()
    expect(page.locator(".workshop")).to_have_attribute("aria-busy", "false")


def add_class(page, name):
    page.get_by_label("Name of the class").fill(name)
    page.get_by_role("button", name="Add", exact=True).last.click()
    expect(column(page, name)).to_be_visible()


def column(page, name):
    return page.locator(f".class[data-name='{name}']")


def add_files(page, name, files):
    column(page, name).locator("input[type=file]").set_input_files(files)
    expect(column(page, name).get_by_role("option")).to_have_count(len(files))


def draw(page, canvas, points):
    page.locator(canvas).scroll_into_view_if_needed()
    box = page.locator(canvas).bounding_box()
    first, *rest = [(box["x"] + x * box["width"] / 400, box["y"] + y * box["height"] / 400) for x, y in points]
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=3)
    page.mouse.up()


def trained(page):
    """Waits for the figures of the training that follows the last change."""
    expect(page.locator("#figures .score b")).to_have_text(re.compile(r"\d+%"))
    expect(page.locator("#figures[data-training]")).to_have_count(0)


def assert_accessible(page):
    rules.assert_accessible(page)
    rules.assert_targets_are_large(page)
    assert page.evaluate(rules.CLIPPED) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def teacher(chromium_with_camera, base_url):
    """The page of all classifiers, in a browser with a camera."""
    context = chromium_with_camera.new_context(base_url=base_url, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto("/teach")
    yield page
    assert errors == []
    context.close()


def test_three_classes_from_files_camera_and_canvas_are_taught_published_corrected_and_exported(teacher):
    page = teacher
    create(page, "Marks on our map", "Drawings")
    assert_accessible(page)

    add_class(page, "square")
    add_files(page, "square", [drawing(SQUARE, shift, "square") for shift in range(5)])

    add_class(page, "camera")
    page.get_by_role("button", name="Take pictures of camera").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Hold to record").hover()
    page.mouse.down()
    expect(dialog.get_by_role("status")).to_have_text(re.compile("[2-9] pictures added"))
    page.mouse.up()
    dialog.get_by_role("button", name="Close").click()
    expect(column(page, "camera").get_by_role("option")).not_to_have_count(0)

    add_class(page, "ring")
    page.get_by_role("button", name="Draw ring").click()
    for count in (1, 2):
        draw(page, "#pad", [(x, y + 20 * count) for x, y in RING])
        dialog.get_by_role("button", name="Add this drawing").click()
        expect(column(page, "ring").get_by_role("option")).to_have_count(count)
    assert_accessible(page)
    dialog.get_by_role("button", name="Close").click()

    trained(page)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#figures")).to_contain_text(re.compile(r"Version \d+ is live\."))
    versions = page.locator("#versions li")
    published = versions.count()

    draw(page, "#canvas", RING)
    expect(page.locator("#try .bars li")).to_have_count(3)
    page.get_by_role("button", name="Show what decides").click()
    expect(page.locator("#try .heat >> visible=true")).to_have_count(1)
    assert_accessible(page)

    workshop, pictures = page.url, page.get_by_role("option").count()
    page.get_by_role("link", name="Use it").click()
    with_mouse(page, DIGITS["7"])
    expect(page.locator("#draw .bars li")).to_have_count(3)
    page.get_by_role("button", name="Save & share").click()
    page.wait_for_url("**/results/*")
    page.locator("summary", has_text="No").click()
    page.get_by_role("group", name="What is it?").get_by_role("button").first.click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    page.goto(workshop)
    expect(page.get_by_role("option")).to_have_count(pictures + 1)
    expect(versions).to_have_count(published + 1)
    page.get_by_role("button", name=f"Go back to {published}").click()
    expect(versions.filter(has_text=f"Version {published}")).to_contain_text("Live")
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export the model").click()
    assert "model.onnx" in zipfile.ZipFile(download.value.path()).namelist()


def test_what_was_added_is_said_and_no_longer_covers_the_page_when_it_was_read(open_page):
    page = open_page("/teach", viewport={"width": 360, "height": 640})
    page.clock.install()
    create(page, "Short words", "Drawings")
    add_class(page, "ring")
    add_files(page, "ring", [drawing(RING, 0, "ring")])
    said = page.locator(".dock")
    expect(said).to_contain_text("1 picture added")
    page.clock.fast_forward(20_000)
    expect(said).to_be_hidden()


def test_twenty_are_moved_in_one_action_by_keyboard_and_brought_back(open_page):
    page = open_page("/teach", viewport={"width": 1280, "height": 800})
    create(page, "Sorted by keyboard", "Drawings")
    for name in ("ring", "square"):
        add_class(page, name)
    add_files(page, "ring", [drawing(RING, shift, "ring") for shift in range(21)])
    tiles = column(page, "ring").get_by_role("option")
    tiles.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+End")
    expect(page.locator(".dock b")).to_have_text("20 selected")
    page.keyboard.press("m")
    expect(page.get_by_label("Move to")).to_be_focused()
    page.get_by_label("Move to").select_option("square")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(column(page, "square").get_by_role("option")).to_have_count(20)
    expect(column(page, "ring").get_by_role("option")).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="20 pictures moved to square")).to_be_visible()
    page.get_by_role("button", name="Undo").last.click()
    expect(column(page, "ring").get_by_role("option")).to_have_count(21)
    tiles.first.focus()
    page.keyboard.press("Delete")
    expect(tiles).to_have_count(20)
    page.reload()
    expect(page.locator(".workshop")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("Control+z")
    expect(tiles).to_have_count(21)
    tiles.first.drag_to(column(page, "square"))
    expect(column(page, "square").get_by_role("option")).to_have_count(1)
    column(page, "square").get_by_role("textbox").fill("box")
    page.keyboard.press("Enter")
    expect(column(page, "box")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="The class square is called box now")).to_be_visible()
    page.get_by_role("button", name="Undo").last.click()
    expect(column(page, "square").get_by_role("textbox")).to_have_value("square")
    column(page, "square").get_by_role("textbox").fill("box")
    page.keyboard.press("Enter")
    expect(column(page, "box")).to_be_visible()
    page.get_by_role("button", name="Delete the class box").click()
    expect(column(page, "box")).to_have_count(0)
    page.get_by_role("button", name="Undo").last.click()
    expect(column(page, "box").get_by_role("option")).to_have_count(1)


def test_without_scripts_a_classifier_is_created_filled_trained_and_published(open_page):
    page = open_page("/teach", java_script_enabled=False, viewport={"width": 360, "height": 640}, locale="ru-RU")
    page.get_by_label("Название нового классификатора").fill("Знаки")
    page.get_by_label("Рисунки").check()
    page.get_by_role("button", name="Создать").click()
    for name, points in (("кольцо", RING), ("квадрат", SQUARE)):
        page.get_by_label("Название класса").fill(name)
        page.get_by_label("Картинки", exact=True).set_input_files([drawing(points, shift, name) for shift in range(4)])
        page.get_by_role("button", name="Добавить картинки").click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Обучить сейчас").click()
    publish = page.get_by_role("button", name="Опубликовать", exact=True)
    for _ in range(120):
        # On a slow machine it has learned by itself before, and then learns once more.
        if publish.count() and not page.locator("#figures[data-training]").count():
            break
        page.wait_for_timeout(250)
        page.reload()
    publish.click()
    expect(page.locator("#figures")).to_contain_text(re.compile(r"Отвечает версия \d\."))


def test_a_folder_of_folders_and_a_zip_become_classes_and_a_bad_picture_is_named(open_page, tmp_path):
    folder = tmp_path / "data"
    for name, points in (("ring", RING), ("square", SQUARE)):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").write_bytes(drawing(points, 1, name)["buffer"])
    (folder / "ring" / "cut.png").write_bytes(drawing(RING, 2, "ring")["buffer"][:-40])
    (folder / "ring" / "notes.txt").write_text("not a picture, and left out")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("more/line/1.png", drawing([(50, 50), (300, 320)], 1, "line")["buffer"])
        archive.writestr("more/ring/2.png", drawing(RING, 3, "ring")["buffer"])
    page = open_page("/teach", viewport={"width": 360, "height": 640}, color_scheme="dark")
    create(page, "From folders", "Drawings")
    page.locator("[data-add=folder]").set_input_files(folder)
    for name in ("ring", "square"):
        expect(column(page, name).get_by_role("option")).to_have_count(1)
    expect(page.locator(".refused li")).to_have_text([re.compile("cut.png: ")])
    page.locator("[data-add=zip]").set_input_files(
        {"name": "more.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
    )
    expect(column(page, "line").get_by_role("option")).to_have_count(1)
    expect(column(page, "ring").get_by_role("option")).to_have_count(2)
    assert_accessible(page)


def test_a_folder_with_more_files_than_the_browser_lists_at_once_is_dropped(open_page, tmp_path):
    """Only Chromium's own drag brings a folder, and it lists a hundred files at a time."""
    for name, points, count in (("ring", RING, 105), ("square", SQUARE, 2)):
        (tmp_path / "marks" / name).mkdir(parents=True)
        for i in range(count):
            moved = [(x + i % 11, y + i // 11) for x, y in points]
            (tmp_path / "marks" / name / f"{i}.png").write_bytes(drawing(moved, 0, name)["buffer"])
    page = open_page("/teach")
    create(page, "From a dropped folder", "Drawings")
    heading = page.get_by_role("heading", level=1).bounding_box()
    pointer = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(tmp_path / "marks")], "dragOperationsMask": 1}
        pointer.send(
            "Input.dispatchDragEvent", {"type": kind, "x": heading["x"] + 9, "y": heading["y"] + 9, "data": data}
        )
    expect(column(page, "square").get_by_role("option")).to_have_count(2)
    expect(page.get_by_role("status").filter(has_text="pictures added")).to_have_text(re.compile("107 pictures added"))
    expect(column(page, "ring").locator("[data-count]")).to_have_text("105")


# Puts a canvas in the camera's place: `show(shade)` is what it sees.
CANVAS_CAMERA = """() => {
    const context = Object.assign(document.createElement("canvas"), {width: 320, height: 240}).getContext("2d");
    window.show = (shade) => { context.fillStyle = shade; };
    setInterval(() => context.fillRect(0, 0, 320, 240), 20); // a canvas that is not drawn on sends no frames
    navigator.mediaDevices.getUserMedia = async () => context.canvas.captureStream(30);
}"""


def before_the_camera(page, name, title):
    """Opens the camera for the class `name` of a new classifier, and returns the dialog."""
    create(page, title, "Photos")
    add_class(page, name)
    page.evaluate(CANVAS_CAMERA)
    page.get_by_role("button", name=f"Take pictures of {name}").click()
    page.wait_for_function("() => document.querySelector('#camera-dialog video').videoWidth > 0")
    return page.get_by_role("dialog")


def test_frames_that_are_too_alike_are_skipped(teacher):
    page = teacher
    dialog = before_the_camera(page, "colors", "In front of the camera")
    taken = dialog.get_by_role("status")
    dialog.get_by_role("button", name="Hold to record").hover()
    page.mouse.down()
    for shade, said in (("black", "1 picture added"), ("gray", "2 pictures added"), ("white", "3 pictures added")):
        page.evaluate("shade => show(shade)", shade)
        expect(taken).to_have_text(said)
    page.mouse.up()  # which takes another frame of the last shade
    expect(column(page, "colors").get_by_role("option")).to_have_count(3)
    expect(taken).to_have_text("3 pictures added")


SLOW_ENCODER = """() => {
    const encode = HTMLCanvasElement.prototype.toBlob;
    HTMLCanvasElement.prototype.toBlob = function (...rest) { setTimeout(() => encode.apply(this, rest), 500); };
}"""


def test_a_frame_that_is_still_encoded_when_the_button_is_let_go_is_added(teacher):
    page = teacher
    dialog = before_the_camera(page, "colors", "A short look")
    page.evaluate(SLOW_ENCODER)
    dialog.get_by_role("button", name="Hold to record").click()
    expect(column(page, "colors").get_by_role("option")).to_have_count(1)


# ---- What would make it better ----


def shapes(shape, label, count, seed):
    """Pictures of discs or boxes of many colors, with a label."""
    rng, pictures = np.random.default_rng(seed), []
    for _ in range(count):
        paper, ink = rng.integers(150, 255, 3), rng.integers(0, 120, 3)
        x, y = rng.integers(0, 24, 2).tolist()
        image, size = Image.new("RGB", (64, 64), tuple(paper.tolist())), int(rng.integers(20, 36))
        pen = ImageDraw.Draw(image)
        (pen.ellipse if shape == "disc" else pen.rectangle)((x, y, x + size, y + size), tuple(ink.tolist()))
        pictures.append((Decoded(image), label))
    return pictures


@pytest.fixture
def to_review(served, open_page):
    """A classifier with a disc among the boxes, a disc that is there nearly twice, and two boxes without a label."""
    page = open_page("/teach", viewport={"width": 1280, "height": 800})
    create(page, "Discs and boxes", "Photos")
    discs = shapes("disc", "disc", 8, 0)
    twin = discs[0][0].image.copy()
    twin.putpixel((63, 63), tuple(value - 3 for value in twin.getpixel((63, 63))))
    others = [*shapes("box", "box", 8, 1), *shapes("disc", "box", 1, 5), *shapes("box", None, 2, 6)]
    served.extensions["teaching"].add(page.url.rpartition("/")[2], [*discs, (Decoded(twin), "disc"), *others])
    page.reload()
    trained(page)
    return page


def counts(page, **expected):
    for name, count in expected.items():
        expect(column(page, name).get_by_role("option")).to_have_count(count)


def test_a_doubtful_label_is_agreed_to_with_one_tap(to_review):
    counts(to_review, disc=9, box=9)
    to_review.get_by_role("region", name="Are these labels right?").get_by_role("button", name="Move to disc").click()
    counts(to_review, disc=10, box=8)
    trained(to_review)
    expect(to_review.get_by_role("region", name="Are these labels right?")).to_have_count(0)


def test_of_pictures_that_are_nearly_the_same_the_first_is_kept(to_review):
    groups = to_review.get_by_role("region", name="Nearly the same").locator(".doubts > li")
    pictures, before = to_review.get_by_role("option"), to_review.get_by_role("option").count()
    others = groups.count() - 1
    extra = groups.first.get_attribute("data-extra").split()
    groups.first.get_by_role("button", name="Keep only the first").click()
    expect(pictures).to_have_count(before - len(extra))
    for id in extra:
        expect(to_review.locator(f"#x-{id}")).to_have_count(0)
    expect(groups).to_have_count(others)
    to_review.get_by_role("button", name="Undo", exact=True).click()
    expect(pictures).to_have_count(before)


def test_pictures_without_a_label_get_one_with_one_tap(to_review):
    waiting = to_review.get_by_role("region", name="Which label?").get_by_role("listitem")
    expect(waiting).to_have_count(2)
    waiting.first.get_by_role("button", name="box").click()
    counts(to_review, disc=9, box=10)
    expect(waiting).to_have_count(1)


def test_a_number_in_the_table_of_errors_shows_its_pictures(to_review):
    table = to_review.get_by_role("region", name="Where it errs")
    table.get_by_role("link", name="1 picture of box, taken for disc").click()
    picture = table.get_by_role("group", name="box, taken for disc").get_by_role("img")
    expect(picture).to_have_count(1)
    picture.click()
    expect(to_review.get_by_role("dialog").get_by_role("img")).to_be_visible()
    assert_accessible(to_review)


def test_a_training_is_cancelled_and_begun_again(open_page, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(training, "learn", lambda *given: go_on.wait() and learn(*given))
    page = open_page("/teach", viewport={"width": 1280, "height": 800})
    try:
        create(page, "Cancelled", "Drawings")
        for name, points in (("ring", RING), ("square", SQUARE)):
            add_class(page, name)
            add_files(page, name, [drawing(points, shift, name) for shift in range(3)])
        figures = page.locator("#figures")
        figures.get_by_role("button", name="Cancel").click()
        expect(figures.get_by_role("progressbar")).to_have_count(0)
    finally:
        go_on.set()
    figures.get_by_role("button", name="Train now").click()
    trained(page)
    expect(figures.get_by_role("button", name="Train now")).to_be_hidden()


def test_what_is_refused_is_said_in_the_visitors_language(open_page):
    page = open_page("/teach", locale="ru-RU", viewport={"width": 1280, "height": 800})
    page.get_by_label("Название нового классификатора").fill("Знаки")
    page.get_by_label("Рисунки").check()
    page.get_by_role("button", name="Создать").click()
    expect(page.locator(".workshop")).to_have_attribute("aria-busy", "false")
    for _ in range(2):
        page.get_by_label("Название класса").fill("кольцо")
        page.get_by_role("button", name="Добавить", exact=True).last.click()
        expect(column(page, "кольцо")).to_be_visible()
    expect(page.locator(".dock")).to_contain_text("Класс с таким названием уже есть. Выберите другое название.")
    bad = {"name": "cut.png", "mimeType": "image/png", "buffer": drawing(RING, 2, "ring")["buffer"][:-40]}
    column(page, "кольцо").locator("input[type=file]").set_input_files(bad)
    expect(page.locator(".refused li")).to_have_text(re.compile("^cut.png: [А-Я][а-яё ]+$"))


# Sends files to an element as a drop or as a paste brings them.
BRING = """([selector, type, files]) => {
    const data = new DataTransfer();
    for (const [name, kind, content] of files)
        data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt())], name, {type: kind}));
    const options = {bubbles: true, cancelable: true};
    const event = type === "paste"
        ? new ClipboardEvent("paste", {...options, clipboardData: data})
        : new DragEvent(type, {...options, dataTransfer: data});
    document.querySelector(selector).dispatchEvent(event);
}"""


def bring(page, selector, kind, *files):
    """Drops or pastes files, each a name, a media type and its bytes."""
    encoded = [(name, media, base64.b64encode(content).decode()) for name, media, content in files]
    page.evaluate(BRING, [selector, kind, encoded])


@pytest.fixture
def colors(served, teacher):
    """The page of a trained classifier of photos that are red or blue, in a browser with a camera."""
    create(teacher, "Red or blue", "Photos")
    id = teacher.url.rpartition("/")[2]
    served.extensions["teaching"].add(id, colored(RED, "red", 6) + colored(BLUE, "blue", 6, 1))
    teacher.reload()
    trained(teacher)
    return teacher


def test_it_is_tried_with_a_photo_and_with_the_camera(colors):
    page, answer = colors, colors.locator("#try .sentence")
    red = png(colored(RED, None, 1, 9)[0][0].image)
    page.get_by_label("Choose a picture to try").set_input_files(red)
    expect(answer).to_contain_text("red")
    expect(page.locator("#try .picture >> visible=true")).to_have_count(1)
    expect(page.locator("#try .bars li").first).to_contain_text("red")

    page.get_by_role("button", name="Camera", exact=True).click()
    video = page.locator("#try video")
    expect(video).to_be_visible()
    expect(page.locator("#try .bars li")).to_have_count(2)
    page.get_by_role("button", name="Show what decides").click()
    expect(video).to_be_hidden()  # the picture of that moment stands in its place, and the camera is off
    assert video.evaluate("video => video.srcObject") is None
    expect(page.locator("#try .picture >> visible=true")).to_have_count(1)
    expect(page.locator("#try :is(.heat, .no-part) >> visible=true")).to_have_count(1)
    assert_accessible(page)
    page.get_by_role("button", name="Back to the camera").click()
    expect(video).to_be_visible()
    expect(page.locator("#try .picture >> visible=true")).to_have_count(0)
    expect(page.get_by_role("button", name="Back to the camera")).to_be_hidden()
    expect(page.locator("#try .bars li")).to_have_count(2)


def test_a_stranger_is_none_of_them(colors, cat):
    colors.get_by_label("Choose a picture to try").set_input_files(cat)
    expect(colors.locator("#try .sentence")).to_have_text("This is none of them.")


def png(image):
    """A picture as a file to upload."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return {"name": "one.png", "mimeType": "image/png", "buffer": file.getvalue()}


def test_files_are_dropped_on_a_class_whatever_their_names(open_page):
    page = open_page("/teach", viewport={"width": 1280, "height": 800})
    create(page, "Dropped", "Drawings")
    add_class(page, "ring")
    names = ["image", "blob", "ring.jpg?v=2", "ring.jfif", "ring.jpe", "RING.PNG"]
    drawings = [drawing(RING, shift, "ring")["buffer"] for shift in range(len(names))]
    files = [(name, "", content) for name, content in zip(names, drawings, strict=True)]
    others = [(name, "text/plain", b"left out") for name in ("notes.txt", "list.csv", ".hidden")]
    bring(page, ".class[data-name=ring]", "drop", *files, *others)
    expect(column(page, "ring").get_by_role("option")).to_have_count(len(names))
    expect(page.locator(".refused")).to_be_hidden()


def test_a_pasted_picture_goes_to_the_class_that_was_used_last(open_page):
    page = open_page("/teach", viewport={"width": 1280, "height": 800})
    create(page, "Pasted", "Drawings")
    for name in ("ring", "square"):
        add_class(page, name)
    column(page, "ring").get_by_role("textbox").focus()
    first, second = (drawing(RING, shift, "ring")["buffer"] for shift in (1, 2))
    bring(page, "body", "paste", ("image.png", "image/png", first))
    expect(column(page, "ring").get_by_role("option")).to_have_count(1)
    bring(page, ".class[data-name=square]", "paste", ("image.png", "image/png", second))
    expect(column(page, "square").get_by_role("option")).to_have_count(1)
