// @ts-check
/** Takes examples with the camera, for as long as a button is held, and with the canvas. */
import { Sketch } from "./canvas.js";
import { find, setUsable } from "./dom.js";
import { Lens, jpeg } from "./lens.js";
import { toJson } from "./strokes.js";
import { send } from "./teach-add.js";
import { phrase } from "./teach-workshop.js";

/** @typedef {import("./teach-workshop.js").Workshop} Workshop */

/** The time between two frames, in milliseconds. */
const PAUSE_MS = 200;
/** The longer side of a frame that is kept, in pixels, and its JPEG quality. */
const SIDE = 640, QUALITY = 0.9;
/** Frames are compared as gray pictures of so many pixels a side. */
const SMALL = 16;
/** The mean difference, of 255, below which two frames are too alike. */
const ALIKE = 4;
/** Frames that are sent in one request while the button is still held. */
const TOGETHER = 8;
/** The pen of a drawing. */
const PEN = { width: 16, color: "#000000", paper: "#ffffff" };

/** A frame as a few gray pixels. @param {HTMLCanvasElement} frame */
function gray(frame) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SMALL;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(frame, 0, 0, SMALL, SMALL);
  const { data } = context.getImageData(0, 0, SMALL, SMALL);
  return Float32Array.from({ length: SMALL * SMALL }, (_, i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3);
}

/** @param {Float32Array} one @param {Float32Array} other */
function difference(one, other) {
  return one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / one.length;
}

/** @param {Workshop} shop */
function film(shop) {
  const dialog = /** @type {HTMLDialogElement} */ (find(shop.root, "#camera-dialog"));
  const button = find(dialog, "[data-action=record]");
  const status = find(dialog, "[data-taken]");
  const blocked = find(dialog, ".blocked");
  const turner = find(dialog, "[data-action=turn]");
  const lens = new Lens(/** @type {HTMLVideoElement} */ (find(dialog, "video")));
  /** @type {Promise<{ file: File, label: string }>[]} */ let waiting = [];
  /** @type {Promise<unknown>} */ let sent = Promise.resolve();
  let [name, taken, held] = ["", 0, 0];
  /** What was kept of this class, to compare with. @type {Float32Array[]} */ let kept = [];

  function flush() {
    const pieces = waiting;
    waiting = [];
    if (pieces.length) sent = sent.then(() => shop.attempt(async () => send(shop, await Promise.all(pieces), "camera")));
  }

  /** @param {HTMLCanvasElement} frame @param {string} label @param {number} n */
  async function encoded(frame, label, n) {
    return { file: new File([await jpeg(frame, QUALITY)], `${label}-${n}.jpg`, { type: "image/jpeg" }), label };
  }

  /** Keeps the frame of this moment, unless one like it was kept. */
  function take() {
    if (!lens.video.videoWidth) return;
    const frame = lens.frame(SIDE);
    const seen = gray(frame);
    if (kept.some((one) => difference(one, seen) < ALIKE)) return;
    kept.push(seen);
    status.textContent = phrase(status.dataset.taken, { n: ++taken });
    waiting.push(encoded(frame, name, taken));
    if (waiting.length >= TOGETHER) flush();
  }

  function press() {
    if (held) return;
    button.classList.add("on");
    held = setInterval(take, PAUSE_MS);
    take();
  }

  function release() {
    clearInterval(held);
    if (!held) return;
    held = 0;
    button.classList.remove("on");
    take();
    flush();
  }

  async function open() {
    blocked.hidden = true;
    const reason = await lens.start();
    if (!dialog.open) return lens.stop();
    blocked.hidden = !reason;
    blocked.textContent = (/** @type {Record<string, string | undefined>} */ ({
      insecure: shop.words.sayInsecure, denied: shop.words.sayDenied, missing: shop.words.sayMissing, taken: shop.words.sayTaken,
    }))[reason] ?? "";
    button.setAttribute("aria-disabled", String(Boolean(reason)));
    turner.hidden = Boolean(reason) || !(await lens.several());
  }

  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    press();
  });
  for (const end of ["pointerup", "pointercancel", "blur"]) button.addEventListener(end, release);
  button.addEventListener("keydown", (event) => { if (event.key === " " || event.key === "Enter") press(); });
  button.addEventListener("keyup", release);
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
  turner.addEventListener("click", () => {
    lens.turn();
    open();
  });
  dialog.addEventListener("close", () => {
    release();
    lens.stop();
  });
  shop.signal.addEventListener("abort", () => lens.stop());
  shop.on("camera", (opener) => {
    name = String(/** @type {HTMLElement} */ (opener.closest(".class")).dataset.name);
    [taken, kept] = [0, []];
    status.textContent = "";
    const title = find(dialog, "h2");
    title.textContent = phrase(title.dataset.title, { name });
    dialog.showModal();
    open();
  });
}

/** @param {Workshop} shop */
function sketch(shop) {
  const dialog = /** @type {HTMLDialogElement} */ (find(shop.root, "#draw-dialog"));
  const status = find(dialog, "[data-taken]");
  const pad = new Sketch(/** @type {HTMLCanvasElement} */ (find(dialog, "canvas")), () => PEN);
  let [name, taken] = ["", 0];
  const follow = () => setUsable(dialog, { undo: pad.canUndo, clear: !pad.blank, keep: !pad.blank });
  pad.addEventListener("change", follow);
  find(dialog, ".strip [data-action=undo]").addEventListener("click", () => pad.undo());
  find(dialog, "[data-action=clear]").addEventListener("click", () => pad.clear());
  find(dialog, "[data-action=keep]").addEventListener("click", () => {
    pad.settle();
    if (pad.blank) return;
    const drawing = { ...JSON.parse(toJson(pad)), label: name };
    pad.restart();
    shop.attempt(async () => {
      const { results: [result] } = await shop.ask("POST", "/examples", drawing);
      if ("error" in result) return shop.say(shop.title(result.error));
      if (!shop.put(result)) await shop.refresh(["columns"]);
      status.textContent = phrase(status.dataset.taken, { n: ++taken });
      shop.changed();
    });
  });
  shop.on("draw", (opener) => {
    name = String(/** @type {HTMLElement} */ (opener.closest(".class")).dataset.name);
    taken = 0;
    status.textContent = "";
    const title = find(dialog, "h2");
    title.textContent = phrase(title.dataset.title, { name });
    pad.restart();
    dialog.showModal();
    pad.canvas.focus();
  });
  follow();
}

/** @param {Workshop} shop */
export function start(shop) {
  film(shop);
  if (shop.words.kind === "ink") sketch(shop);
}
