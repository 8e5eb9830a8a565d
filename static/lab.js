// @ts-check
/** The lab: the result follows every change. The server makes the same page anew; what differs is put into this one. */
import { Sketch } from "./canvas.js";

/** How long a slider may move on before the result is asked for. */
const PAUSE_MS = 60;

/** Where a button moves its step to. @type {Record<string, number>} */
const MOVES = { up: -1, down: 1, remove: 0 };

const PEN = { width: 16, colour: "#000000", paper: "#ffffff" };

const form = /** @type {HTMLFormElement} */ (document.querySelector("form.lab"));
const file = /** @type {HTMLInputElement} */ (form.elements.namedItem("image"));
const drawing = /** @type {HTMLInputElement} */ (form.elements.namedItem("drawing"));
const sketch = new Sketch(/** @type {HTMLCanvasElement} */ (form.querySelector("canvas")), () => PEN);

let newest = 0, timer = 0, request = new AbortController();

/** The page lacks what a model says of the original until an answer with both has come. */
let lacking = false;

/** Not answered yet: what a slider asks for meanwhile asks for it too, and other buttons do nothing. @type {HTMLButtonElement | null} */
let pressed = null;

/** Asks for the page as it is with the form's values; only the newest answer is shown. @param {HTMLButtonElement} [button] pressed for it */
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
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== newest) return;
    // Another page than ours says why: too many visitors at once, for one, or a result that is gone.
    if (page.querySelector("form.lab")) show(page, pressed);
    else complain(page.querySelector(".problem p, h1 + p")?.textContent ?? form.dataset.lost ?? "");
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
    // The steps are left alone while one of their values is being changed.
    if (!old || (name === "steps" && !button?.value)) continue;
    if (name === "code" && old.textContent !== fresh.textContent) copier.textContent = copier.dataset.copy ?? "";
    if (fresh instanceof HTMLImageElement) picture(/** @type {HTMLImageElement} */ (old), fresh);
    else if (old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
  }
  const address = /** @type {HTMLElement} */ (page.querySelector(".bench")).dataset.address;
  if (address) history.replaceState(history.state, "", address);
  if (button?.value) place(button.value);
}

/** The picture stays in sight until the next one is there. The original does not come again. @param {HTMLImageElement} old @param {HTMLImageElement} fresh */
function picture(old, fresh) {
  const source = fresh.getAttribute("src");
  if (source && source !== old.getAttribute("src")) old.src = source;
}

/** The focus stays with the step that was moved, or goes to what takes its place. @param {string} done such as "up 2" */
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

/** Whether a control says something else than the page came with. @param {HTMLInputElement | HTMLSelectElement} control */
function touched(control) {
  if (control instanceof HTMLInputElement) return control.value !== control.defaultValue;
  return !control.selectedOptions[0]?.defaultSelected;
}

/** A slider and the field beside it say the same. @param {Event} event */
function follow(event) {
  const changed = /** @type {HTMLInputElement} */ (event.target);
  const field = /** @type {HTMLInputElement | null} */ (document.getElementById(changed.dataset.of ?? changed.id));
  if (!field?.name || ["image", "add"].includes(field.name)) return;
  if (changed !== field) field.value = changed.value;
  const slider = /** @type {HTMLInputElement | null} */ (form.querySelector(`[data-of="${field.id}"]`));
  if (field.name === "model") lacking = true;
  if (slider && slider !== changed) slider.value = field.value;
  clearTimeout(timer);
  // Half a number is not complained about while it is being typed.
  if (field.validity.valid) timer = setTimeout(() => refresh(), PAUSE_MS);
}

/** @param {SubmitEvent} event */
function send(event) {
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  clearTimeout(timer);
  if (!button?.hasAttribute("data-live")) return;
  event.preventDefault();
  // What a second one is for depends on what the first has done.
  if (!pressed) refresh(button);
}

/** Takes a file, chosen, dropped or pasted. @param {FileList | null | undefined} files */
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

/** A drop anywhere counts: one that misses the field would otherwise replace the page. @param {DragEvent} event */
function drop(event) {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  if (event.type === "drop") take(event.dataTransfer.files);
}

/** @param {MouseEvent} event */
async function copy(event) {
  const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
  const code = /** @type {HTMLElement} */ (form.querySelector("[data-part=code]"));
  const copied = await navigator.clipboard.writeText(code.textContent ?? "").then(() => true, () => false);
  if (copied) button.textContent = button.dataset.done ?? "";
  else getSelection()?.selectAllChildren(code); // to be copied by hand
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

/** Another language, with the picture that was sent and its steps: they are in no address. @param {SubmitEvent} event */
async function translate(event) {
  if (!form.elements.namedItem("picture")) return;
  event.preventDefault();
  const languages = /** @type {HTMLFormElement} */ (event.currentTarget);
  await fetch(languages.action, { method: "POST", body: new FormData(languages, event.submitter), redirect: "manual" });
  form.submit();
}

form.addEventListener("input", follow);
form.addEventListener("change", (event) => /** @type {HTMLInputElement} */ (event.target).reportValidity());
document.querySelector("footer form")?.addEventListener("submit", (event) => translate(/** @type {SubmitEvent} */ (event)));
form.addEventListener("submit", send);
file.addEventListener("change", () => take(file.files));
document.addEventListener("paste", (event) => take(event.clipboardData?.files));
for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => drop(/** @type {DragEvent} */ (event)));
for (const name in actions) form.querySelector(`[data-sketch=${name}]`)?.addEventListener("click", actions[name]);
const copier = /** @type {HTMLButtonElement} */ (form.querySelector("[data-copy]"));
// Browsers give the clipboard to safe pages only.
copier.hidden = !navigator.clipboard;
copier.addEventListener("click", copy);
// What was changed before this script had come counts too.
const early = [.../** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[data-of], [type=number], select:not(#add)"))].filter(touched);
for (const control of early) {
  // A slider that was moved before its number was typed says what is no longer wanted.
  if (!early.some(({ id }) => id === control.dataset.of)) control.dispatchEvent(new Event("input", { bubbles: true }));
}
take(file.files);
// Back from the next page: what was sent there is not sent again.
addEventListener("pageshow", () => { drawing.value = file.value = ""; });
