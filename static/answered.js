// @ts-check
/** The choice of another model on a result's page: its answer replaces the first one in place. */
import { find, parsePage } from "./dom.js";
import { show } from "./page.js";

/** @param {HTMLElement} root */
export function start(root) {
  const form = /** @type {HTMLFormElement} */ (find(root, ".ask"));
  const select = /** @type {HTMLSelectElement} */ (find(form, "select"));
  select.addEventListener("change", async () => {
    const address = select.value ? `${form.action}?model=${encodeURIComponent(select.value)}` : form.action;
    const response = await fetch(address).catch(() => null);
    const page = parsePage(await response?.text() ?? "");
    const picture = /** @type {HTMLImageElement | null} */ (page.querySelector(".picture"));
    // The server says why there is no answer on a page of its own.
    if (!response?.ok || !picture) return form.submit();
    picture.src = /** @type {HTMLImageElement} */ (find(root, ".picture")).src; // it is here already
    await show(page, address);
    find(document.body, ".ask select").focus();
  });
}
