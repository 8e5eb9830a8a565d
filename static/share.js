// @ts-check
/** Copies a result's address, and prints its page. */
import { copyText, find } from "./dom.js";

/** @param {HTMLElement} root */
export function start(root) {
  const address = /** @type {HTMLInputElement} */ (find(root, "#address"));
  const [copyButton, printButton] = ["copy", "print"].map((name) => find(root, `[data-action=${name}]`));

  async function copy() {
    const copied = await copyText(address.value);
    if (!copied) address.select();
    find(root, "#shared").textContent = (copied ? copyButton.dataset.done : copyButton.dataset.failed) ?? "";
  }

  // Behind a proxy the server may not know its own address.
  address.value = location.origin + location.pathname;
  address.addEventListener("focus", () => address.select());
  copyButton.addEventListener("click", copy);
  printButton.addEventListener("click", () => print());
  for (const button of [copyButton, printButton]) button.hidden = false;
}
