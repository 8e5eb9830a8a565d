// @ts-check
/** The drawing challenge: a few things to draw, one after the other, while a model guesses. */
import { Sketch, thumbnail } from "./canvas.js";
import { copyText, fill, find as findIn, setUsable } from "./dom.js";
import { Live } from "./live.js";

const TICK_MS = 100;
/** The most that a tick counts: the page may have been suspended between two ticks. */
const SLICE_MS = 1000;
/** How long to wait for the answer to the last stroke. */
const LAST_MS = 1000;

/** Seconds left when a screen reader announces the time. */
const WARNINGS = [10, 5];

/** @typedef {import("./ask.js").Answer} Answer */
/** @typedef {import("./canvas.js").Stroke} Stroke */
/** @typedef {{ word: string, guess: string, right: boolean, strokes: Stroke[] }} Outcome */

const root = /** @type {HTMLElement} */ (document.querySelector(".play"));
const words = root.dataset;
if (root.querySelector(".start")) play();

function play() {
  const [start, round, end] = [".start", ".round", ".end"].map(find);
  const model = /** @type {HTMLSelectElement} */ (find("select"));
  const progress = /** @type {HTMLProgressElement} */ (find("progress"));
  const live = new Live(find(".live"), hear);
  const sketch = new Sketch(
    /** @type {HTMLCanvasElement} */ (find("canvas")),
    () => ({ width: 12, color: "#000000", paper: "#ffffff" }),
  );
  const seconds = Number(words.seconds);
  /** @type {Set<string>} Words drawn in this visit: they come again last. */
  const drawn = new Set();
  /** @type {string[]} */ let tasks = [];
  /** @type {Outcome[]} */ let outcomes = [];
  /** @type {Answer | null} The newest answer to the current drawing. */ let latest = null;
  let running = false, closing = false, left = 0, ticked = 0, timer = 0;

  const task = () => tasks[outcomes.length];
  const clocked = () => /** @type {RadioNodeList} */ (/** @type {HTMLFormElement} */ (start).elements.namedItem("time")).value === "clock";

  /** Shows one part of the page under this headline, which gets the focus. @param {HTMLElement} part @param {string} title */
  function turn(part, title) {
    for (const one of [start, round, end]) one.hidden = one !== part;
    const headline = find("h1");
    headline.textContent = title;
    headline.focus();
  }

  function begin() {
    tasks = choose(JSON.parse(String(model.selectedOptions[0].dataset.words)), Number(words.rounds), drawn);
    outcomes = [];
    root.classList.toggle("clocked", clocked());
    progress.max = seconds;
    find(".outcome").textContent = "";
    announce();
  }

  /** Shows the outcome of the last drawing and the next word. The clock does not run. */
  function announce() {
    const last = outcomes.length === tasks.length;
    round.classList.add("waiting");
    find("[data-action=go]").textContent = (last ? words.end : words.go) ?? "";
    find(".number").textContent = fill(words.round, [Math.min(outcomes.length + 1, tasks.length), tasks.length]);
    show(seconds);
    turn(round, last ? words.last ?? "" : fill(words.draw, [live.named(task())]));
  }

  function go() {
    if (outcomes.length === tasks.length) return conclude();
    round.classList.remove("waiting");
    drawn.add(task());
    latest = null;
    running = true;
    closing = false;
    left = seconds;
    ticked = performance.now();
    timer = setInterval(tick, TICK_MS);
    sketch.restart();
    sketch.canvas.focus();
  }

  /** Counts down, but not while the page is hidden or was suspended. */
  function tick() {
    const now = performance.now();
    if (clocked() && !document.hidden) show(left -= Math.min(now - ticked, SLICE_MS) / 1000);
    ticked = now;
    if (left <= 0) close();
  }

  /** @param {number} time in seconds */
  function show(time) {
    const whole = Math.max(0, Math.ceil(time));
    progress.value = Math.max(0, time);
    find(".left").textContent = fill(words.left, [whole]);
    find("#warning").textContent = WARNINGS.includes(whole) ? fill(words.warning, [whole]) : "";
  }

  /** @param {Answer} answer */
  function hear(answer) {
    if (!running) return;
    latest = answer;
    if (answer.label === task() && answer.wording !== "not sure") finish();
  }

  /** Ends the drawing. The answer to the last stroke still counts. */
  async function close() {
    if (closing) return;
    clearInterval(timer);
    sketch.settle();
    closing = true;
    if (!sketch.blank) await live.answered(LAST_MS);
    if (running) finish();
  }

  /** Ends the round: the best guess counts, however unsure. */
  function finish() {
    running = false;
    clearInterval(timer);
    sketch.settle();
    live.say();
    const word = task(), guess = latest?.label ?? "", right = guess === word;
    outcomes.push({ word, guess, right, strokes: sketch.strokes });
    announce();
    // Last: screen readers only announce a text that changes while it is visible.
    const outcome = find(".outcome");
    outcome.classList.toggle("known", right);
    outcome.textContent = find("#warning").textContent = comment(outcomes[outcomes.length - 1], latest?.wording === "not sure");
  }

  /** @param {Outcome} outcome @param {boolean} [barely] */
  function comment({ word, guess, right }, barely = false) {
    if (right) return fill(barely ? words.almost : words.yes, [live.named(word)]);
    return guess ? fill(words.no, [live.named(guess)]) : words.blank ?? "";
  }

  const score = () => outcomes.filter(({ right }) => right).length;

  function conclude() {
    const share = score() / outcomes.length;
    find(".praise").textContent = (share === 1 ? words.all : share >= 0.5 ? words.most : words.some) ?? "";
    find(".drawings").replaceChildren(...outcomes.map(exhibit));
    find("#copied").textContent = "";
    find("textarea").hidden = true;
    turn(end, fill(words.score, [score(), outcomes.length]));
  }

  /** @param {Outcome} outcome */
  function exhibit(outcome) {
    const item = document.createElement("li");
    const title = document.createElement("strong");
    title.textContent = `${outcome.right ? "✓" : "✗"} ${live.shown(outcome.word)}`;
    item.classList.toggle("known", outcome.right);
    item.append(thumbnail(outcome.strokes, 160), title, comment(outcome));
    return item;
  }

  async function share() {
    const lines = outcomes.map((one) => `${one.right ? "✓" : "✗"} ${live.shown(one.word)}${one.right ? "" : `: ${comment(one)}`}`);
    const text = [fill(words.share, [score(), outcomes.length]), ...lines, location.href].join("\n");
    const box = /** @type {HTMLTextAreaElement} */ (find("textarea"));
    const copied = await copyText(text);
    find("#copied").textContent = (copied ? words.copied : words.select) ?? "";
    box.hidden = copied;
    box.value = text;
    if (!copied) box.select();
  }

  /** Updates buttons and answer after the drawing changed. */
  function follow() {
    setUsable(root, { undo: sketch.canUndo, clear: !sketch.blank });
    if (!running || closing) return;
    if (!sketch.blank) return void live.ask(sketch, model.value);
    latest = null;
    live.say();
  }

  /** @type {Record<string, () => void>} */
  const actions = { undo: () => sketch.undo(), clear: () => sketch.clear(), go, skip: () => void (running && close()), again: begin, share };
  for (const name in actions) find(`[data-action=${name}]`).addEventListener("click", actions[name]);
  sketch.addEventListener("change", follow);
  sketch.addEventListener("growth", () => running && !closing && live.glance(sketch, model.value));
  start.addEventListener("submit", (event) => { event.preventDefault(); begin(); });
  model.addEventListener("change", () => history.replaceState(history.state, "", `?model=${encodeURIComponent(model.value)}`));
}

/** One word of each level of difficulty, the easiest first; a word that was drawn before only where a level has no other.
 * @param {string[]} words the easiest first @param {number} count @param {Set<string>} drawn */
function choose(words, count, drawn) {
  const most = Math.min(count, words.length);
  return Array.from({ length: most }, (_, i) => {
    const level = words.slice(Math.floor(i * words.length / most), Math.floor((i + 1) * words.length / most));
    const fresh = level.filter((word) => !drawn.has(word));
    const from = fresh.length ? fresh : level;
    return from[Math.floor(Math.random() * from.length)];
  });
}

/** @param {string} selector */
function find(selector) {
  return findIn(root, selector);
}
