// @ts-check
/** The first page: drawing, live answer, photo form, and the chosen models in the page's address. */
import { Sketch } from "./canvas.js";
import { release, setUsable, submitButton } from "./dom.js";
import { offer } from "./examples.js";
import { Live } from "./live.js";
import { toJson } from "./strokes.js";
import { enhance } from "./upload.js";

/** Key of the drawing in the session storage. */
const STORED = "inkling-drawing";
/** Pages that tell a visitor why there is no answer. */
const HELP = ["/help", "/predict"];
/** After so long a form may be sent again: the visitor may have stopped the upload with the browser's own button. */
const STOPPED_MS = 30_000;

const draw = /** @type {HTMLFormElement} */ (document.querySelector("#draw"));
const photo = /** @type {HTMLFormElement} */ (document.querySelector("#photo"));
const model = /** @type {HTMLSelectElement} */ (draw.elements.namedItem("model"));
const live = new Live(/** @type {HTMLElement} */ (draw.querySelector(".live")));
const [width, colour, paper] = ["#width", "#colour", "#paper"].map((id) => /** @type {HTMLInputElement} */ (draw.querySelector(id)));
const sketch = new Sketch(
  /** @type {HTMLCanvasElement} */ (draw.querySelector("canvas")),
  () => ({ width: Number(width.value), colour: colour.value, paper: paper.value }),
);

/** @type {Record<string, () => void>} */
const actions = { undo: () => sketch.undo(), redo: () => sketch.redo(), clear: () => sketch.clear() };

/** Updates buttons, stored copy and answer after the drawing changed. */
function follow() {
  setUsable(draw, { undo: sketch.canUndo, redo: sketch.canRedo, clear: !sketch.blank });
  release(draw); // an upload was stopped, or was of another drawing
  if (sketch.blank) live.say();
  else live.ask(sketch, model.value);
  // Last, because a browser that blocks storage throws here.
  sessionStorage.setItem(STORED, JSON.stringify({ strokes: sketch.strokes, paper: paper.value }));
}

/** Updates the answer while a stroke is being drawn. */
function peek() {
  live.glance(sketch, model.value);
}

/** Restores the drawing after going back, reloading, changing the language, or reading help. A new visit starts with an empty canvas. */
function recall() {
  const [visit] = performance.getEntriesByType("navigation");
  const { href, pathname } = new URL(document.referrer, location.href);
  const returned = (document.referrer && href === location.href) || HELP.includes(pathname);
  const fresh = /** @type {PerformanceNavigationTiming} */ (visit).type === "navigate" && !returned;
  const stored = sessionStorage.getItem(STORED);
  if (!stored || fresh) return;
  const drawing = JSON.parse(stored);
  paper.value = drawing.paper;
  if (drawing.strokes.length) sketch.restore(drawing.strokes);
}

/** Puts a choice into the page's address, so that a bookmark or a link keeps it. @param {HTMLSelectElement} select */
function remember(select) {
  const query = new URLSearchParams(location.search);
  const name = String(select.dataset.remember);
  if (select.value) query.set(name, select.value);
  else query.delete(name);
  query.delete("deleted");
  history.replaceState(history.state, "", `?${query}`);
  const knows = document.querySelector(`[data-knows-of=${select.dataset.remember}]`);
  if (knows) knows.textContent = select.selectedOptions[0].dataset.knows ?? "";
}

/** @param {KeyboardEvent} event */
function shortcut(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  // On a keyboard without Latin letters, the position of the key counts.
  const key = /^[a-z]$/i.test(event.key) ? event.key.toLowerCase() : event.code.replace("Key", "").toLowerCase();
  const action = key === "y" || (key === "z" && event.shiftKey) ? "redo" : key === "z" ? "undo" : "";
  if (!action) return;
  event.preventDefault();
  actions[action]();
}

/** @param {SubmitEvent} event */
function send(event) {
  sketch.settle();
  if (sketch.blank) {
    event.preventDefault();
    live.say(live.words.first);
    return;
  }
  live.stop();
  /** @type {HTMLInputElement} */ (draw.elements.namedItem("strokes")).value = toJson(sketch);
}

let stopped = 0;

/** Sends once, however often the button is pressed. @param {SubmitEvent} event */
function sendOnce(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (event.defaultPrevented) return;
  const button = submitButton(form);
  if (button.ariaBusy === "true") return event.preventDefault();
  button.ariaBusy = "true";
  clearTimeout(stopped);
  stopped = setTimeout(() => {
    // A batch that is still being sent shows its progress bar.
    if (!form.querySelector(".sending:not([hidden])")) release(form);
  }, STOPPED_MS);
}

/** Updates a page that the browser restored from memory: answers that had not come are lost. @param {PageTransitionEvent} event */
function wake(event) {
  for (const form of [photo, draw]) release(form);
  if (event.persisted) follow();
}

enhance(photo);
sketch.addEventListener("change", follow);
sketch.addEventListener("growth", peek);
model.addEventListener("change", follow);
paper.addEventListener("input", () => sketch.redraw());
paper.addEventListener("change", follow);
draw.addEventListener("submit", send);
for (const form of [photo, draw]) form.addEventListener("submit", sendOnce);
document.addEventListener("keydown", shortcut);
for (const name in actions) draw.querySelector(`[data-action=${name}]`)?.addEventListener("click", actions[name]);
for (const select of document.querySelectorAll("select")) select.addEventListener("change", () => remember(select));
addEventListener("pageshow", wake);
offer(/** @type {HTMLElement} */ (draw.querySelector(".examples")), model, live, sketch);
recall(); // last, because a browser that blocks storage throws here
