// @ts-check
/** The answer beside a drawing or the camera, as a sentence and bars. The macro `live` in drawing.html holds its words. */
import { Asker } from "./ask.js";
import { fill, find } from "./dom.js";

/** The sentence does not mention a second guess that is less likely than this. */
const WORTH = 0.05;

/** Nothing is named that is less likely than this. */
const NAMED = 0.25;

/** How long nothing changes before a screen reader hears the answer. */
const REST_MS = 1000;

/** @typedef {import("./ask.js").Guess} Guess */
/** @typedef {import("./ask.js").Answer} Answer */
/** @typedef {import("./ask.js").Problem} Problem */

export class Live extends Asker {
  #timer = 0;

  /** @param {HTMLElement} region @param {(answer: Answer) => void} [then] called with each answer that is shown */
  constructor(region, then) {
    super((answer) => this.tell(answer));
    this.then = then;
    this.words = region.dataset;
    this.hint = find(region, ".hint");
    this.sentence = find(region, ".sentence");
    this.title = this.sentence.textContent ?? "";
    this.aloud = find(region, "[role=status]");
    this.bars = find(region, ".bars");
    this.names = /** @type {HTMLDataListElement} */ (find(region, "datalist")).options;
  }

  /** Shows this sentence, or the hint where it is empty, and drops an answer that has not come yet. */
  say(sentence = "") {
    this.stop();
    this.#show(sentence, [], 0);
  }

  /** A label as a sentence names it: "an octopus". @param {string} label */
  named(label) { return this.#name(label)?.label ?? label; }

  /** A label as it stands alone: "octopus". @param {string} label */
  shown(label) { return this.#name(label)?.text ?? label; }

  /** @param {string} label */
  #name(label) { return [...this.names].find(({ value }) => value === label); }

  /** Shows an answer, or why there is none. @param {Answer | Problem} answer */
  tell(answer) {
    if (answer.label === undefined) return this.say(answer.reason === "blank" ? this.words.invisible : answer.reason ? this.words.failed : this.words.lost);
    this.#show(this.#sentence(answer), answer.predictions, REST_MS);
    this.bars.classList.toggle("unfamiliar", !answer.familiar);
    this.then?.(answer);
  }

  /** @param {Answer} answer */
  #sentence({ wording, familiar, predictions: [first, second] }) {
    if (first.probability < NAMED) return this.words.keep;
    if (!familiar) return this.words.unfamiliar;
    const two = wording !== "sure" && second?.probability >= WORTH;
    const pattern = { sure: "sure", probably: "probably", "not sure": "unsure" }[wording] + (two ? "Or" : "");
    return fill(this.words[pattern], [this.named(first.label), two ? this.named(second.label) : ""]);
  }

  /** @param {string} sentence @param {Guess[]} guesses @param {number} rest */
  #show(sentence, guesses, rest) {
    this.hint.hidden = Boolean(sentence);
    this.sentence.textContent = sentence || this.title;
    this.bars.hidden = guesses.length === 0;
    this.#arrange(guesses);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => { this.aloud.textContent = sentence; }, rest);
  }

  /** Keeps the row of each label: it moves to its new place, and its bar to its new length. @param {Guess[]} guesses */
  #arrange(guesses) {
    const rows = new Map([...this.bars.children].map((row) => [row.getAttribute("data-label"), row]));
    const before = new Map([...rows.values()].map((row) => [row, place(row)]));
    this.bars.replaceChildren(...guesses.map(({ label, probability }) => {
      const row = rows.get(label) ?? this.#row(label);
      find(row, ".percent").textContent = percent(probability);
      find(row, "rect").setAttribute("width", String(probability * 100));
      return row;
    }));
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const old of this.bars.getAnimations({ subtree: true })) old.cancel();
    // Everything is measured before anything moves: each measurement after a change would cost a layout.
    const after = [...this.bars.children].map((row) => ({ row, now: place(row) }));
    for (const { row, now } of after) glide(row, now, before.get(row));
  }

  /** An empty bar, as the macro `bars` in macros.html makes it. @param {string} label */
  #row(label) {
    const item = document.createElement("li");
    item.innerHTML = `<span class="label"></span> <span class="percent"></span>
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="0" height="1"/></svg>`;
    item.dataset.label = label;
    find(item, ".label").textContent = this.shown(label);
    return item;
  }
}

/** Where a row is on the screen, and how long its bar is, also in the middle of an animation. @param {Element} row */
function place(row) {
  return { top: row.getBoundingClientRect().top, width: getComputedStyle(find(row, "rect")).width };
}

/** @typedef {{ top: number, width: string }} Place */
/** @param {Element} row @param {Place} now @param {Place} [before] */
function glide(row, now, before) {
  const timing = { duration: 250, easing: "ease-out" };
  if (before) row.animate({ transform: [`translateY(${before.top - now.top}px)`, "none"] }, timing);
  find(row, "rect").animate({ width: [before?.width ?? "0px", now.width] }, timing);
}

/** Never a round 0% or 100%, because the model is never that certain. @param {number} probability */
function percent(probability) {
  if (probability < 0.01) return "<1%";
  return probability > 0.99 ? ">99%" : `${Math.round(probability * 100)}%`;
}
