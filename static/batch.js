// @ts-check
/** Several photos in the form: small pictures of them, each with a button that takes it out, and how far they are on their way. */
import { fill, find, free } from "./upload.js";

/** Pixels a side of a small picture: sharp on a phone's screen, four or five in a row. */
const SIDE = 160;
const ALOUD_MS = 50;

/** What the page that came in place of the answers says: too many visitors at once, for one. @param {XMLHttpRequest} request */
function reason({ responseText }) {
  return new DOMParser().parseFromString(responseText, "text/html").querySelector(".problem p, h1 + p")?.textContent;
}

export class Several {
  /** @type {File[]} */
  #files = [];
  /** The place of the picture that was just taken out, or -1. */
  #gap = -1;

  /** @param {HTMLFormElement} form @param {(files: File[]) => void} take chooses these instead */
  constructor(form, take) {
    this.form = form;
    this.take = take;
    this.most = Number(form.dataset.maxBatch);
    this.input = find(form, "#image");
    this.list = find(form, ".several");
    this.name = find(form, ".name");
    this.problem = find(form, ".problem");
    this.fewer = find(form, ".fewer");
    this.sending = find(form, ".sending");
    this.status = find(form, "#sending");
    this.bar = /** @type {HTMLProgressElement} */ (find(form, "progress"));
    this.fewer.addEventListener("click", () => this.#keepFirst());
    form.addEventListener("submit", (event) => this.#submit(event));
    // The browser came back to the page: what was on its way has arrived, or is lost.
    addEventListener("pageshow", () => this.#stop());
  }

  /** @param {File[]} files what the form holds now */
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

  /** The button went with its picture: the next one has the focus, or the field where none is left. @param {number} i */
  #focusAfter(i) {
    const buttons = this.list.querySelectorAll("button");
    (buttons[Math.min(i, buttons.length - 1)] ?? this.input).focus();
  }

  #keepFirst() {
    this.take(this.#files.slice(0, this.most));
    this.input.focus();
  }

  /** Sends several with a bar that says how far they are; one goes as it always does. @param {SubmitEvent} event */
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
    // A moment later, because only what changes in sight is read aloud.
    setTimeout(() => { this.status.textContent ||= `${sayUploading}`; }, ALOUD_MS);
    this.bar.value = 0;
    request.upload.addEventListener("progress", ({ loaded, total }) => { this.bar.value = loaded / total; });
    request.upload.addEventListener("load", () => {
      this.status.textContent = `${sayRunning}`;
      this.bar.removeAttribute("value");
    });
    request.addEventListener("error", () => this.#stop(sayLost));
    request.addEventListener("load", () => (request.status < 400 ? this.#show(request) : this.#stop(reason(request) ?? sayFailed)));
    request.open("POST", this.form.action);
    request.send(new FormData(this.form));
  }

  /** The page that the form's answer led to: the pictures' or the help page; or the answer itself, which could not be kept.
   * @param {XMLHttpRequest} request */
  #show(request) {
    if (request.responseURL !== this.form.action) return location.assign(request.responseURL);
    document.open();
    document.write(request.responseText);
    document.close();
  }

  #stop(problem = "") {
    this.sending.hidden = true;
    free(this.form);
    if (problem) this.#say(problem);
  }

  /** @param {string} problem */
  #say(problem) {
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
  }
}

/** Puts a small picture into each item, one after the other: twenty large ones at once would not fit a phone's memory.
 * What the browser cannot show, as HEIC, keeps its name. @param {File[]} files @param {Element[]} items @param {() => boolean} wanted */
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

/** The middle of a picture. @param {File} file */
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
