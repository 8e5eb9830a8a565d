// @ts-check
/** Wires the first page up: drawing, live answer, photo form, and the choices in the page's address. */
import { Sketch } from "./canvas.js";
import { offer } from "./examples.js";
import { Live } from "./live.js";
import { enhance, free, sender } from "./upload.js";

const KEPT = "inkling-drawing";
/** Where a visitor is told why there is no answer. */
const HELPS = ["/help", "/predict"];
/** After so long, a form that was sent may be sent again: the browser's own button may have stopped it. */
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

/** The buttons, the kept copy and the answer follow the drawing. */
function follow() {
  /** @type {Record<string, boolean>} */
  const can = { undo: sketch.canUndo, redo: sketch.canRedo, clear: !sketch.blank };
  // aria-disabled, not disabled: a button that goes grey must not lose the focus.
  for (const name in can) draw.querySelector(`[data-action=${name}]`)?.setAttribute("aria-disabled", String(!can[name]));
  free(draw); // an answer that was on its way was stopped, or is about another drawing
  if (sketch.blank || !model.value) live.say();
  else live.ask(sketch, model.value);
  // Last, because a browser that blocks storage throws here.
  sessionStorage.setItem(KEPT, JSON.stringify({ strokes: sketch.strokes, paper: paper.value }));
}

/** The answer follows a stroke that is still being drawn, too. */
function peek() {
  if (model.value) live.glance(sketch, model.value);
}

/** A drawing is still there after going back to it, reloading, another language, or help; a fresh visit starts on fresh paper. */
function recall() {
  const [visit] = performance.getEntriesByType("navigation");
  const { href, pathname } = new URL(document.referrer, location.href);
  const returned = (document.referrer && href === location.href) || HELPS.includes(pathname);
  const fresh = /** @type {PerformanceNavigationTiming} */ (visit).type === "navigate" && !returned;
  const kept = sessionStorage.getItem(KEPT);
  if (!kept || fresh) return;
  const drawing = JSON.parse(kept);
  paper.value = drawing.paper;
  if (drawing.strokes.length) sketch.restore(drawing.strokes);
}

/** Puts a choice into the page's address, so that a bookmark or a link keeps it. @param {HTMLSelectElement} select */
function remember(select) {
  const query = new URLSearchParams(location.search);
  query.set(String(select.dataset.remember), select.value);
  query.delete("deleted");
  history.replaceState(history.state, "", `?${query}`);
  const knows = document.querySelector(`[data-knows-of=${select.dataset.remember}]`);
  if (knows) knows.textContent = select.selectedOptions[0].dataset.knows ?? "";
}

/** @param {KeyboardEvent} event */
function shortcut(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  // Where the keys are not Latin, it is their place that counts.
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
  /** @type {HTMLInputElement} */ (draw.elements.namedItem("drawing")).value = sketch.export().toDataURL();
}

let stopped = 0;

/** Sends once, however often the button is pressed. @param {SubmitEvent} event */
function sendOnce(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (event.defaultPrevented) return;
  const button = sender(form);
  if (button.ariaBusy === "true") return event.preventDefault();
  button.ariaBusy = "true";
  clearTimeout(stopped);
  stopped = setTimeout(() => {
    // Of several on their way, the bar says so.
    if (!form.querySelector(".sending:not([hidden])")) free(form);
  }, STOPPED_MS);
}

/** The page came back from the browser's memory: the answer that was on its way is lost. @param {PageTransitionEvent} event */
function wake(event) {
  for (const form of [photo, draw]) free(form);
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
