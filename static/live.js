// @ts-check
/** The answer beside the drawing: asked for after each stroke; only the newest one is shown. */

/** How long a hand may pause between two strokes without an answer being asked for. */
const PAUSE_MS = 150;

const LOST = "The server cannot be reached. Your drawing is still here.";

/** @typedef {{ label: string, probability: number }} Guess */
/** @typedef {{ label: string, confidence: number, sure: boolean, wording: string, predictions: Guess[] }} Answer */

export class Live {
  #newest = 0;
  #timer = 0;
  #request = new AbortController();

  /** @param {HTMLElement} region holds the hint, the word, the wording and the bars */
  constructor(region) {
    this.hint = find(region, ".hint");
    this.word = find(region, ".word");
    this.wording = find(region, ".wording");
    this.bars = find(region, ".bars");
  }

  /** Shows this sentence, or the hint for none, and nothing that is still on its way. */
  say(sentence = "") {
    this.stop();
    this.#show("", sentence, []);
  }

  /** Nothing that was asked before will be shown. */
  stop() {
    this.#newest += 1;
    clearTimeout(this.#timer);
    this.#request.abort();
  }

  /** @param {HTMLCanvasElement} picture @param {string} model */
  ask(picture, model) {
    this.stop();
    const turn = this.#newest;
    this.#timer = setTimeout(() => this.#answer(turn, picture, model), PAUSE_MS);
  }

  /** @param {number} turn @param {HTMLCanvasElement} picture @param {string} model */
  async #answer(turn, picture, model) {
    this.#request = new AbortController();
    const answer = await predict(picture, model, this.#request.signal).catch((problem) => problem);
    if (turn !== this.#newest) return;
    if (answer.label) this.#show(answer.sure ? answer.label : `${answer.label}?`, wording(answer), answer.predictions);
    else this.say(answer.reason === "blank" ? "" : answer.detail ?? LOST);
  }

  /** @param {string} word @param {string} wording @param {Guess[]} guesses */
  #show(word, wording, guesses) {
    this.hint.hidden = Boolean(word || wording);
    this.word.textContent = word;
    this.wording.textContent = wording;
    this.bars.hidden = guesses.length === 0;
    // Rows are kept, so that a bar glides to its new length.
    while (this.bars.children.length > guesses.length) this.bars.lastElementChild?.remove();
    guesses.forEach((guess, i) => fill(this.bars.children[i] ?? this.bars.appendChild(row()), guess));
  }
}

/** Resolves with the answer, or rejects with the server's problem. @param {HTMLCanvasElement} picture @param {string} model @param {AbortSignal} signal @returns {Promise<Answer>} */
async function predict(picture, model, signal) {
  const body = new FormData();
  body.append("image", await png(picture), "drawing.png");
  const response = await fetch(`/api/predict?model=${encodeURIComponent(model)}&top=3`, { method: "POST", body, signal });
  const answer = await response.json();
  if (!response.ok) throw answer;
  return answer;
}

/** @param {HTMLCanvasElement} picture @returns {Promise<Blob>} */
function png(picture) {
  return new Promise((done) => picture.toBlob((blob) => done(/** @type {Blob} */ (blob))));
}

/** @param {Answer} answer */
function wording({ wording, confidence }) {
  return `${wording[0].toUpperCase()}${wording.slice(1)}, ${percent(confidence)}`;
}

/** Never a round 0% or 100%, because the model is never that certain. @param {number} probability */
function percent(probability) {
  if (probability < 0.01) return "<1%";
  return probability > 0.99 ? ">99%" : `${Math.round(probability * 100)}%`;
}

/** An empty bar, as the macro `bars` in macros.html makes it. */
function row() {
  const item = document.createElement("li");
  item.innerHTML = `<span class="label"></span> <span class="percent"></span>
    <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="0" height="1"/></svg>`;
  return item;
}

/** @param {Element} item @param {Guess} guess */
function fill(item, { label, probability }) {
  find(item, ".label").textContent = label;
  find(item, ".percent").textContent = percent(probability);
  find(item, "rect").setAttribute("width", String(probability * 100));
}

/** @param {Element} root @param {string} selector @returns {HTMLElement} */
function find(root, selector) {
  return /** @type {HTMLElement} */ (root.querySelector(selector));
}
