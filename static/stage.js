// @ts-check
/** Photo, Draw and Camera: the links switch between them without loading a page, and the address says which one is open. */
import { find } from "./dom.js";

/** The scripts of the canvas and the camera are loaded with their first use, so that a first visit transfers less.
 * @type {Promise<typeof import("./camera.js")> | undefined} */
let camera;
/** The contents whose canvas is ready, or soon will be. @type {WeakSet<HTMLElement>} */
const drawable = new WeakSet();
/** When a content is replaced. @type {WeakMap<HTMLElement, AbortSignal>} */
const ends = new WeakMap();

/** @param {HTMLElement} root @param {AbortSignal} signal */
export function start(root, signal) {
  find(root, ".ways").addEventListener("click", (event) => {
    const link = /** @type {HTMLElement} */ (event.target).closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    turn(root, String(link.dataset.way));
  });
  ends.set(root, signal);
  signal.addEventListener("abort", () => watch(root, false));
  watch(root, !find(root, "#camera").hidden);
  if (!find(root, "#draw").hidden) draw(root);
}

/** Opens one of the ways. @param {HTMLElement} root @param {string} way */
export function turn(root, way) {
  for (const stage of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".stage"))) stage.hidden = stage.dataset.way !== way;
  for (const link of root.querySelectorAll(".ways a")) link.toggleAttribute("aria-current", false);
  find(root, `.ways [data-way=${way}]`).ariaCurrent = "true";
  remember("way", way === "photo" ? "" : way);
  watch(root, way === "camera");
  if (way === "draw") draw(root);
}

/** Puts a choice into the page's address, so that a reload, a bookmark or a link keeps it. @param {string} name @param {string} value */
export function remember(name, value) {
  const query = new URLSearchParams(location.search);
  if (value) query.set(name, value);
  else query.delete(name);
  history.replaceState(history.state, "", query.size ? `?${query}` : location.pathname);
}

/** Keeps the chosen model in the address, and chooses it in the other ways too if they offer it.
 * @param {HTMLElement} root @param {HTMLSelectElement} select */
export function chooseModel(root, select) {
  remember("model", select.value);
  for (const other of /** @type {NodeListOf<HTMLSelectElement>} */ (root.querySelectorAll(".answered select"))) {
    if (other === select) continue;
    other.value = select.value;
    if (other.selectedIndex < 0) other.selectedIndex = 0;
    find(/** @type {HTMLElement} */ (other.closest(".stage")), ".answered").hidden = !other.value;
  }
}

/** Makes the canvas ready. @param {HTMLElement} root */
async function draw(root) {
  if (drawable.has(root)) return;
  drawable.add(root);
  (await import("./drawing.js")).start(root, /** @type {AbortSignal} */ (ends.get(root)));
}

/** Starts or stops the camera. @param {HTMLElement} root @param {boolean} on */
async function watch(root, on) {
  if (on) camera ??= import("./camera.js");
  const script = await camera;
  if (on) script?.open(find(root, "#camera"));
  else script?.close();
}
