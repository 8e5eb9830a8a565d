// @ts-check
/** Hands a page's address to an app where the browser can do that, or else copies it; and prints the page. */
import { copyText, find } from "./dom.js";

/** @param {HTMLElement} root */
export function start(root) {
  const address = /** @type {HTMLInputElement} */ (find(root, "#address"));
  const [copy, send, print] = ["copy", "send", "print"].map((name) => find(root, `[data-action=${name}]`));

  // Behind a proxy the server may not know its own address.
  address.value = location.origin + location.pathname;
  address.addEventListener("focus", () => address.select());
  copy.addEventListener("click", async () => {
    const copied = await copyText(address.value);
    if (!copied) address.select();
    find(root, "#shared").textContent = (copied ? copy.dataset.done : copy.dataset.failed) ?? "";
  });
  // A visitor who closes the list of apps has changed their mind.
  send.addEventListener("click", () => navigator.share({ title: document.title, url: address.value }).catch(() => {}));
  print.addEventListener("click", () => window.print());
  send.hidden = !("share" in navigator);
  copy.hidden = !send.hidden;
  print.hidden = false;
}
