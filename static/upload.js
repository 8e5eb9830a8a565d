// @ts-check
/** The photo form: a photo is sent as soon as it is chosen, dropped, pasted or taken. The server checks everything again. */
import { brief, fill, find, onDrop } from "./dom.js";
import { send } from "./send.js";
import { chooseModel, turn } from "./stage.js";

/** Screen readers only announce a text that changes while it is visible. */
const ANNOUNCE_MS = 50;

/** @param {HTMLElement} root @param {AbortSignal} signal */
export function start(root, signal) {
  const photo = new Photo(root);
  const { form, input } = photo;
  const frame = find(form, ".drop");
  input.addEventListener("change", () => photo.take(input.files));
  document.addEventListener("paste", (event) => photo.take(event.clipboardData?.files), { signal });
  onDrop((files) => photo.take(files), (over) => frame.classList.toggle("over", over), signal, () => photo.refuseLink());
  root.addEventListener("photo", (event) => photo.take(/** @type {CustomEvent<File[]>} */ (event).detail));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    photo.send();
  });
  for (const example of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll(".examples button"))) example.addEventListener("click", () => photo.borrow(String(example.dataset.picture)));
  find(form, ".cancel").addEventListener("click", () => photo.cancel());
  find(form, ".remove").addEventListener("click", () => photo.clear());
  find(form, ".fewer").addEventListener("click", () => photo.take(photo.files.slice(0, photo.most)));
  const model = /** @type {HTMLSelectElement} */ (find(form, "select"));
  model.addEventListener("change", () => chooseModel(root, model));
  signal.addEventListener("abort", () => photo.stop());
  photo.take(input.files); // chosen before this script came
}

/** Sends a photo through the form of this content, from wherever it came. @param {Element} from @param {File} file */
export function offer(from, file) {
  from.dispatchEvent(new CustomEvent("photo", { bubbles: true, detail: [file] }));
}

/** Whether it is a file. A folder may look like one without an extension. @param {File} file */
function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

class Photo {
  /** @type {File[]} */ files = [];
  /** Ends the upload in progress. @type {(() => void) | undefined} */ #abort;
  /** @type {Promise<import("./batch.js").Batch> | undefined} */ #batch;
  /** The address of an example that could not be fetched. */ #missed = "";

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.form = /** @type {HTMLFormElement} */ (find(root, "#photo"));
    this.input = /** @type {HTMLInputElement} */ (find(this.form, "#image"));
    this.image = /** @type {HTMLImageElement} */ (find(this.form, ".preview"));
    this.empty = find(this.form, ".empty");
    this.name = find(this.form, ".name");
    this.note = find(this.form, "#photo-note");
    this.problem = find(this.form, ".problem");
    this.sending = find(this.form, ".sending");
    this.bar = /** @type {HTMLProgressElement} */ (find(this.form, "progress"));
    this.button = find(this.form, ".send");
    this.hint = this.note.textContent;
    this.label = this.button.textContent;
    this.words = this.form.dataset;
    this.most = Number(this.words.maxBatch);
    // The server reads HEIC but few browsers show it: then the name stands in for the picture.
    this.image.addEventListener("error", () => this.#reveal(this.name));
    this.image.addEventListener("load", () => {
      const wide = this.image.naturalWidth > 1.2 * this.image.naturalHeight; // as templates/result.html
      this.image.classList.toggle("wide", wide);
      this.image.classList.toggle("upright", !wide);
      this.#reveal(this.image);
    });
    this.form.noValidate = true; // the browser would speak its own language
    this.button.classList.remove("unscripted"); // shown where an upload waits for the visitor
    this.#arrange();
  }

  /** Replaces the form's files, wherever the new ones came from, and sends them.
   * @param {Iterable<File> | null | undefined} files @param {boolean} [now] whether to send at once */
  async take(files, now = true) {
    const chosen = [...(files ?? [])];
    if (!chosen.length) return;
    turn(this.root, "photo");
    this.stop();
    const codes = await Promise.all(chosen.map((file) => this.#refusal(file, chosen.length)));
    const refused = codes.find(Boolean);
    this.#hold(chosen.filter((_, i) => !codes[i]));
    if (refused) this.#refuse(refused, this.#list(chosen.filter((_, i) => codes[i] === refused)));
    else if (chosen.length > this.most) this.#refuse("too-many", fill(this.words.sayCount, { count: chosen.length }));
    else if (now) this.send();
  }

  /** Sends a picture of this site, as if the visitor had chosen it. @param {string} address */
  async borrow(address) {
    const response = await fetch(address).catch(() => null);
    if (!response?.ok) {
      this.#hold([]);
      this.#missed = address;
      this.#offerAgain();
      return this.#complain(this.#word("say", "example"), this.#word("do", "example"));
    }
    const picture = await response.blob();
    this.take([new File([picture], String(address.split("/").pop()), { type: picture.type })]);
  }

  /** Says that a link is no picture: the server fetches nothing from elsewhere. */
  refuseLink() {
    turn(this.root, "photo");
    this.#complain(this.#word("say", "link"), this.#word("do", "link"));
  }

  clear() {
    this.stop();
    this.#hold([]);
    this.input.focus();
  }

  /** Ends the upload, and keeps the files for another try. */
  cancel() {
    this.stop();
    this.button.focus();
  }

  stop() {
    this.#abort?.();
    this.#abort = undefined;
    this.#arrange();
  }

  send() {
    if (this.#missed) return this.borrow(this.#missed);
    if (this.#abort || !this.files.length || this.files.length > this.most) return;
    this.problem.hidden = true;
    const status = find(this.sending, "[role=status]");
    const say = (/** @type {string | undefined} */ words) => setTimeout(() => { status.textContent = words ?? ""; }, ANNOUNCE_MS);
    status.textContent = "";
    say(this.words.saySending);
    this.bar.value = 0;
    this.#abort = send(this.form, {
      progress: (share) => {
        this.bar.value = share;
        if (share < 1) return;
        this.bar.removeAttribute("value");
        say(this.words.sayLooking);
      },
      failed: ({ code, title, advice }) => {
        this.stop();
        this.#offerAgain();
        this.#complain(title ?? this.#word("say", code), advice ?? fill(this.#word("do", code), { got: this.note.textContent ?? "" }));
      },
      // The picture is here already: it stays in sight while the answer appears beside it.
      answered: (page) => {
        const picture = /** @type {HTMLImageElement | null} */ (page.querySelector(".picture"));
        if (picture && !this.image.hidden) picture.src = this.image.src;
      },
    });
    this.#arrange();
  }

  /** Puts files into the form and shows them. @param {File[]} files */
  async #hold(files) {
    this.files = files;
    this.#missed = "";
    this.button.textContent = this.label;
    const accepted = new DataTransfer();
    for (const file of files) accepted.items.add(file);
    this.input.files = accepted.files;
    this.problem.hidden = true;
    const bytes = this.#size(files.reduce((sum, { size }) => sum + size, 0));
    const count = fill(this.words.saySeveral, { count: files.length, size: bytes });
    this.name.textContent = files.length > 1 ? count : brief(files[0]?.name ?? "");
    this.note.textContent = files.length > 1 ? count : files.length ? this.#list(files) : this.hint;
    URL.revokeObjectURL(this.image.src);
    this.image.removeAttribute("src");
    if (files.length === 1) this.image.src = URL.createObjectURL(files[0]);
    this.#reveal(files.length === 1 ? null : files.length ? this.name : this.empty);
    this.#arrange();
    // Loaded only for several photos, so that a first visit transfers less.
    if (files.length > 1) this.#batch ??= import("./batch.js").then(({ Batch }) => new Batch(this.form, (rest) => this.take(rest, Boolean(this.#abort))));
    (await this.#batch)?.show(this.files);
  }

  #offerAgain() {
    this.button.textContent = this.words.sayAgain ?? "";
    this.#arrange();
  }

  /** Shows what belongs to the state of the form. */
  #arrange() {
    const count = this.files.length;
    const many = count > this.most;
    find(this.form, ".lead").hidden = count > 0;
    find(this.form, ".remove").hidden = count !== 1; // each of several has its own
    find(this.form, ".fewer").hidden = !many;
    this.note.hidden = many; // the problem says how many
    this.sending.hidden = !this.#abort;
    this.button.hidden = !(count || this.#missed) || many || Boolean(this.#abort);
  }

  /** The code of the reason why the server would refuse this file, or "". Of several files, a wrong kind is left to the page of
   * the answers. A folder is not: it has no type and cannot be sent, and the upload of all files would fail.
   * @param {File} file @param {number} count */
  async #refusal(file, count) {
    const name = file.name.replace(/\?.*/, "").toLowerCase();
    const known = name.includes(".") ? String(this.words.extensions).split(" ").includes(String(name.split(".").pop())) : file.type || await isReadable(file);
    if ((count === 1 || !file.type) && !known) return "extension";
    return file.size > Number(this.words.maxBytes) ? "too-large" : "";
  }

  /** @param {string} code @param {string} got what was refused */
  #refuse(code, got) {
    this.#complain(this.#word("say", code), fill(this.#word("do", code), { got }));
  }

  /** @param {string} title @param {string} advice */
  #complain(title, advice) {
    this.problem.hidden = false;
    find(this.problem, "b").textContent = title;
    find(this.problem, "span").textContent = advice;
  }

  /** @param {"say" | "do"} kind @param {string} code */
  #word(kind, code) {
    return this.form.getAttribute(`data-${kind}-${code}`) ?? "";
  }

  /** Names and sizes; of many, the first three. @param {File[]} files */
  #list(files) {
    const named = files.slice(0, 3).map(({ name, size }) => `${brief(name)}, ${this.#size(size)}`);
    return [...named, ...files.length > 3 ? ["…"] : []].join("; ");
  }

  /** @param {number} bytes */
  #size(bytes) {
    const megabytes = (Math.round(bytes / 104857.6) / 10).toLocaleString(document.documentElement.lang);
    return bytes < 1048576 ? fill(this.words.sayKb, { n: Math.ceil(bytes / 1024) }) : fill(this.words.sayMb, { n: megabytes });
  }

  /** @param {HTMLElement | null} shown */
  #reveal(shown) {
    for (const part of [this.empty, this.name, this.image]) part.hidden = part !== shown;
  }
}
