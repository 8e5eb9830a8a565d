// @ts-check
/** Sends a form without leaving the page, and puts the page that answers it in place. */
import { parsePage } from "./dom.js";
import { show } from "./page.js";

/** Why there is no answer: a title and what to do, as a page of the server says it. Only a code where no page came.
 * @typedef {{ code: "lost" | "failed" | "too-large", title?: string, advice?: string }} Failure */

/** @typedef {object} Listener
 * @property {(share: number) => void} [progress] called with the part that is sent, 0 to 1
 * @property {(failure: Failure) => void} failed
 * @property {(page: Document) => void} [answered] called before the page is shown; it may change it */

/** @param {HTMLFormElement} form @param {Listener} listener @returns {() => void} a function that cancels it */
export function send(form, { progress, failed, answered }) {
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", ({ loaded, total }) => progress?.(loaded / total));
  request.addEventListener("error", () => failed({ code: "lost" }));
  request.addEventListener("load", () => {
    const page = parsePage(request.responseText);
    const failure = failureOf(request, page);
    if (failure) return failed(failure);
    answered?.(page);
    // Answers that cannot be kept have no address: the response to the form is their page.
    show(page, request.responseURL === form.action ? undefined : request.responseURL);
  });
  request.open("POST", form.action);
  const data = new FormData(form);
  // As the browser itself would send the form. A drawing has no files.
  request.send(form.enctype === "multipart/form-data" ? data : new URLSearchParams(/** @type {any} */ (data)));
  return () => request.abort();
}

/** @param {XMLHttpRequest} request @param {Document} page @returns {Failure | undefined} */
function failureOf({ status, responseURL }, page) {
  if (status < 400 && !new URL(responseURL).pathname.startsWith("/help") && page.querySelector("main")) return undefined;
  const title = page.querySelector(".problem h1, main h1")?.textContent ?? undefined;
  const advice = page.querySelector(".problem h1 + p, main h1 + p")?.textContent ?? undefined;
  return { code: status === 413 ? "too-large" : "failed", title, advice };
}
