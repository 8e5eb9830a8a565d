// @ts-check
/** Starts the scripts of a page, and puts another page's content in place without loading a new document.
 * `data-scripts` of <main> names the modules. Each exports `start(root, signal)`, which is called with each new <main>;
 * the signal aborts when another takes its place, so listeners of the document and the window end with it. */
import { find, parsePage } from "./dom.js";

let content = new AbortController();

/** Names the content that is shown. The query of the first page only says which of its parts is open. */
const name = () => location.pathname + (location.pathname === "/" ? "" : location.search);
let shown = name();

/** Loads the scripts of a <main>. @param {HTMLElement} main */
function load(main) {
  return Promise.allSettled((main.dataset.scripts?.split(" ") ?? []).map((script) => import(`./${script}.js`)));
}

/** Starts scripts that were loaded, and reports those that could not be. The <main> is busy meanwhile.
 * @param {HTMLElement} main @param {Awaited<ReturnType<typeof load>>} scripts */
async function start(main, scripts) {
  main.ariaBusy = "true";
  try {
    await Promise.all(scripts.map((script) => script.status === "fulfilled" ? script.value.start(main, content.signal) : reportError(script.reason)));
  } finally {
    main.ariaBusy = null;
  }
}

/** Shows the content of a page that was fetched, once its scripts are loaded: before, it would be seen as it is without
 * scripts, and move when they start. @param {Document} page
 * @param {string} [address] what the address bar shows from now on; without it, the address stays */
export async function show(page, address) {
  const main = document.importNode(find(page.documentElement, "main"), true);
  for (const words of main.querySelectorAll("noscript")) words.remove(); // to the parser, there are no scripts
  const scripts = await load(main);
  content.abort();
  content = new AbortController();
  find(document.body, "main").replaceWith(main);
  document.title = page.title;
  if (address) history.pushState(null, "", address);
  shown = name();
  scrollTo(0, 0);
  main.focus({ preventScroll: true }); // a screen reader goes on from here
  return start(main, scripts);
}

/** Shows the page that the visitor went back or forward to. A change of the fragment alone is left to the browser. */
async function travel() {
  if (name() === shown) return;
  const response = await fetch(location.href).catch(() => null);
  if (response?.ok) await show(parsePage(await response.text()));
  else location.reload();
}

addEventListener("popstate", travel);
const main = find(document.body, "main");
main.ariaBusy = "true";
load(main).then((scripts) => start(main, scripts)); // not `await`: some of them import this module
