// @ts-check
/** The slider for the strength of the heat map, on the explanation's page and in a result's folds. */

/** @param {HTMLElement} root */
export function start(root) {
  document.documentElement.classList.add("scripts");
  // The parts of folds come later, so the page listens for all of them.
  root.addEventListener("input", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    const heatMap = target.closest(".explanation")?.querySelector(".heat");
    if (heatMap instanceof HTMLElement && target.closest(".strength")) heatMap.style.opacity = String(target.valueAsNumber / 100);
  });
}
