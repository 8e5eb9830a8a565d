// @ts-check
/** The slider for the strength of the heat map, on the explanation's page and in a result's folds. */
import "./folds.js";

document.documentElement.classList.add("scripts");
document.addEventListener("input", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return;
  const heatMap = target.closest(".explanation")?.querySelector(".heat");
  if (heatMap instanceof HTMLElement && target.closest(".strength")) heatMap.style.opacity = String(target.valueAsNumber / 100);
});
