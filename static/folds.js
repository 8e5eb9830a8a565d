// @ts-check
/** Turns a link to what is worked out when asked for into a fold that fetches it when it is first opened. */

for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("a[data-fold]"))) link.replaceWith(fold(link));

/** @param {HTMLAnchorElement} link with the part of its page to show in data-fold, and what to say meanwhile in data-wait */
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

/** Asks for the page behind the link and shows what matters of it; the link itself where that fails.
 * @param {HTMLElement} body @param {HTMLAnchorElement} link */
async function show(body, link) {
  body.textContent = link.dataset.wait ?? "";
  try {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.querySelector(String(link.dataset.fold));
    if (!answer.ok || !part) throw new Error(`${answer.status}`);
    body.replaceChildren(document.importNode(part, true));
  } catch {
    body.replaceChildren(link);
  }
}
