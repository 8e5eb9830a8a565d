// @ts-check
/** The strength of the overlay that shows why, by a slider; beside the folds of a result's page. */
import "./result.js";

document.documentElement.classList.add("scripts");
document.addEventListener("input", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return;
  const heat = target.closest(".why")?.querySelector(".heat");
  if (heat instanceof HTMLElement && target.closest(".strength")) heat.style.opacity = String(target.valueAsNumber / 100);
});
