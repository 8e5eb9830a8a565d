// @ts-check
/** Starts the scripts of a page, and puts another page's content in place without loading a new document.
 * `data-scripts` of <main> names the modules. Each exports `start(root, signal)`, which is called with each new <main>;
 * the signal aborts when another takes its place, so listeners of the document and the window end with it. */
import { find, parsePage } from "./dom.js";

let content = new AbortController();

/** The address of the content that is shown, without its query. */
let shown = location.pathname;

/** @param {HTMLElement} main */
function start(main) {
  const names = main.dataset.scripts?.split(" ") ?? [];
  return Promise.all(names.map(async (name) => (await import(`./${name}.js`)).start(main, content.signal)));
}

/** Shows the content of a page that was fetched. @param {Document} page
 * @param {string} [address] what the address bar shows from now on; without it, the address stays */
export function show(page, address) {
  const main = document.importNode(find(page.documentElement, "main"), true);
  content.abort();
  content = new AbortController();
  find(document.body, "main").replaceWith(main);
  document.title = page.title;
  if (address) history.pushState(null, "", address);
  shown = location.pathname;
  scrollTo(0, 0);
  main.focus({ preventScroll: true }); // a screen reader goes on from here
  return start(main);
}

/** Shows the page that the visitor went back or forward to. A change of the fragment alone is left to the browser. */
async function travel() {
  if (location.pathname === shown) return;
  const response = await fetch(location.href).catch(() => null);
  if (response?.ok) await show(parsePage(await response.text()));
  else location.reload();
}

addEventListener("popstate", travel);
start(find(document.body, "main"));
