// @ts-check
/** Copies a result's address, and prints its page. */

const address = /** @type {HTMLInputElement} */ (document.querySelector("#address"));
const [copier, printer] = ["copy", "print"].map((name) => /** @type {HTMLElement} */ (document.querySelector(`[data-action=${name}]`)));

async function copy() {
  // Browsers give the clipboard to pages behind https and on this machine only.
  const copied = await navigator.clipboard?.writeText(address.value).then(() => true, () => false);
  if (!copied) address.select();
  /** @type {HTMLElement} */ (document.querySelector("#shared")).textContent = (copied ? copier.dataset.done : copier.dataset.failed) ?? "";
}

// Behind a proxy the server may not know its own address.
address.value = location.origin + location.pathname;
address.addEventListener("focus", () => address.select());
copier.addEventListener("click", copy);
printer.addEventListener("click", () => print());
for (const button of [copier, printer]) button.hidden = false;
