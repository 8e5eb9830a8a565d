// @ts-check
/** Changes of examples and labels: move, delete, rename, drag, and undo for a day. */
import { find } from "./dom.js";
import { clear, selected } from "./teach-examples.js";

/** @typedef {import("./teach-workshop.js").Workshop} Workshop */
/** @typedef {import("./teach-workshop.js").Change} Change */

/** For how long the server can undo a change. */
const DAY_MS = 86400_000;
/** What is dragged from one list to another, so that other things that are dropped mean nothing. */
const DRAGGED = "application/x-inkling-examples";

/** Moves examples to a label, or with null to none. @param {Workshop} shop @param {string[]} ids @param {number | null} label */
export async function move(shop, ids, label) {
  const change = /** @type {Change} */ (await shop.ask("POST", "/examples/move", { examples: ids, label }));
  const column = shop.column(label);
  const tiles = leave(shop, ids);
  if (column && tiles.length === ids.length) {
    find(column, ".pictures").prepend(...tiles);
    shop.count(column, tiles.length);
  } else await shop.refresh(["columns"]);
  done(shop, change, label === null ? "sayUnlabeled" : "sayMoved", { name: column?.dataset.name ?? "" });
}

/** @param {Workshop} shop @param {string[]} ids */
export async function remove(shop, ids) {
  const change = /** @type {Change} */ (await shop.ask("POST", "/examples/delete", { examples: ids }));
  if (leave(shop, ids).length < ids.length) await shop.refresh(["columns"]);
  done(shop, change, "sayDeleted", {});
}

/** Takes examples out of their lists, and returns those that were on the page. @param {Workshop} shop @param {string[]} ids */
function leave(shop, ids) {
  const tiles = ids.flatMap((id) => /** @type {HTMLElement | null} */ (shop.root.querySelector(`#x-${CSS.escape(id)}`)) ?? []);
  for (const tile of tiles) {
    const column = /** @type {HTMLElement} */ (tile.closest(".class"));
    if (tile.contains(document.activeElement)) /** @type {HTMLElement | null} */ (tile.nextElementSibling ?? tile.previousElementSibling)?.focus();
    tile.remove();
    tile.ariaSelected = "false";
    tile.tabIndex = -1;
    shop.count(column, -1);
  }
  return tiles;
}

/** @param {Workshop} shop @param {Change} change @param {string} sentence @param {Record<string, string>} names */
function done(shop, { change, count }, sentence, names) {
  remember(shop, [...recall(shop), { change, at: Date.now() }]);
  clear(shop);
  shop.changed();
  shop.say(shop.phrase(sentence, { ...names, n: count }), true);
}

/** @typedef {{ change: string, at: number }} Step */

/** The changes of this browser that can still be undone, oldest first. @param {Workshop} shop @returns {Step[]} */
function recall(shop) {
  try {
    const steps = /** @type {Step[]} */ (JSON.parse(localStorage.getItem(`inkling-undo-${shop.id}`) ?? "[]"));
    return steps.filter(({ at }) => Date.now() - at < DAY_MS);
  } catch {
    return []; // the browser blocks storage
  }
}

/** @param {Workshop} shop @param {Step[]} steps */
function remember(shop, steps) {
  try {
    localStorage.setItem(`inkling-undo-${shop.id}`, JSON.stringify(steps));
  } catch {} // the browser blocks storage: nothing can be undone
}

/** Takes the last change back. @param {Workshop} shop */
async function undo(shop) {
  const steps = recall(shop);
  const last = steps.pop();
  if (!last) return shop.say(String(shop.words.sayNothing));
  remember(shop, steps);
  await shop.ask("POST", "/undo", { change: last.change });
  await shop.refresh(["columns"]);
  clear(shop);
  shop.changed();
  shop.say(String(shop.words.sayUndone), steps.length > 0);
}

/** Shows what can be done with the selected examples. @param {Workshop} shop */
function offer(shop) {
  const count = selected(shop).length;
  const bar = find(shop.dock, ".chosen");
  bar.hidden = count === 0;
  if (!count) return;
  shop.dock.hidden = false;
  find(bar, "b").textContent = shop.phrase("saySelected", { n: count });
  const select = /** @type {HTMLSelectElement} */ (find(bar, "select"));
  const chosen = select.value;
  const labels = /** @type {HTMLElement[]} */ ([...shop.root.querySelectorAll(".class[data-name]:not(.loose)")]);
  select.replaceChildren(...labels.map(({ dataset }) => new Option(dataset.name, dataset.label)), new Option(shop.words.sayUnsorted, ""));
  const from = /** @type {HTMLElement} */ (selected(shop)[0].closest(".class"));
  const other = labels.find((column) => column !== from);
  select.value = chosen || other?.dataset.label || "";
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}

/** @param {Workshop} shop */
function drag(shop) {
  const { root } = shop;
  /** @param {Event} event */
  const columnOf = (event) => /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".class[data-label]"));
  root.addEventListener("dragstart", (event) => {
    const tile = /** @type {HTMLElement} */ (event.target).closest?.(".pictures > li");
    if (!tile) return;
    if (tile.ariaSelected !== "true") clear(shop);
    tile.ariaSelected = "true";
    shop.dispatchEvent(new Event("selection"));
    event.dataTransfer?.setData(DRAGGED, "");
  });
  for (const type of ["dragover", "dragleave", "drop"]) root.addEventListener(type, (event) => {
    const column = columnOf(event);
    if (!column || !(/** @type {DragEvent} */ (event).dataTransfer?.types.includes(DRAGGED))) return;
    event.preventDefault();
    column.classList.toggle("over", type === "dragover");
    if (type !== "drop") return;
    const ids = selected(shop).filter((tile) => !column.contains(tile)).map(({ dataset }) => String(dataset.id));
    if (ids.length) shop.attempt(() => move(shop, ids, Number(column.dataset.label) || null));
  });
}

/** @param {Workshop} shop */
export function start(shop) {
  const { root, dock } = shop;
  const ids = () => selected(shop).map(({ dataset }) => String(dataset.id));
  const select = /** @type {HTMLSelectElement} */ (find(dock, "select"));

  shop.on("move", () => { if (ids().length) shop.attempt(() => move(shop, ids(), Number(select.value) || null)); });
  shop.on("delete", () => { if (ids().length) shop.attempt(() => remove(shop, ids())); });
  shop.on("clear-selection", () => clear(shop));
  shop.on("undo", (button) => { if (!button.closest(".strip")) shop.attempt(() => undo(shop)); });
  shop.on("drop-class", (button) => shop.attempt(async () => {
    const column = /** @type {HTMLElement} */ (button.closest(".class"));
    const change = /** @type {Change} */ (await shop.ask("DELETE", `/labels/${column.dataset.label}`));
    column.remove();
    done(shop, change, "sayClassDeleted", { name: column.dataset.name ?? "" });
  }));
  root.addEventListener("change", (event) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    if (!field.matches(".rename")) return;
    const column = /** @type {HTMLElement} */ (field.closest(".class"));
    shop.attempt(async () => {
      const before = String(column.dataset.name);
      const { change, count, name } = await shop.ask("PATCH", `/labels/${column.dataset.label}`, { name: field.value }).catch((error) => {
        field.value = before;
        throw error;
      });
      await shop.refresh(["columns"]);
      done(shop, { change, count }, "sayRenamed", { before, name });
    });
  });
  root.addEventListener("keydown", (event) => {
    const field = /** @type {HTMLElement} */ (event.target);
    if (field.matches(".rename") && event.key === "Enter") field.blur();
    const tile = field.closest(".pictures > li");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const within = () => {
      if (!selected(shop).length) tile.ariaSelected = "true";
      shop.dispatchEvent(new Event("selection"));
    };
    if (event.key === "Delete" || event.key === "Backspace") {
      within();
      shop.attempt(() => remove(shop, ids()));
    } else if (event.code === "KeyM") {
      within();
      select.focus();
    } else if (event.key === "Escape") clear(shop);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /** @type {HTMLElement} */ (event.target).matches("input, select, textarea, canvas");
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.code !== "KeyZ" || typing) return;
    event.preventDefault();
    shop.attempt(() => undo(shop));
  }, { signal: shop.signal });
  shop.addEventListener("selection", () => offer(shop));
  shop.addEventListener("renew", () => offer(shop));
  drag(shop);
}
