// @ts-check
/** The frame of every page: closes the header's menus, changes the theme without leaving the page, says in the page's
 * language what is wrong with a field, and registers the service worker. */

/** The unfolded menu, if any. @returns {HTMLDetailsElement | null} */
const open = () => document.querySelector(".menu[open]");

/** Folds the menu when the visitor turns to something else. @param {Event} event */
function leave(event) {
  const menu = open();
  if (menu && !menu.contains(/** @type {Node} */ (event.target))) menu.open = false;
}

/** @param {KeyboardEvent} event */
function escape(event) {
  const menu = open();
  if (event.key !== "Escape" || !menu) return;
  menu.open = false;
  menu.querySelector("summary")?.focus();
}

/** Shows the chosen theme at once, so that a drawing or a chosen photo stays. The server remembers the choice.
 * @param {SubmitEvent} event */
function change(event) {
  const form = /** @type {HTMLFormElement} */ (event.target), button = /** @type {HTMLButtonElement} */ (event.submitter);
  if (form.getAttribute("action") !== "/theme") return;
  event.preventDefault();
  fetch("/theme", { method: "POST", body: new URLSearchParams({ theme: button.value }), redirect: "manual" });
  const { dataset } = document.documentElement;
  if (button.value === "system") delete dataset.theme;
  else dataset.theme = button.value;
  for (const choice of form.querySelectorAll("button")) choice.ariaCurrent = choice === button ? "true" : null;
  form.querySelector("summary")?.focus();
  /** @type {HTMLDetailsElement} */ (form.querySelector("details")).open = false;
}

/** Replaces what the browser says about a field, which is in the browser's language. @param {Event} event */
function explain({ target }) {
  const field = /** @type {HTMLInputElement} */ (target);
  field.setCustomValidity(field.dataset.wrong ?? document.body.dataset.wrong ?? "");
}

/** A field with words of ours counts as wrong until they are taken away. @param {Event} event */
function forget({ target }) {
  if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) target.setCustomValidity("");
}

for (const type of ["pointerdown", "focusin"]) document.addEventListener(type, leave);
document.addEventListener("keydown", escape);
document.addEventListener("submit", change);
document.addEventListener("invalid", explain, true); // it does not bubble
document.addEventListener("input", forget, true);
// Only HTTPS and this machine have service workers, and a browser may forbid them.
addEventListener("load", () => navigator.serviceWorker?.register("/worker.js").catch(() => {}));
