// @ts-check
/** Asks a question without leaving the page, and shows the answer below the field. Without this script the forms lead to
 * a page with the answer. */
import { errorOf, find, parsePage } from "./dom.js";

/** @typedef {import("./chat.js").Chat} Chat */

/** @param {HTMLElement} root */
export async function start(root) {
  const questions = find(root, ".questions");
  const offered = /** @type {HTMLElement | null} */ (questions.querySelector(".chat"));
  const chat = offered && new (await import("./chat.js")).Chat(offered, find(questions, ".measured"));
  questions.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const data = new FormData(form, /** @type {SubmitEvent} */ (event).submitter);
    const place = document.createElement("div");
    find(questions, ".replies").prepend(place);
    /** @type {HTMLInputElement} */ (find(questions, "#question")).value = "";
    const both = chat?.wanted === "yes";
    if (both) place.className = "both";
    ask(questions, form, data, place, both);
    if (both) chat.ask(String(data.get("question")), place);
  });
}

/** Shows the measured answer, the newest first. While it is not there yet, its place says so.
 * @param {HTMLElement} questions @param {HTMLFormElement} form @param {FormData} data @param {HTMLElement} place
 * @param {boolean} beside whether a language model answers beside it */
async function ask(questions, form, data, place, beside) {
  const measured = document.createElement("div");
  measured.textContent = questions.dataset.wait ?? "";
  place.append(measured);
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(/** @type {any} */ (data)) });
    const page = parsePage(await response.text());
    const answer = /** @type {HTMLElement | null} */ (page.querySelector(".asked"));
    if (beside && answer && "unknown" in answer.dataset) shorten(answer);
    if (answer) measured.replaceChildren(document.importNode(answer, true));
    else measured.textContent = errorOf(page) ?? questions.dataset.failed ?? "";
  } catch {
    measured.textContent = questions.dataset.failed ?? "";
  }
}

/** Leaves out the list of questions that Inkling can answer. @param {HTMLElement} answer */
function shorten(answer) {
  const brief = find(answer, ".brief");
  brief.hidden = false;
  find(answer, ".reply").replaceChildren(brief);
}
