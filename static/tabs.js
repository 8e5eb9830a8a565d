// @ts-check
/** Turns the sections of a page into tabs (https://www.w3.org/WAI/ARIA/apg/patterns/tabs/, with automatic activation).
 * Without this script they are sections, each with a heading. */

/** @param {HTMLElement} root */
export function start(root) {
  for (const tabs of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".tabs"))) make(tabs);
}

/** @param {HTMLElement} container data-name is the name of the list of tabs */
function make(container) {
  const panels = /** @type {HTMLElement[]} */ ([...container.querySelectorAll(":scope > section")]);
  const list = document.createElement("div");
  list.role = "tablist";
  list.ariaLabel = container.dataset.name ?? "";
  const tabs = panels.map(tab);
  list.append(...tabs);
  list.addEventListener("click", (event) => select(tabs.indexOf(/** @type {HTMLButtonElement} */ (event.target))));
  list.addEventListener("keydown", (event) => {
    const to = target(event.key, tabs.findIndex((one) => one.ariaSelected === "true"), tabs.length);
    if (to === undefined) return;
    event.preventDefault();
    select(to);
    tabs[to].focus();
  });
  container.prepend(list);
  select(0);

  /** @param {number} chosen */
  function select(chosen) {
    if (chosen < 0) return;
    for (const [i, one] of tabs.entries()) {
      one.ariaSelected = String(i === chosen);
      one.tabIndex = i === chosen ? 0 : -1;
      panels[i].hidden = i !== chosen;
    }
  }
}

/** The tab of a panel, named by the panel's heading. @param {HTMLElement} panel */
function tab(panel) {
  const heading = /** @type {HTMLElement} */ (panel.querySelector("h2"));
  const button = document.createElement("button");
  button.type = "button";
  button.role = "tab";
  button.id = `${panel.id}-tab`;
  button.textContent = heading.textContent;
  button.setAttribute("aria-controls", panel.id);
  heading.hidden = true;
  panel.role = "tabpanel";
  panel.tabIndex = 0;
  panel.setAttribute("aria-labelledby", button.id);
  return button;
}

/** The place of the tab that a key leads to. @param {string} key @param {number} from @param {number} count */
function target(key, from, count) {
  /** @type {Record<string, number>} */
  const places = { ArrowRight: (from + 1) % count, ArrowLeft: (from - 1 + count) % count, Home: 0, End: count - 1 };
  return places[key];
}
