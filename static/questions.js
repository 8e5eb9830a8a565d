// @ts-check
/** Asks a question without leaving the page, and shows the answer below the field. Without this script the forms lead to
 * a page with the answer. */
import { errorOf, find, parsePage } from "./dom.js";

/** @param {HTMLElement} root */
export function start(root) {
  const questions = find(root, ".questions");
  questions.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    ask(questions, form, new FormData(form, /** @type {SubmitEvent} */ (event).submitter));
  });
}

/** Shows the answer, the newest first. While it is not there yet, its place says so.
 * @param {HTMLElement} questions @param {HTMLFormElement} form @param {FormData} data */
async function ask(questions, form, data) {
  const place = document.createElement("div");
  place.textContent = questions.dataset.wait ?? "";
  find(questions, ".replies").prepend(place);
  /** @type {HTMLInputElement} */ (find(questions, "#question")).value = "";
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(/** @type {any} */ (data)) });
    const page = parsePage(await response.text());
    const answer = page.querySelector(".asked");
    if (answer) place.replaceChildren(document.importNode(answer, true));
    else place.textContent = errorOf(page) ?? questions.dataset.failed ?? "";
  } catch {
    place.textContent = questions.dataset.failed ?? "";
  }
}
