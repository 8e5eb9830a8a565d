// @ts-check
/** The lab: the result follows every change. The server renders the page again, and the parts that differ replace those here. */
import { Sketch } from "./canvas.js";
import { copyText, errorOf, onDrop, parsePage } from "./dom.js";

/** How long a slider must rest before the result is requested. */
const PAUSE_MS = 60;

/** How far a button moves its step. @type {Record<string, number>} */
const MOVES = { up: -1, down: 1, remove: 0 };

const PEN = { width: 16, color: "#000000", paper: "#ffffff" };

const form = /** @type {HTMLFormElement} */ (document.querySelector("form.lab"));
const file = /** @type {HTMLInputElement} */ (form.elements.namedItem("image"));
const drawing = /** @type {HTMLInputElement} */ (form.elements.namedItem("drawing"));
const sketch = new Sketch(/** @type {HTMLCanvasElement} */ (form.querySelector("canvas")), () => PEN);

let newest = 0, timer = 0, request = new AbortController();

/** Whether the model's answer about the original is still missing, because another model was chosen. */
let lacking = false;

/** The button that waits for its response. A slider's request repeats it; other buttons do nothing meanwhile. @type {HTMLButtonElement | null} */
let pressed = null;

/** Requests the page for the form's values; only the newest response is shown. @param {HTMLButtonElement} [button] the button pressed */
async function refresh(button) {
  clearTimeout(timer);
  request.abort();
  request = new AbortController();
  if (button?.value) pressed = button;
  const turn = ++newest;
  const body = new FormData(form, pressed);
  body.delete("image");
  body.set("live", lacking ? "both" : "after");
  try {
    const answer = await fetch(form.action, { method: "POST", body, signal: request.signal });
    const page = parsePage(await answer.text());
    if (turn !== newest) return;
    // Another page than the lab is an error page: the server is busy, or the result was deleted.
    if (page.querySelector("form.lab")) show(page, pressed);
    else complain(errorOf(page) ?? form.dataset.lost ?? "");
  } catch {
    if (turn !== newest) return;
    complain(form.dataset.lost ?? "");
  }
  pressed = null;
}

/** @param {Document} page @param {HTMLButtonElement | null} [button] */
function show(page, button) {
  if (page.querySelector("[data-part=before]")) lacking = false;
  for (const fresh of page.querySelectorAll("[data-part]")) {
    const name = /** @type {HTMLElement} */ (fresh).dataset.part;
    const old = form.querySelector(`[data-part=${name}]`);
    // The steps stay as they are while the visitor changes one of their values.
    if (!old || (name === "steps" && !button?.value)) continue;
    if (name === "code" && old.textContent !== fresh.textContent) copier.textContent = copier.dataset.copy ?? "";
    if (fresh instanceof HTMLImageElement) picture(/** @type {HTMLImageElement} */ (old), fresh);
    else if (old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
  }
  const address = /** @type {HTMLElement} */ (page.querySelector(".bench")).dataset.address;
  if (address) history.replaceState(history.state, "", address);
  if (button?.value) place(button.value);
}

/** Replaces a picture; the old one stays until the new one is loaded. Responses leave the original out. @param {HTMLImageElement} old @param {HTMLImageElement} fresh */
function picture(old, fresh) {
  const source = fresh.getAttribute("src");
  if (source && source !== old.getAttribute("src")) old.src = source;
}

/** Keeps the focus on the step that was moved, or moves it to the one in its place. @param {string} done such as "up 2" */
function place(done) {
  const [action, number] = done.split(" ");
  const at = Number(number) + MOVES[action];
  const wanted = action === "add" ? ["fieldset:last-of-type :is(select, [type=number])", "fieldset:last-of-type .moves button:enabled"]
    : [`[value="${action} ${at}"]:enabled`, `[value="up ${at}"]:enabled`, `[value="down ${at}"]:enabled`, "fieldset:last-of-type .moves button:last-child", "#add"];
  const found = wanted.map((selector) => form.querySelector(`.chain ${selector}`)).find(Boolean);
  /** @type {HTMLElement | null | undefined} */ (found)?.focus();
}

/** @param {string} sentence */
function complain(sentence) {
  const problem = document.createElement("p");
  problem.className = "problem";
  problem.textContent = sentence;
  form.querySelector("[data-part=problem]")?.replaceChildren(problem);
}

/** Whether the visitor has changed a control since the page was loaded. @param {HTMLInputElement | HTMLSelectElement} control */
function touched(control) {
  if (control instanceof HTMLInputElement) return control.value !== control.defaultValue;
  return !control.selectedOptions[0]?.defaultSelected;
}

/** Keeps a slider and the field beside it equal, and requests the result. @param {Event} event */
function follow(event) {
  const changed = /** @type {HTMLInputElement} */ (event.target);
  const field = /** @type {HTMLInputElement | null} */ (document.getElementById(changed.dataset.of ?? changed.id));
  if (!field?.name || ["image", "add"].includes(field.name)) return;
  if (changed !== field) {
    field.value = changed.value;
    field.setCustomValidity(""); // see frame.js
  }
  const slider = /** @type {HTMLInputElement | null} */ (form.querySelector(`[data-of="${field.id}"]`));
  if (field.name === "model") lacking = true;
  if (slider && slider !== changed) slider.value = field.value;
  clearTimeout(timer);
  // A number that is still being typed may be invalid.
  if (field.validity.valid) timer = setTimeout(() => refresh(), PAUSE_MS);
}

/** @param {SubmitEvent} event */
function send(event) {
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  clearTimeout(timer);
  if (!button?.hasAttribute("data-live")) return;
  event.preventDefault();
  // What the second button means depends on the response to the first.
  if (!pressed) refresh(button);
}

/** Sends a file that was chosen, dropped or pasted. @param {FileList | null | undefined} files */
function take(files) {
  if (!files?.length) return;
  if (files[0].size > Number(form.dataset.maxBytes)) {
    file.value = "";
    complain(form.dataset.tooLarge ?? "");
    return;
  }
  file.files = files;
  form.submit();
}

/** @param {MouseEvent} event */
async function copy(event) {
  const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
  const code = /** @type {HTMLElement} */ (form.querySelector("[data-part=code]"));
  if (await copyText(code.textContent ?? "")) button.textContent = button.dataset.done ?? "";
  else getSelection()?.selectAllChildren(code); // so that the visitor can copy it
}

/** @type {Record<string, () => void>} */
const actions = {
  undo: () => sketch.undo(),
  clear: () => sketch.clear(),
  use() {
    drawing.value = sketch.export().toDataURL();
    form.submit();
  },
};

/** Changes the language but keeps the visitor's picture and steps, which are in no address. @param {SubmitEvent} event */
async function translate(event) {
  if (!form.elements.namedItem("picture")) return;
  event.preventDefault();
  const languages = /** @type {HTMLFormElement} */ (event.currentTarget);
  await fetch(languages.action, { method: "POST", body: new FormData(languages, event.submitter), redirect: "manual" });
  form.submit();
}

form.addEventListener("input", follow);
form.addEventListener("change", (event) => /** @type {HTMLInputElement} */ (event.target).reportValidity());
document.querySelector('form[action="/language"]')?.addEventListener("submit", (event) => translate(/** @type {SubmitEvent} */ (event)));
form.addEventListener("submit", send);
file.addEventListener("change", () => take(file.files));
document.addEventListener("paste", (event) => take(event.clipboardData?.files));
onDrop(take, undefined, undefined, () => complain(form.dataset.link ?? ""));
for (const name in actions) form.querySelector(`[data-sketch=${name}]`)?.addEventListener("click", actions[name]);
const copier = /** @type {HTMLButtonElement} */ (form.querySelector("[data-copy]"));
// Browsers allow the clipboard only over HTTPS and on this machine.
copier.hidden = !navigator.clipboard;
copier.addEventListener("click", copy);
// Changes made before this script was loaded count too.
const early = [.../** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[data-of], [type=number], select:not(#add)"))].filter(touched);
for (const control of early) {
  // A typed number is newer than the slider that was moved before it.
  if (!early.some(({ id }) => id === control.dataset.of)) control.dispatchEvent(new Event("input", { bubbles: true }));
}
take(file.files);
// The visitor came back from the next page: what was sent there is not sent again.
addEventListener("pageshow", () => { drawing.value = file.value = ""; });
