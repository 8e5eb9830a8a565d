// @ts-check
/** The lists of examples: choosing by mouse, touch and keyboard, and more pictures as one scrolls. Each list is a listbox
 * with one tab stop (https://www.w3.org/WAI/ARIA/apg/patterns/listbox/). */
import { find, parsePage } from "./dom.js";

/** @typedef {import("./teach-workshop.js").Workshop} Workshop */

/** How far from its end, in pixels, a list asks for more. */
const NEAR = 200;

/** What the arrow keys compare: the axis along which one goes, and in which direction. @type {Record<string, [0 | 1, 1 | -1]>} */
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, -1], ArrowDown: [1, 1] };

/** The selected examples, in the order of the page. @param {Workshop} shop */
export function selected(shop) {
  return /** @type {HTMLElement[]} */ ([...shop.root.querySelectorAll(".pictures [aria-selected=true]")]);
}

/** @param {Workshop} shop */
export function clear(shop) {
  for (const tile of selected(shop)) tile.ariaSelected = "false";
  shop.dispatchEvent(new Event("selection"));
}

/** Gives each list one tab stop, also after tiles came and went. @param {Workshop} shop */
function settle(shop) {
  for (const list of shop.root.querySelectorAll(".pictures"))
    if (!list.querySelector("[tabindex='0']")) /** @type {HTMLElement | null} */ (list.firstElementChild)?.setAttribute("tabindex", "0");
}

/** @param {HTMLElement} tile */
function go(tile) {
  for (const other of tile.parentElement?.querySelectorAll("[tabindex='0']") ?? []) /** @type {HTMLElement} */ (other).tabIndex = -1;
  tile.tabIndex = 0;
  tile.focus();
}

/** The nearest tile in the direction of an arrow key. @param {HTMLElement} tile @param {string} key */
function neighbor(tile, key) {
  const [axis, direction] = ARROWS[key];
  const from = middle(tile);
  /** @type {HTMLElement | undefined} */ let best;
  let least = Infinity;
  for (const other of /** @type {HTMLElement[]} */ ([...(tile.parentElement?.children ?? [])])) {
    const to = middle(other);
    const along = (to[axis] - from[axis]) * direction;
    const distance = along + 3 * Math.abs(to[1 - axis] - from[1 - axis]);
    if (along > 1 && distance < least) [best, least] = [other, distance];
  }
  // At the end of a row, to the left and right are the tiles before and after.
  return best ?? (axis ? undefined : direction > 0 ? tile.nextElementSibling : tile.previousElementSibling);
}

/** @param {HTMLElement} tile */
function middle({ offsetLeft, offsetTop, offsetWidth, offsetHeight }) {
  return [offsetLeft + offsetWidth / 2, offsetTop + offsetHeight / 2];
}

/** @param {HTMLElement} one @param {HTMLElement} other @returns {HTMLElement[]} all tiles of a list from one to the other */
function range(one, other) {
  const tiles = /** @type {HTMLElement[]} */ ([...(one.parentElement?.children ?? [])]);
  const [first, last] = [tiles.indexOf(one), tiles.indexOf(other)].sort((a, b) => a - b);
  return first < 0 ? [other] : tiles.slice(first, last + 1);
}

/** Loads the next pictures of a list, whose link is below it. @param {Workshop} shop @param {HTMLElement} column */
async function further(shop, column) {
  const link = /** @type {HTMLAnchorElement | null} */ (column.querySelector(".further a:not([aria-busy=true])"));
  if (!link) return;
  link.ariaBusy = "true";
  const response = await fetch(link.href, { signal: shop.signal }).catch(() => null);
  const next = response?.ok ? parsePage(await response.text()).querySelector(".class") : null;
  if (!next) {
    link.ariaBusy = "false";
    return;
  }
  const list = find(column, ".pictures");
  const known = new Set([...list.children].map(({ id }) => id));
  list.append(...[...next.querySelectorAll(".pictures > li")].filter(({ id }) => !known.has(id)).map((tile) => document.importNode(tile, true)));
  const more = next.querySelector(".further");
  const old = /** @type {HTMLElement} */ (link.parentElement);
  if (more) old.replaceWith(document.importNode(more, true));
  else old.remove();
}

/** @param {Workshop} shop @param {string} address @param {string} name */
function view(shop, address, name) {
  const dialog = /** @type {HTMLDialogElement} */ (find(shop.root, "#view-dialog"));
  const picture = /** @type {HTMLImageElement} */ (find(dialog, ".picture"));
  picture.src = address;
  picture.alt = name;
  find(dialog, "h2").textContent = name;
  dialog.showModal();
}

/** @param {Workshop} shop */
export function start(shop) {
  const { root } = shop;
  /** Where a range begins. @type {HTMLElement | undefined} */ let anchor;

  /** @param {Event} event */
  const tileOf = (event) => /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".pictures > li"));

  /** @param {HTMLElement} tile @param {boolean} extend */
  function choose(tile, extend) {
    const on = tile.ariaSelected !== "true";
    if (extend && anchor) for (const one of range(anchor, tile)) one.ariaSelected = "true";
    else tile.ariaSelected = String(on);
    if (!extend) anchor = tile;
    shop.dispatchEvent(new Event("selection"));
  }

  /** @param {HTMLElement} tile */
  const enlarge = (tile) => view(shop, `${shop.api}/examples/${tile.dataset.id}/picture`, /** @type {HTMLImageElement} */ (find(tile, "img")).alt);

  root.addEventListener("click", (event) => {
    const tile = tileOf(event);
    if (!tile) return;
    go(tile);
    choose(tile, event.shiftKey);
  });
  root.addEventListener("dblclick", (event) => {
    const tile = tileOf(event);
    if (tile) enlarge(tile);
  });
  root.addEventListener("keydown", (event) => {
    const tile = tileOf(event);
    if (!tile || event.altKey) return;
    const list = /** @type {HTMLElement} */ (tile.parentElement);
    if (event.key in ARROWS || event.key === "Home" || event.key === "End") {
      const to = event.key === "Home" ? list.firstElementChild : event.key === "End" ? list.lastElementChild : neighbor(tile, event.key);
      if (to) go(/** @type {HTMLElement} */ (to));
      if (to && event.shiftKey) {
        if (anchor?.parentElement !== list) anchor = tile;
        choose(/** @type {HTMLElement} */ (to), true);
      }
    } else if (event.key === " ") choose(tile, false);
    else if (event.key === "Enter") enlarge(tile);
    else if ((event.ctrlKey || event.metaKey) && event.code === "KeyA") {
      for (const one of list.children) one.ariaSelected = "true";
      shop.dispatchEvent(new Event("selection"));
    } else return;
    event.preventDefault();
  });
  shop.on("view", (link, event) => {
    event.preventDefault();
    const { href } = /** @type {HTMLAnchorElement} */ (link);
    view(shop, href, /** @type {HTMLImageElement} */ (find(link, "img")).alt);
  });
  root.addEventListener("click", (event) => {
    const link = /** @type {HTMLElement} */ (event.target).closest(".further a");
    if (!link) return;
    event.preventDefault();
    further(shop, /** @type {HTMLElement} */ (link.closest(".class")));
  });
  root.addEventListener("scroll", ({ target }) => {
    const list = /** @type {HTMLElement} */ (target);
    if (!list.matches(".pictures")) return;
    const left = Math.max(list.scrollHeight - list.scrollTop - list.clientHeight, list.scrollWidth - list.scrollLeft - list.clientWidth);
    if (left < NEAR) further(shop, /** @type {HTMLElement} */ (list.closest(".class")));
  }, { capture: true, passive: true });
  for (const event of ["change", "renew"]) shop.addEventListener(event, () => settle(shop));
  settle(shop);
}
