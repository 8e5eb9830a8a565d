// @ts-check
/** The photo form: choose, drop, paste or take a photo, and see it before it is sent. The server checks everything again. */

/** @param {HTMLFormElement} form */
export function enhance(form) {
  const input = /** @type {HTMLInputElement} */ (form.elements.namedItem("image"));
  const camera = /** @type {HTMLInputElement} */ (form.querySelector(".camera input"));
  const preview = new Preview(form);

  /** Takes the first file, from wherever it came. @param {FileList | null | undefined} files */
  function take(files) {
    const file = files?.[0];
    if (!file) return;
    const problem = complaint(file, form, input);
    const kept = new DataTransfer();
    if (!problem) kept.items.add(file);
    input.files = kept.files;
    preview.show(problem ? null : file, problem);
  }

  for (const source of [input, camera]) source.addEventListener("change", () => take(source.files));
  document.addEventListener("paste", (event) => take(event.clipboardData?.files));
  takeDrops(find(form, ".drop"), take);
  // A browser that comes back to the page may have kept the file.
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

/** Why this file would be refused, or "". @param {File} file @param {HTMLFormElement} form @param {HTMLInputElement} input */
function complaint(file, form, input) {
  const extensions = input.accept.split(",").filter((kind) => kind.startsWith("."));
  if (!extensions.some((extension) => file.name.toLowerCase().endsWith(extension)))
    return `${file.name} is not a kind of picture that can be read here. These are: ${extensions.join(" ").replaceAll(".", "")}.`;
  if (file.size > Number(form.dataset.maxBytes))
    return `${file.name} has ${size(file.size)}; at most ${size(Number(form.dataset.maxBytes))} are accepted.`;
  return "";
}

/** @param {number} bytes */
function size(bytes) {
  return bytes < 1048576 ? `${Math.ceil(bytes / 1024)} KB` : `${Math.round(bytes / 104857.6) / 10} MB`;
}

class Preview {
  /** @param {HTMLFormElement} form */
  constructor(form) {
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

  /** @param {File | null} file @param {string} problem */
  show(file, problem) {
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
    this.name.textContent = file?.name ?? "";
    this.note.textContent = file ? `${file.name}, ${size(file.size)}` : this.hint;
    URL.revokeObjectURL(this.image.src);
    if (file) this.image.src = URL.createObjectURL(file);
    else this.#reveal(this.empty);
  }

  /** @param {HTMLElement} shown */
  #reveal(shown) {
    for (const part of [this.empty, this.name, this.image]) part.hidden = part !== shown;
  }
}

/** @param {Element} root @param {string} selector @returns {HTMLElement} */
function find(root, selector) {
  return /** @type {HTMLElement} */ (root.querySelector(selector));
}
