// @ts-check
/** Several photos in the form: a thumbnail of each, with a button that removes it. */
import { brief, fill, find } from "./dom.js";

/** Side of a thumbnail in pixels: sharp on a phone's screen, with four or five in a row. */
const SIDE = 160;
/** Thumbnails beside each other: more would be smaller than the button on each. */
const MOST_BESIDE = 6;

export class Batch {
  /** @type {File[]} */
  #files = [];
  /** Index of the picture that was just removed, or -1. */
  #gap = -1;

  /** @param {HTMLFormElement} form @param {(files: File[]) => void} take replaces the form's files */
  constructor(form, take) {
    this.take = take;
    this.input = find(form, "#image");
    this.list = find(form, ".thumbnails");
    this.name = find(form, ".name");
  }

  /** @param {File[]} files the form's files */
  show(files) {
    this.#files = files;
    this.list.hidden = files.length < 2;
    this.list.style.gridTemplateColumns = `repeat(${Math.min(Math.ceil(Math.sqrt(files.length)), MOST_BESIDE)}, 1fr)`;
    this.list.replaceChildren(...(this.list.hidden ? [] : files).map((file, i) => this.#item(file, i)));
    if (!this.list.hidden) {
      this.name.hidden = true;
      draw(files, [...this.list.children], () => files === this.#files);
    }
    if (this.#gap >= 0) this.#focusAfter(this.#gap);
    this.#gap = -1;
  }

  /** @param {File} file @param {number} i */
  #item(file, i) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const button = document.createElement("button");
    name.textContent = brief(file.name);
    button.type = "button";
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
