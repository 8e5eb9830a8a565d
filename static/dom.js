// @ts-check
/** Helpers that the pages' scripts share. */

/** The first match, of which the page always has one. @param {Element} root @param {string} selector @returns {HTMLElement} */
export function find(root, selector) {
  return /** @type {HTMLElement} */ (root.querySelector(selector));
}

/** A sentence from the page with its {placeholders} filled in: numbers from an array, names from an object.
 * @param {string | undefined} sentence @param {Record<string, string | number> | (string | number)[]} values */
export function fill(sentence = "", values) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => String(/** @type {Record<string, string | number>} */ (values)[name]));
}

/** A file's name without the middle of a long one: its end says what kind it is. @param {string} name */
export function brief(name) {
  const letters = [...name];
  return letters.length > 45 ? `${letters.slice(0, 30).join("")}…${letters.slice(-14).join("")}` : name;
}

/** Marks buttons as usable or not, by data-action. A button with `disabled` would lose the focus, so this is aria-disabled.
 * @param {Element} root @param {Record<string, boolean>} usable */
export function setUsable(root, usable) {
  for (const name in usable) find(root, `[data-action=${name}]`).setAttribute("aria-disabled", String(!usable[name]));
}

/** Copies a text; false where the browser refuses. Browsers allow it only over HTTPS and on this machine. @param {string} text */
export async function copyText(text) {
  return Boolean(await navigator.clipboard?.writeText(text).then(() => true, () => false));
}

/** What an error page says, such as that the server is busy. @param {Document} page */
export function errorOf(page) {
  return page.querySelector(".problem p, h1 + p")?.textContent;
}

/** @param {string} html */
export function parsePage(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/** Takes files that are dropped anywhere: beside the field, the browser would replace the page by the file. A picture of
 * another page comes as a file in some browsers, and in others only as a link.
 * @param {(files: FileList) => void} take @param {(over: boolean) => void} [hover] called as files come and go above the page
 * @param {AbortSignal} [signal] ends it @param {() => void} [link] called where a link comes without a file */
export function onDrop(take, hover = () => {}, signal, link) {
  for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, (event) => {
    const data = /** @type {DragEvent} */ (event).dataTransfer;
    const hasLink = link && data?.types.includes("text/uri-list");
    if (!data || !(hasLink || data.types.includes("Files"))) return;
    event.preventDefault();
    hover(type === "dragover");
    if (type !== "drop") return;
    if (hasLink && !data.files.length) link();
    else take(data.files);
  }, { signal });
}

/** The button that sends a form. It shows as busy instead of the form: screen readers skip a busy form. @param {HTMLFormElement} form */
export function submitButton(form) {
  return find(form, "[type=submit]");
}

/** Allows a form to be sent again. @param {HTMLFormElement} form */
export function release(form) {
  submitButton(form).ariaBusy = "false";
}
