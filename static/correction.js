// @ts-check
/** Searches the labels of a correction as the visitor types: an editable combobox with a list, as WAI-ARIA describes it
 * (https://www.w3.org/WAI/ARIA/apg/patterns/combobox/). Without this script the field takes a label's whole name. */
import { find } from "./dom.js";

/** Labels shown at once. */
const SHOWN = 50;

/** A label's name, and other words to find it by. @typedef {[string, string]} Label */

/** @type {HTMLFormElement} */ let form;
/** @type {HTMLInputElement} */ let field;
/** @type {HTMLElement} */ let list;
/** @type {HTMLElement} */ let status;

/** @type {Promise<Label[]> | undefined} */
let loading;
/** The labels, once they are loaded. @type {Label[]} */
let labels = [];
/** The labels in the list. @type {string[]} */
let found = [];
/** The position of the marked one, or -1. */
let marked = -1;

/** A text as it is compared. @param {string} text */
function key(text) {
  return text.trim().toLocaleLowerCase().replaceAll("ё", "е");
}

/** How well a label fits, from 0 for best to 4; undefined if it does not. @param {Label} label @param {string} wanted */
function rank([name, words], wanted) {
  const [own, others] = [key(name), key(words)];
  if (own === wanted) return 0;
  if (own.startsWith(wanted)) return 1;
  if (` ${own}`.includes(` ${wanted}`)) return 2;
  if (` ${others}`.includes(` ${wanted}`)) return 3;
  return own.includes(wanted) ? 4 : undefined;
}

/** The names of the labels that fit, best first, then in the order they came. @param {string} wanted */
function fitting(wanted) {
  const ranked = labels.map((label) => ({ name: label[0], rank: rank(label, wanted) ?? -1 }));
  return ranked.filter((one) => one.rank >= 0).sort((a, b) => a.rank - b.rank).map((one) => one.name);
}

/** Loads the labels once. If that fails, the field still takes a whole name. */
async function load() {
  loading ??= fetch(String(form.dataset.labels)).then((answer) => (answer.ok ? answer.json() : []), () => []);
  labels = await loading;
}

/** Shows what fits the text; with nothing typed, the list is closed. */
async function search() {
  await load();
  const wanted = key(field.value);
  if (wanted) open(fitting(wanted));
  else close();
}

/** @param {string[]} names */
function open(names) {
  found = names.slice(0, SHOWN);
  list.replaceChildren(...found.map(option));
  list.hidden = !found.length;
  field.ariaExpanded = String(!list.hidden);
  status.textContent = (!labels.length || names.length === found.length ? "" : status.dataset.more) || "";
  if (labels.length && !names.length) status.textContent = String(status.dataset.none);
  mark(-1);
}

function close() {
  found = [];
  list.hidden = true;
  list.replaceChildren();
  field.ariaExpanded = "false";
  status.textContent = "";
  mark(-1);
}

/** @param {string} name @param {number} place */
function option(name, place) {
  const item = document.createElement("li");
  item.id = `right-found-${place}`;
  item.role = "option";
  item.textContent = name;
  item.addEventListener("click", () => choose(name));
  return item;
}

/** Marks one label of the list, without moving the focus. @param {number} place */
function mark(place) {
  marked = place;
  for (const [i, item] of [...list.children].entries()) item.ariaSelected = String(i === place);
  if (place < 0) return field.removeAttribute("aria-activedescendant");
  const item = list.children[place];
  field.setAttribute("aria-activedescendant", item.id);
  item.scrollIntoView({ block: "nearest" });
}

/** @param {string} name */
function choose(name) {
  field.value = name;
  close();
  form.submit();
}

/** @param {KeyboardEvent} event */
async function press(event) {
  if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    close();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    if (list.hidden) {
      await load();
      open(fitting(key(field.value)));
    }
    // One place more than there are labels: -1 is the field itself.
    if (found.length) mark(((marked + 1 + step + found.length + 1) % (found.length + 1)) - 1);
  }
}

/** Sends the marked label, or the only one that fits, or the one whose whole name was typed. @param {SubmitEvent} event */
async function send(event) {
  event.preventDefault();
  await load();
  if (!labels.length) return form.submit(); // they could not be loaded: the server decides
  const names = fitting(key(field.value));
  const whole = names.length === 1 || rank([names[0] ?? "", ""], key(field.value)) === 0 ? names[0] : undefined;
  const name = found[marked] ?? whole;
  if (name) choose(name);
  else open(names);
}

/** @param {HTMLElement} root */
export function start(root) {
  form = /** @type {HTMLFormElement} */ (find(root, ".correction .search"));
  field = /** @type {HTMLInputElement} */ (find(form, "input"));
  list = find(form, "ul");
  status = find(form, "[role=status]");
  loading = undefined;
  field.role = "combobox";
  field.setAttribute("aria-controls", list.id);
  field.ariaAutoComplete = "list";
  field.ariaExpanded = "false";
  field.addEventListener("focus", () => load());
  field.addEventListener("input", () => search());
  field.addEventListener("keydown", press);
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
  form.addEventListener("submit", send);
  form.addEventListener("focusout", (event) => {
    if (!form.contains(/** @type {Node | null} */ (event.relatedTarget))) close();
  });
  if (field.value) search(); // typed before this script was there
}
