// @ts-check
/** A language model beside the measured answers: whether the visitor wants it, what it says, and what was said before.
 * All of that stays in this browser. What it says is text, whatever it looks like. */
import { find } from "./dom.js";

/** Turns that the server gets with a question, and characters of each answer. */
const TURNS = 6, LONGEST = 8000;

export class Chat {
  /** @type {{ question: string, answer: string }[]} */ #history = [];
  /** @type {AbortController | null} */ #request = null;

  /** @param {HTMLElement} root @param {HTMLElement} hint says that only measured answers are given */
  constructor(root, hint) {
    this.root = root;
    this.hint = hint;
    root.hidden = false;
    root.addEventListener("click", (event) => {
      const choice = /** @type {HTMLElement} */ (event.target).dataset.choice;
      if (choice) this.#choose(choice);
    });
    this.#show();
  }

  /** Whether the visitor wants it: "yes", "no" or "undecided". A model on the server itself needs no consent. */
  get wanted() {
    return stored(this.#key) ?? ("leaves" in this.root.dataset ? "undecided" : "yes");
  }

  get #key() { return `inkling-chat-${this.root.dataset.host}`; }

  /** @param {string} choice */
  #choose(choice) {
    store(this.#key, choice);
    if (choice === "no") this.#request?.abort();
    this.#show();
    /** @type {HTMLElement | null} */ (this.root.querySelector("[data-when]:not([hidden]) button"))?.focus();
  }

  #show() {
    const wanted = this.wanted;
    this.hint.hidden = wanted !== "undecided";
    for (const one of /** @type {NodeListOf<HTMLElement>} */ (this.root.querySelectorAll("[data-when]"))) {
      one.hidden = one.dataset.when !== wanted;
    }
  }

  /** Asks, and shows what the model says as it comes. Its last answer ends.
   * @param {string} question @param {HTMLElement} place */
  async ask(question, place) {
    this.#request?.abort();
    const request = this.#request = new AbortController();
    const template = /** @type {HTMLTemplateElement} */ (find(this.root, "template"));
    const said = /** @type {HTMLElement} */ (document.importNode(template.content, true).firstElementChild);
    const text = find(said, ".words"), state = find(said, ".state"), stop = find(said, "button");
    place.append(said);
    said.ariaBusy = "true"; // or a screen reader would read each word as it comes
    state.textContent = state.dataset.waiting ?? "";
    stop.addEventListener("click", () => request.abort());
    try {
      const note = await this.#listen(question, request.signal, (more) => {
        state.textContent = "";
        text.textContent += more;
      });
      state.textContent = (note && state.dataset[note]) ?? "";
      this.#history.push({ question, answer: (text.textContent ?? "").slice(0, LONGEST) });
    } catch (problem) {
      const reasons = JSON.parse(this.root.dataset.reasons ?? "{}");
      const stopped = request.signal.aborted && state.dataset.stopped;
      state.textContent = stopped || reasons[String(problem)] || this.root.dataset.failed;
    }
    stop.remove();
    said.ariaBusy = "false";
  }

  /** Passes on the words of an answer. Returns what to note below it; throws the reason where there is none.
   * @param {string} question @param {AbortSignal} signal @param {(text: string) => void} hear */
  async #listen(question, signal, hear) {
    const result = this.root.dataset.result;
    const response = await fetch("/api/chat", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
      body: JSON.stringify({ question, history: this.#history.slice(-TURNS), ...(result && { result }) }),
      signal,
    });
    if (!response.ok || !response.body) throw (await response.json()).reason;
    let blind = false;
    for await (const { name, data } of events(response.body)) {
      if (name === "message") hear(data.text);
      if (name === "begin") blind = Boolean(result) && !data.sees;
      if (name === "end") return data.cut ? "cut" : blind ? "blind" : "";
      if (name === "problem") throw data.reason;
    }
    throw "chat-away"; // the connection broke
  }
}

/** Server-sent events as they come. @param {ReadableStream<Uint8Array>} body */
async function* events(body) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  for (let rest = "";;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const [, name, data] = block.match(/^event: (\w+)\ndata: (.*)$/) ?? [];
      if (data) yield { name, data: JSON.parse(data) }; // others are comments that keep the connection open
    }
  }
}

/** @param {string} key */
function stored(key) {
  try { return localStorage.getItem(key); } catch { return null; } // the browser keeps nothing
}

/** @param {string} key @param {string} value */
function store(key, value) {
  try { localStorage.setItem(key, value); } catch { /* then it asks again */ }
}
