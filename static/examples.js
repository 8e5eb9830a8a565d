// @ts-check
/** Example drawings as thumbnails. A click draws one onto the canvas, stroke by stroke. */
import { thumbnail } from "./canvas.js";
import { fill } from "./dom.js";

/** Strokes are in the form of Quick, Draw!, in the drawing's units. */
/** @typedef {{ label: string, hard?: boolean, strokes: [number[], number[]][] }} Example */

/** Shows the examples of the chosen model's task.
 * @param {HTMLElement} list @param {HTMLSelectElement} model @param {import("./live.js").Live} live @param {import("./canvas.js").Sketch} sketch */
export async function offer(list, model, live, sketch) {
  /** @type {Record<string, Example[]>} Empty where they cannot be loaded: the page works without them. */
  const tasks = await fetch(String(list.dataset.source)).then((answer) => answer.json()).catch(() => ({}));

  /** @param {Example} example */
  function button({ label, hard, strokes }) {
    const made = document.createElement("button");
    const lines = strokes.map(([xs, ys]) => xs.map((x, i) => [x, ys[i]]));
    made.type = "button";
    made.title = made.ariaLabel = fill(list.dataset.draw, [live.named(label)]) + (hard ? `, ${list.dataset.hard}` : "");
    made.append(thumbnail(lines.map((points) => ({ points, width: 16, color: "#000000" })), 40));
    if (hard) made.appendChild(document.createElement("span")).textContent = String(list.dataset.hard);
    made.addEventListener("click", () => sketch.perform(lines));
    return made;
  }

  function show() {
    const examples = tasks[model.selectedOptions[0].dataset.task ?? ""] ?? [];
    list.querySelector("div")?.replaceChildren(...examples.map(button));
    list.hidden = examples.length === 0;
  }

  model.addEventListener("change", show);
  show();
}
