// @ts-check
/** Finds one of many labels while one types; without this they are scrolled through. */

const find = document.querySelector(".right .find");
const field = find?.querySelector("input");
/** @type {HTMLButtonElement[]} */
const labels = [...document.querySelectorAll(".right .labels button")];

if (find instanceof HTMLElement && field) {
  find.hidden = false;
  field.addEventListener("input", () => show(field.value));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would send the first label, whatever was typed
    const found = labels.filter((label) => !label.hidden);
    if (field.value && found.length === 1) found[0].click();
  });
  show(field.value); // a page that is gone back to keeps what was typed
}

/** @param {string} text */
function show(text) {
  const wanted = text.trim().toLocaleLowerCase();
  for (const label of labels) {
    label.hidden = !`${label.textContent}`.toLocaleLowerCase().includes(wanted);
  }
}
