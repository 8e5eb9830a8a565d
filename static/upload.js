// @ts-check
/** The photo form: choose, drop, paste or take photos, and see them before they are sent. The server checks everything again. */

/** @param {HTMLFormElement} form */
export function enhance(form) {
  const input = /** @type {HTMLInputElement} */ (form.elements.namedItem("image"));
  const camera = /** @type {HTMLInputElement} */ (form.querySelector(".camera input"));
  const preview = new Preview(form);
  /** @type {Promise<import("./several.js").Several> | undefined} */
  let loaded;

  /** Takes the files, from wherever they came, instead of those before. @param {Iterable<File> | null | undefined} files */
  async function take(files) {
    const chosen = [...(files ?? [])];
    if (!chosen.length) return;
    const complaints = chosen.map((file) => complaint(file, form, input, chosen.length));
    const problem = complaints.filter(Boolean).join(" ");
    const good = chosen.filter((_, i) => !complaints[i]);
    const kept = new DataTransfer();
    for (const file of good) kept.items.add(file);
    input.files = kept.files;
    // The visitor stopped the one before; of several, the bar says that they are still on their way.
    if (find(form, ".sending").hidden) free(form);
    preview.show(good, problem);
    // Fetched for several only, so that a first visit stays light.
    if (good.length > 1) loaded ??= import("./several.js").then(({ Several }) => new Several(form, take));
    (await loaded)?.show(good);
  }

  for (const source of [input, camera]) source.addEventListener("change", () => take(source.files));
  document.addEventListener("paste", (event) => take(event.clipboardData?.files));
  takeDrops(find(form, ".drop"), take);
  // A browser that comes back to the page may have kept the files.
  addEventListener("pageshow", () => take(input.files));
}

/** A drop anywhere counts: one that just misses the frame would otherwise replace the page. @param {HTMLElement} frame @param {(files: FileList) => void} take */
function takeDrops(frame, take) {
  /** @param {boolean} on @param {(files: FileList) => void} [then] */
  const on = (on, then) => (/** @type {DragEvent} */ event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    frame.classList.toggle("over", on);
    then?.(event.dataTransfer.files);
  };
  document.addEventListener("dragover", on(true));
  document.addEventListener("dragleave", on(false));
  document.addEventListener("drop", on(false, take));
}

/** Why this file would be refused, or "". One of several may be of a wrong kind: the answers' page says so in its place.
 * But not a folder, which has no type: it cannot be sent, and nothing would be that goes with it.
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

/** A sentence of the page with its {names} filled in. @param {string | undefined} sentence @param {Record<string, string | number>} values */
export function fill(sentence = "", values) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
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
    // HEIC is read by the server but shown by few browsers: its name stands in.
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

/** The button that sends a form; it is busy, not the form, in which nothing would be read aloud then. @param {HTMLFormElement} form */
export function sender(form) {
  return find(form, "[type=submit]");
}

/** What was on its way has come, or was stopped. @param {HTMLFormElement} form */
export function free(form) {
  sender(form).ariaBusy = "false";
}

/** @param {Element} root @param {string} selector @returns {HTMLElement} */
export function find(root, selector) {
  return /** @type {HTMLElement} */ (root.querySelector(selector));
}
