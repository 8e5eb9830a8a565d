// @ts-check
/** Follows the training, which begins by itself after each change, and shows what it found. */
import { find, parsePage } from "./dom.js";
import { move, remove } from "./teach-changes.js";
import { Refusal } from "./teach-workshop.js";

/** @typedef {import("./teach-workshop.js").Workshop} Workshop */

/** The time between two questions about a training, in milliseconds. */
const PAUSE_MS = 500;
/** The parts of the page that a training renews. */
const PARTS = ["figures", "review", "versions"];

/** @param {number} milliseconds */
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** @param {Workshop} shop */
export function start(shop) {
  const { root, signal } = shop;
  /** Counts the changes: only the newest one is followed. */ let turn = 0;

  /** Asks how far the training is until it is done, then shows its figures. */
  async function follow() {
    const mine = ++turn;
    await shop.refresh(["figures"]);
    while (!signal.aborted && mine === turn) {
      const progress = await shop.ask("GET", "/train").catch((error) => {
        if (!(error instanceof Refusal)) throw error;
        return { stage: "waiting", share: 0 }; // the server is busy or away: ask again
      });
      if (mine !== turn) return;
      if (!progress || progress.stage === "failed") break;
      const bar = /** @type {HTMLProgressElement | null} */ (root.querySelector(".learning progress"));
      if (bar && progress.stage !== "waiting") bar.value = progress.stage === "features" ? 0.8 * progress.share : 0.8 + 0.2 * progress.share;
      await wait(PAUSE_MS);
    }
    if (!signal.aborted) await shop.refresh(PARTS);
    show();
  }

  /** Follows a training, if there is one. */
  function followAny() { if ("training" in find(root, "#figures").dataset) follow(); }

  /** "Try it" needs a version to ask. */
  function show() { find(root, "#try").hidden = !("newest" in find(root, "#figures").dataset); }

  /** Does what a button of the review suggests, and goes on to the next one. @param {HTMLElement} button @param {(row: HTMLElement) => Promise<void>} action */
  function agree(button, action) {
    const row = /** @type {HTMLElement} */ (button.closest("li"));
    const next = row.nextElementSibling ?? row.previousElementSibling;
    shop.attempt(async () => {
      await action(row);
      row.remove();
      /** @type {HTMLElement} */ (next?.querySelector("button") ?? find(root, "#review")).focus();
    });
  }

  shop.on("agree", (button) => agree(button, (row) => move(shop, [String(row.dataset.example)], Number(button.dataset.label))));
  shop.on("thin", (button) => agree(button, (row) => remove(shop, String(row.dataset.extra).split(" "))));
  shop.on("cell", (link, event) => {
    event.preventDefault();
    shop.refresh(["review"], /** @type {HTMLAnchorElement} */ (link).href);
  });
  // Forms that need no new document: their answer is this page, in a new state.
  root.addEventListener("submit", async (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!("inplace" in form.dataset)) return;
    event.preventDefault();
    const body = new FormData(form, /** @type {SubmitEvent} */ (event).submitter);
    const response = await fetch(form.action, { method: "POST", body, signal }).catch(() => null);
    if (!response?.ok) return shop.say(String(shop.words.sayLost));
    shop.renew(parsePage(await response.text()), PARTS);
    followAny();
  });
  shop.addEventListener("change", follow);
  followAny();
}
