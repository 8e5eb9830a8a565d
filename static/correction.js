// @ts-check
/** Filters the labels of a correction as the visitor types. Without this script they are a list to scroll through. */

const search = document.querySelector(".correction .find");
const field = search?.querySelector("input");
/** @type {HTMLButtonElement[]} */
const labels = [...document.querySelectorAll(".correction .labels button")];

if (search instanceof HTMLElement && field) {
  search.hidden = false;
  field.addEventListener("input", () => filter(field.value));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would send the first label, whatever the visitor typed
    const found = labels.filter((label) => !label.hidden);
    if (field.value && found.length === 1) found[0].click();
  });
  filter(field.value); // going back to a page restores what was typed
}

/** @param {string} text */
function filter(text) {
  const wanted = text.trim().toLocaleLowerCase();
  for (const label of labels) {
    label.hidden = !`${label.textContent}`.toLocaleLowerCase().includes(wanted);
  }
}
