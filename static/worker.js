// @ts-check
/** The service worker: without a connection it shows the offline page. It stores that page and static files, and no
 * other page, because pages are private. */

const OFFLINE = "/offline";
const SHELL = [OFFLINE, "/static/style.css", "/static/frame.js", "/static/icon.svg"];
/** Posts that change how the offline page looks. */
const SWITCHES = ["/language", "/theme"];

const store = () => caches.open("shell");

/** A static file from the server, or else the copy of the last one. @param {Request} request */
async function staticFile(request) {
  const cache = await store();
  try {
    const response = await fetch(request);
    if (response.status === 200) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const copy = await cache.match(request, { ignoreVary: true });
    if (copy) return copy;
    throw error;
  }
}

/** A page from the server, or else the offline page. @param {Request} request */
async function page(request) {
  try {
    return await fetch(request);
  } catch {
    const copy = await (await store()).match(OFFLINE, { ignoreVary: true });
    return copy ?? Response.error();
  }
}

/** Passes a switch of language or theme on, and then renews the offline page. @param {Request} request */
async function change(request) {
  const response = await page(request);
  await (await store()).add(OFFLINE).catch(() => {}); // offline: the page stays as it is
  return response;
}

self.addEventListener("install", (event) => event.waitUntil(store().then((cache) => cache.addAll(SHELL))));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== location.origin) return;
  if (request.method === "POST" && SWITCHES.includes(pathname)) event.respondWith(change(request));
  else if (request.mode === "navigate") event.respondWith(page(request));
  else if (request.method === "GET" && pathname.startsWith("/static/")) event.respondWith(staticFile(request));
});
