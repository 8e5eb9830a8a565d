// @ts-check
/** Replaces each link to a part that the server computes on request by a fold, which fetches it when first opened. */
import { parsePage } from "./dom.js";

/** @param {HTMLElement} root */
export function start(root) {
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (root.querySelectorAll("a[data-fold]"))) link.replaceWith(fold(link));
}

/** @param {HTMLAnchorElement} link data-fold selects the part of its page to show, data-wait is shown meanwhile */
function fold(link) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  const body = document.createElement("div");
  summary.textContent = link.textContent;
  body.setAttribute("aria-live", "polite");
  details.append(summary, body);
  details.addEventListener("toggle", () => {
    if (details.open && !body.hasChildNodes()) show(body, link);
  });
  return details;
}

/** Fetches the page behind the link and shows the selected part; shows the link itself where that fails.
 * @param {HTMLElement} body @param {HTMLAnchorElement} link */
async function show(body, link) {
  body.textContent = link.dataset.wait ?? "";
  try {
    const response = await fetch(link.href);
    const part = parsePage(await response.text()).querySelector(String(link.dataset.fold));
    if (!response.ok || !part) throw new Error(`${response.status}`);
    body.replaceChildren(document.importNode(part, true));
  } catch {
    body.replaceChildren(link);
  }
}
