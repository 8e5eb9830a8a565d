// @ts-check
/** Replaces a link to a part that the server computes on request by that part, when the visitor follows the link. */
import { find, parsePage } from "./dom.js";

/** @param {HTMLElement} root */
export function start(root) {
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (root.querySelectorAll("a[data-part]"))) link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(root, link);
  });
}

/** Shows the part in the link's place; brings the link back where that fails.
 * @param {HTMLElement} root @param {HTMLAnchorElement} link data-part selects the part of its page, data-wait is shown meanwhile */
async function show(root, link) {
  const place = document.createElement("div");
  place.setAttribute("aria-live", "polite");
  place.tabIndex = -1;
  const paragraph = /** @type {HTMLElement} */ (link.parentElement);
  paragraph.replaceWith(place);
  place.focus();
  place.textContent = link.dataset.wait ?? "";
  try {
    const response = await fetch(link.href);
    const part = parsePage(await response.text()).querySelector(String(link.dataset.part));
    if (!response.ok || !part) throw new Error(`${response.status}`);
    place.replaceChildren(document.importNode(part, true));
    cover(find(root, ".stage-picture .shown"), place);
  } catch {
    place.replaceWith(paragraph);
    link.focus();
  }
}

/** Moves the overlays of an explanation from its own picture to the large one. @param {HTMLElement} shown @param {HTMLElement} place */
function cover(shown, place) {
  const own = place.querySelector(".shown");
  shown.append(...place.querySelectorAll(".over"));
  own?.remove();
}
