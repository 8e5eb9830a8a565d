// @ts-check
/** The page of the API: copies examples, and sends a picture to show the answer. */
import { copyText, find, release, submitButton } from "./dom.js";

/** @param {HTMLButtonElement} button */
async function copy(button) {
  const code = /** @type {HTMLElement} */ (button.previousElementSibling);
  if (await copyText(code.textContent ?? "")) button.textContent = button.dataset.copied ?? "";
  else getSelection()?.selectAllChildren(code); // so that the visitor can copy it
}

const form = /** @type {HTMLFormElement} */ (document.querySelector(".try"));
const picture = /** @type {HTMLInputElement} */ (form.elements.namedItem("image"));
const model = /** @type {HTMLSelectElement} */ (form.querySelector("select"));
const shown = find(form, "[data-part=answer]");

/** Sends the form and shows the response as it came. @param {SubmitEvent} event */
async function send(event) {
  event.preventDefault();
  if (submitButton(form).ariaBusy === "true") return;
  submitButton(form).ariaBusy = "true";
  const query = model.value && `?${new URLSearchParams({ model: model.value })}`;
  const [status, body] = await fetch(`/api/predict${query}`, { method: "POST", body: new FormData(form) }).then(
    async (response) => [`${response.status} ${response.statusText}`, JSON.stringify(await response.json(), null, 2)],
    () => [form.dataset.sayFailed, ""],
  );
  find(shown, "p").textContent = status ?? "";
  find(shown, "code").textContent = body;
  find(shown, "pre").hidden = !body;
  shown.hidden = false;
  release(form);
}

/** Says which picture is chosen. */
function choose() {
  find(form, "[data-part=chosen]").textContent = picture.files?.[0]?.name ?? "";
}

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-copied]"))) {
  // Browsers allow the clipboard only over HTTPS and on this machine.
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", () => copy(button));
}
picture.addEventListener("change", choose);
form.addEventListener("submit", send);
choose();
