// @ts-check
/** The photo form: choose, drop, paste or take photos, and see them before they are sent. The server checks everything again. */
import { fill, find, onDrop, release } from "./dom.js";

/** @param {HTMLFormElement} form */
export function enhance(form) {
  const input = /** @type {HTMLInputElement} */ (form.elements.namedItem("image"));
  const camera = /** @type {HTMLInputElement} */ (form.querySelector(".camera input"));
  const preview = new Preview(form);
  /** @type {Promise<import("./batch.js").Batch> | undefined} */
  let batch;

  /** Replaces the form's files, wherever the new ones came from. @param {Iterable<File> | null | undefined} files */
  async function take(files) {
    const chosen = [...(files ?? [])];
    if (!chosen.length) return;
    const complaints = chosen.map((file) => complaint(file, form, input, chosen.length));
    const problem = complaints.filter(Boolean).join(" ");
    const good = chosen.filter((_, i) => !complaints[i]);
    const accepted = new DataTransfer();
    for (const file of good) accepted.items.add(file);
    input.files = accepted.files;
    // The visitor stopped the upload before this one. A batch has a progress bar while it is still being sent.
    if (find(form, ".sending").hidden) release(form);
    preview.show(good, problem);
    // Loaded only for several photos, so that a first visit transfers less.
    if (good.length > 1) batch ??= import("./batch.js").then(({ Batch }) => new Batch(form, take));
    (await batch)?.show(good);
  }

  for (const source of [input, camera]) source.addEventListener("change", () => take(source.files));
  document.addEventListener("paste", (event) => take(event.clipboardData?.files));
  const frame = find(form, ".drop");
  onDrop(take, (over) => frame.classList.toggle("over", over));
  // Browsers may restore the files when the visitor comes back to the page.
  addEventListener("pageshow", () => take(input.files));
}

/** Why the server would refuse this file, or "". Of several files, a wrong kind is left to the page of the answers. A folder
 * is not: it has no type and cannot be sent, and the upload of all files would fail.
 * @param {File} file @param {HTMLFormElement} form @param {HTMLInputElement} input @param {number} count */
function complaint(file, form, input, count) {
  const extensions = input.accept.split(",").filter((kind) => kind.startsWith("."));
  if ((count === 1 || !file.type) && !extensions.some((extension) => file.name.toLowerCase().endsWith(extension)))
    return fill(form.dataset.sayWrongKind, { name: file.name });
  if (file.size > Number(form.dataset.maxBytes))
    return fill(form.dataset.sayTooLarge, { name: file.name, size: size(file.size, form) });
  return "";
}

/** @param {number} bytes @param {HTMLFormElement} form */
function size(bytes, { dataset }) {
  return bytes < 1048576 ? fill(dataset.sayKb, { n: Math.ceil(bytes / 1024) }) : fill(dataset.sayMb, { n: (Math.round(bytes / 104857.6) / 10).toLocaleString(document.documentElement.lang) });
}

class Preview {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.empty = find(form, ".empty");
    this.name = find(form, ".name");
    this.note = find(form, "#photo-note");
    this.problem = find(form, ".problem");
    this.image = /** @type {HTMLImageElement} */ (find(form, ".preview"));
    this.hint = this.note.textContent;
    // The server reads HEIC but few browsers show it: then the name stands in for the picture.
    this.image.addEventListener("error", () => this.#reveal(this.name));
    this.image.addEventListener("load", () => this.#reveal(this.image));
  }

  /** @param {File[]} files @param {string} problem */
  show(files, problem) {
    const [file] = files;
    const bytes = size(files.reduce((sum, { size }) => sum + size, 0), this.form);
    const count = fill(this.note.dataset.saySeveral, { count: files.length, size: bytes });
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
    this.name.textContent = files.length > 1 ? count : file?.name ?? "";
    this.note.textContent = files.length > 1 ? count : file ? `${file.name}, ${bytes}` : this.hint;
    URL.revokeObjectURL(this.image.src);
    this.image.removeAttribute("src");
    if (files.length === 1) this.image.src = URL.createObjectURL(file);
    else this.#reveal(file ? this.name : this.empty);
  }

  /** @param {HTMLElement} shown */
  #reveal(shown) {
    for (const part of [this.empty, this.name, this.image]) part.hidden = part !== shown;
  }
}
