// @ts-check
/** Several photos in the form: a thumbnail of each with a button that removes it, and a progress bar while they are sent. */
import { errorOf, fill, find, parsePage, release } from "./dom.js";

/** Side of a thumbnail in pixels: sharp on a phone's screen, with four or five in a row. */
const SIDE = 160;
/** Screen readers only announce a text that changes while it is visible. */
const ANNOUNCE_MS = 50;

export class Batch {
  /** @type {File[]} */
  #files = [];
  /** Index of the picture that was just removed, or -1. */
  #gap = -1;

  /** @param {HTMLFormElement} form @param {(files: File[]) => void} take replaces the form's files */
  constructor(form, take) {
    this.form = form;
    this.take = take;
    this.most = Number(form.dataset.maxBatch);
    this.input = find(form, "#image");
    this.list = find(form, ".thumbnails");
    this.name = find(form, ".name");
    this.problem = find(form, ".problem");
    this.fewer = find(form, ".fewer");
    this.sending = find(form, ".sending");
    this.status = find(form, "#sending");
    this.bar = /** @type {HTMLProgressElement} */ (find(form, "progress"));
    this.fewer.addEventListener("click", () => this.#keepFirst());
    form.addEventListener("submit", (event) => this.#submit(event));
    // The visitor came back to the page: the upload has arrived or is lost.
    addEventListener("pageshow", () => this.#stop());
  }

  /** @param {File[]} files the form's files */
  show(files) {
    this.#files = files;
    this.fewer.hidden = !this.#tooMany;
    if (this.#tooMany) this.#say(fill(this.sending.dataset.sayTooMany, { count: files.length }));
    this.list.hidden = files.length < 2 || this.#tooMany;
    this.list.style.gridTemplateColumns = `repeat(${Math.ceil(Math.sqrt(files.length))}, 1fr)`;
    this.list.replaceChildren(...(this.list.hidden ? [] : files).map((file, i) => this.#item(file, i)));
    if (!this.list.hidden) {
      this.name.hidden = true;
      draw(files, [...this.list.children], () => files === this.#files);
    }
    if (this.#gap >= 0) this.#focusAfter(this.#gap);
    this.#gap = -1;
  }

  get #tooMany() {
    return this.#files.length > this.most;
  }

  /** @param {File} file @param {number} i */
  #item(file, i) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const button = document.createElement("button");
    name.textContent = file.name;
    button.type = "button";
    button.textContent = "×";
    button.setAttribute("aria-label", fill(this.list.dataset.sayRemove, { name: file.name }));
    button.addEventListener("click", () => {
      this.#gap = i;
      this.take(this.#files.filter((other) => other !== file));
    });
    item.append(name, button);
    return item;
  }

  /** Moves the focus from the removed button to the next one, or to the field where none is left. @param {number} i */
  #focusAfter(i) {
    const buttons = this.list.querySelectorAll("button");
    (buttons[Math.min(i, buttons.length - 1)] ?? this.input).focus();
  }

  #keepFirst() {
    this.take(this.#files.slice(0, this.most));
    this.input.focus();
  }

  /** Sends several files with a progress bar. A single file is sent as without this script. @param {SubmitEvent} event */
  #submit(event) {
    if (event.defaultPrevented || this.#files.length < 2) return;
    event.preventDefault();
    if (this.#tooMany) this.#stop(fill(this.sending.dataset.sayTooMany, { count: this.#files.length }));
    else this.#send();
  }

  #send() {
    const { sayUploading, sayRunning, sayLost, sayFailed } = this.sending.dataset;
    const request = new XMLHttpRequest();
    this.#say("");
    this.sending.hidden = false;
    this.status.textContent = "";
    setTimeout(() => { this.status.textContent ||= `${sayUploading}`; }, ANNOUNCE_MS);
    this.bar.value = 0;
    request.upload.addEventListener("progress", ({ loaded, total }) => { this.bar.value = loaded / total; });
    request.upload.addEventListener("load", () => {
      this.status.textContent = `${sayRunning}`;
      this.bar.removeAttribute("value");
    });
    request.addEventListener("error", () => this.#stop(sayLost));
    request.addEventListener("load", () => (request.status < 400 ? this.#show(request) : this.#stop(errorOf(parsePage(request.responseText)) ?? sayFailed)));
    request.open("POST", this.form.action);
    request.send(new FormData(this.form));
  }

  /** Opens the page that the response redirected to; or shows the response itself, where the pictures could not be saved.
   * @param {XMLHttpRequest} request */
  #show(request) {
    if (request.responseURL !== this.form.action) return location.assign(request.responseURL);
    document.open();
    document.write(request.responseText);
    document.close();
  }

  #stop(problem = "") {
    this.sending.hidden = true;
    release(this.form);
    if (problem) this.#say(problem);
  }

  /** @param {string} problem */
  #say(problem) {
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
  }
}

/** Puts a thumbnail into each item, one after the other: twenty large pictures at once would not fit into a phone's memory.
 * A picture that the browser cannot decode, such as HEIC, keeps its name. @param {File[]} files @param {Element[]} items @param {() => boolean} wanted */
async function draw(files, items, wanted) {
  for (const [i, file] of files.entries()) {
    const small = await thumbnail(file).catch(() => null);
    if (!wanted()) return;
    if (!small) continue;
    small.setAttribute("role", "img");
    small.setAttribute("aria-label", file.name);
    items[i].firstElementChild?.replaceWith(small);
  }
}

/** The center of a picture, as a canvas. @param {File} file */
async function thumbnail(file) {
  const picture = await createImageBitmap(file, { resizeWidth: 2 * SIDE, resizeQuality: "medium" });
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const zoom = SIDE / Math.min(picture.width, picture.height);
  const [width, height] = [picture.width * zoom, picture.height * zoom];
  canvas.getContext("2d")?.drawImage(picture, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
  picture.close();
  return canvas;
}
