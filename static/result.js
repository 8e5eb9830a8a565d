// @ts-check
/** Turns the link to what the others say into a fold that fetches it when it is first opened. */

const link = document.querySelector("a.others-link");
if (link instanceof HTMLAnchorElement) link.replaceWith(fold(link));

/** @param {HTMLAnchorElement} link */
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
  body.textContent = "Asking the other models …";
  try {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const others = page.querySelector(".others");
    if (!answer.ok || !others) throw new Error(`${answer.status}`);
    body.replaceChildren(document.importNode(others, true));
  } catch {
    body.replaceChildren(link);
  }
}
