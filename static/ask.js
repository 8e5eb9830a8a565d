// @ts-check
/** Asks the server what is in a drawing: one question at a time, and the newest wins. */
import { toJson } from "./strokes.js";

/** The shortest time between two questions while a stroke grows. */
const GLANCE_MS = 400;

/** @typedef {{ label: string, probability: number }} Guess */
/** @typedef {{ label: string, wording: "sure" | "probably" | "not sure", familiar: boolean, predictions: Guess[] }} Answer */
/** @typedef {{ label?: undefined, reason?: string }} Problem empty if the server cannot be reached */
/** @typedef {import("./canvas.js").Sketch} Sketch */

export class Asker {
  /** @type {AbortController | null} */ #request = null;
  /** @type {Promise<void> | undefined} */ #pending;
  #asked = -Infinity;

  /** @param {(answer: Answer | Problem) => void} hear called with each answer */
  constructor(hear) { this.hear = hear; }

  /** Cancels the question in progress. */
  stop() {
    this.#request?.abort();
    this.#request = null;
  }

  /** @param {Sketch} sketch @param {string} model */
  ask(sketch, model) {
    return this.#pending = this.#ask(sketch, model);
  }

  /** Waits for the answer to the last question, but no longer than this. @param {number} milliseconds */
  async answered(milliseconds) {
    await Promise.race([this.#pending, new Promise((done) => setTimeout(done, milliseconds))]);
  }

  /** @param {Sketch} sketch @param {string} model */
  async #ask(sketch, model) {
    this.stop();
    const request = this.#request = new AbortController();
    this.#asked = performance.now();
    const answer = await predict(toJson(sketch), model, request.signal).catch(() => ({}));
    if (request.signal.aborted) return;
    this.#request = null;
    this.hear(answer);
  }

  /** Asks if no question is in progress and enough time has passed since the last. @param {Sketch} sketch @param {string} model */
  glance(sketch, model) {
    if (!this.#request && performance.now() - this.#asked > GLANCE_MS) this.ask(sketch, model);
  }
}

/** @param {string} body @param {string} model empty for Auto @param {AbortSignal} signal @returns {Promise<Answer | Problem>} */
async function predict(body, model, signal) {
  const asked = model ? `&model=${encodeURIComponent(model)}` : "";
  const response = await fetch(`/api/predict?top=3${asked}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
    signal,
  });
  return response.json();
}
