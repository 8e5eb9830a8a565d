// @ts-check
/** The drawing form: the canvas with its tools, the answer that follows each stroke, and "Save & share". */
import { Sketch } from "./canvas.js";
import { find, release, setUsable, submitButton } from "./dom.js";
import { offer } from "./examples.js";
import { Live } from "./live.js";
import { send } from "./send.js";
import { chooseModel } from "./stage.js";
import { toJson } from "./strokes.js";

/** Key of the drawing in the session storage. */
const STORED = "inkling-drawing";
/** Pages that tell a visitor why there is no answer. */
const HELP = ["/help", "/predict"];

/** Whether this document opened with the drawing form, and was not left for it in place. */
let opened = true;

/** @param {HTMLElement} root @param {AbortSignal} signal */
export function start(root, signal) {
  const form = /** @type {HTMLFormElement} */ (find(root, "#draw"));
  const model = /** @type {HTMLSelectElement} */ (find(form, "select"));
  const button = submitButton(form);
  const problem = find(form, ".problem");
  const live = new Live(find(form, ".live"), () => { find(form, ".answered").hidden = false; });
  const [width, color, paper] = ["#width", "#color", "#paper"].map((id) => /** @type {HTMLInputElement} */ (find(form, id)));
  const sketch = new Sketch(
    /** @type {HTMLCanvasElement} */ (find(form, "canvas")),
    () => ({ width: Number(width.value), color: color.value, paper: paper.value }),
  );

  /** @type {Record<string, () => void>} */
  const actions = { undo: () => sketch.undo(), redo: () => sketch.redo(), clear: () => sketch.clear() };

  /** Updates buttons, stored copy and answer after the drawing changed. */
  function follow() {
    setUsable(form, { undo: sketch.canUndo, redo: sketch.canRedo, clear: !sketch.blank });
    button.hidden = sketch.blank;
    problem.hidden = true;
    if (sketch.blank) live.say();
    else live.ask(sketch, model.value);
    // Last, because a browser that blocks storage throws here.
    sessionStorage.setItem(STORED, JSON.stringify({ strokes: sketch.strokes, paper: paper.value }));
  }

  function choose() {
    chooseModel(root, model);
    const knows = model.selectedOptions[0].dataset.knows;
    if (knows) find(form, "[data-knows-of=draw]").textContent = knows;
    follow();
  }

  /** Saves the drawing and shows its result in place. @param {SubmitEvent} event */
  function save(event) {
    event.preventDefault();
    sketch.settle();
    if (button.ariaBusy === "true" || sketch.blank) return;
    button.ariaBusy = "true";
    problem.hidden = true;
    /** @type {HTMLInputElement} */ (form.elements.namedItem("strokes")).value = toJson(sketch);
    const cancel = send(form, {
      failed: ({ code, title, advice }) => {
        release(form);
        problem.textContent = title ? `${title}. ${advice ?? ""}` : (code === "lost" ? form.dataset.sayLost : form.dataset.sayFailed) ?? "";
        problem.hidden = false;
      },
      answered: () => live.stop(),
    });
    signal.addEventListener("abort", cancel);
  }

  /** Restores the drawing after going back, reloading, changing the language, or reading help. A new visit starts with an empty canvas. */
  function recall() {
    const stored = sessionStorage.getItem(STORED);
    if (!stored || (opened && isNewVisit())) return;
    const drawing = JSON.parse(stored);
    paper.value = drawing.paper;
    if (drawing.strokes.length) sketch.restore(drawing.strokes);
  }

  /** @param {KeyboardEvent} event */
  function shortcut(event) {
    if (form.hidden || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    // On a keyboard without Latin letters, the position of the key counts.
    const key = /^[a-z]$/i.test(event.key) ? event.key.toLowerCase() : event.code.replace("Key", "").toLowerCase();
    const action = key === "y" || (key === "z" && event.shiftKey) ? "redo" : key === "z" ? "undo" : "";
    if (!action) return;
    event.preventDefault();
    actions[action]();
  }

  sketch.addEventListener("change", follow);
  sketch.addEventListener("growth", () => live.glance(sketch, model.value));
  model.addEventListener("change", choose);
  paper.addEventListener("input", () => sketch.redraw());
  paper.addEventListener("change", follow);
  form.addEventListener("submit", save);
  document.addEventListener("keydown", shortcut, { signal });
  for (const name in actions) find(form, `[data-action=${name}]`).addEventListener("click", actions[name]);
  // A page that the browser restored from memory: the answers that had not come are lost.
  addEventListener("pageshow", ({ persisted }) => { if (persisted) follow(); }, { signal });
  offer(find(form, ".examples"), model, live, sketch);
  form.ariaBusy = "false";
  recall(); // last, because a browser that blocks storage throws here
  opened = false;
}

/** Whether the visitor came from elsewhere, and neither reloaded this page nor came back to it. */
function isNewVisit() {
  const [visit] = performance.getEntriesByType("navigation");
  const { href, pathname } = new URL(document.referrer, location.href);
  const returned = (document.referrer && href === location.href) || HELP.includes(pathname);
  return /** @type {PerformanceNavigationTiming} */ (visit).type === "navigate" && !returned;
}
