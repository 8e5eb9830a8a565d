// @ts-check
/** Starts the scripts of a page, and puts another page's content in place without loading a new document.
 * `data-scripts` of <main> names the modules. Each exports `start(root, signal)`, which is called with each new <main>;
 * the signal aborts when another takes its place, so listeners of the document and the window end with it. */
import { find, parsePage } from "./dom.js";

let content = new AbortController();

/** Names the content that is shown. The query of the first page only says which of its parts is open. */
const name = () => location.pathname + (location.pathname === "/" ? "" : location.search);
let shown = name();

/** Starts the scripts of a <main>, which is busy meanwhile. @param {HTMLElement} main */
async function start(main) {
  const scripts = main.dataset.scripts?.split(" ") ?? [];
  main.ariaBusy = "true";
  try {
    await Promise.all(scripts.map(async (script) => (await import(`./${script}.js`)).start(main, content.signal)));
  } finally {
    main.ariaBusy = null;
  }
}

/** Shows the content of a page that was fetched. @param {Document} page
 * @param {string} [address] what the address bar shows from now on; without it, the address stays */
export function show(page, address) {
  const main = document.importNode(find(page.documentElement, "main"), true);
  for (const words of main.querySelectorAll("noscript")) words.remove(); // to the parser, there are no scripts
  content.abort();
  content = new AbortController();
  find(document.body, "main").replaceWith(main);
  document.title = page.title;
  if (address) history.pushState(null, "", address);
  shown = name();
  scrollTo(0, 0);
  main.focus({ preventScroll: true }); // a screen reader goes on from here
  return start(main);
}

/** Shows the page that the visitor went back or forward to. A change of the fragment alone is left to the browser. */
async function travel() {
  if (name() === shown) return;
  const response = await fetch(location.href).catch(() => null);
  if (response?.ok) await show(parsePage(await response.text()));
  else location.reload();
}

addEventListener("popstate", travel);
start(find(document.body, "main"));
