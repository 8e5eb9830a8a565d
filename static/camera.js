// @ts-check
/** The camera: live answers to what it sees, and a shutter that keeps one frame. */
import { find } from "./dom.js";
import { Lens, jpeg, visible } from "./lens.js";
import { Live } from "./live.js";
import { chooseModel } from "./stage.js";
import { offer } from "./upload.js";

/** The shortest time between two questions. */
const PAUSE_MS = 250;
/** A slow answer makes the next question wait as many times longer than it took. */
const REST = 2;
/** How long to wait after a refusal that does not say for how long. */
const BUSY_MS = 5000;
/** The longer side in pixels of the frames that are asked about. The shutter keeps the camera's own size. */
const SIDE = 480;
const QUALITY = 0.8, KEPT_QUALITY = 0.92;
/** The part of the newest answer in what is shown; the rest is from the frames before. */
const FRESH = 0.5;
/** How many answers are asked for, and how many are shown. */
const ASKED = 5, SHOWN = 3;

/** @typedef {import("./ask.js").Answer} Answer */
/** @typedef {import("./ask.js").Problem} Problem */

/** @type {Camera | undefined} */
let current;

/** @param {HTMLElement} section */
export function open(section) {
  if (current?.section !== section) current = new Camera(section);
  current.start();
}

export function close() {
  current?.stop();
}

class Camera {
  /** Ends the questions about this stream. @type {AbortController | undefined} */ #looking;
  /** The smoothed probabilities by label. @type {Map<string, number>} */ #seen = new Map();

  /** @param {HTMLElement} section */
  constructor(section) {
    this.section = section;
    this.root = /** @type {HTMLElement} */ (section.closest("main"));
    this.lens = new Lens(/** @type {HTMLVideoElement} */ (find(section, "video")));
    this.blocked = find(section, ".blocked");
    this.shutter = /** @type {HTMLButtonElement} */ (find(section, "[data-action=shutter]"));
    this.turner = find(section, "[data-action=turn]");
    this.model = /** @type {HTMLSelectElement} */ (find(section, "select"));
    const photo = /** @type {HTMLSelectElement} */ (find(this.root, "#photo-model")); // the same choice, sent once
    this.model.replaceChildren(...photo.cloneNode(true).childNodes);
    this.model.value = photo.value;
    this.live = new Live(find(section, ".live"), () => { find(section, ".answered").hidden = false; });
    const file = /** @type {HTMLInputElement} */ (find(section, ".take input"));
    file.addEventListener("change", () => { if (file.files?.length) offer(section, file.files[0]); });
    find(section, "[data-action=again]").addEventListener("click", () => this.start());
    this.shutter.addEventListener("click", () => this.#keep());
    this.turner.addEventListener("click", () => this.#turn());
    this.model.addEventListener("change", () => { chooseModel(this.root, this.model); this.#seen.clear(); });
    this.#name();
  }

  /** Asks for the camera and begins to look. */
  async start() {
    this.stop();
    const looking = this.#looking = new AbortController();
    this.blocked.hidden = true;
    const reason = await this.lens.start();
    if (looking.signal.aborted) return; // the visitor went on to something else
    if (reason) return this.#block(reason);
    this.shutter.hidden = false;
    this.turner.hidden = !(await this.lens.several());
    await this.#look(looking.signal);
  }

  /** Turns the camera off. */
  stop() {
    this.#looking?.abort();
    this.lens.stop();
    this.#seen.clear();
    this.live.say();
    this.shutter.hidden = this.turner.hidden = true;
  }

  #turn() {
    this.lens.turn();
    this.start();
  }

  /** Asks about one frame after the other until the camera is closed, and not while the page is hidden. @param {AbortSignal} signal */
  async #look(signal) {
    while (!signal.aborted) {
      await visible();
      const began = performance.now();
      const wait = await this.#ask(signal);
      const took = performance.now() - began;
      await new Promise((done) => setTimeout(done, Math.max(wait, PAUSE_MS - took, (REST - 1) * took)));
    }
  }

  /** Asks about the frame of this moment. Returns how long to wait at least. @param {AbortSignal} signal */
  async #ask(signal) {
    const body = new FormData();
    body.append("image", await jpeg(this.lens.frame(SIDE), QUALITY), "frame.jpg");
    const model = this.model.value ? `&model=${encodeURIComponent(this.model.value)}` : "";
    /** @type {Response | null} */
    const response = await fetch(`/api/predict?top=${ASKED}${model}`, { method: "POST", body, signal }).catch(() => null);
    /** @type {Answer | Problem} */
    const answer = await response?.json().catch(() => ({ reason: "none" })) ?? {};
    if (signal.aborted) return 0;
    this.live.tell(answer.label === undefined ? answer : this.#smooth(answer));
    if (response?.ok) return 0;
    return Number(response?.headers.get("Retry-After")) * 1000 || BUSY_MS;
  }

  /** The answer with the mean of the last probabilities, in which newer ones count more. @param {Answer} answer @returns {Answer} */
  #smooth(answer) {
    const now = new Map(answer.predictions.map(({ label, probability }) => [label, probability]));
    const fresh = this.#seen.size ? FRESH : 1;
    for (const label of new Set([...now.keys(), ...this.#seen.keys()]))
      this.#seen.set(label, fresh * (now.get(label) ?? 0) + (1 - fresh) * (this.#seen.get(label) ?? 0));
    const predictions = [...this.#seen].map(([label, probability]) => ({ label, probability }))
      .sort((a, b) => b.probability - a.probability).slice(0, SHOWN);
    const settled = predictions[0].label === answer.label;
    return { ...answer, label: predictions[0].label, wording: settled ? answer.wording : "not sure", predictions };
  }

  /** Sends this frame as a photo, which has a page of its own. */
  async #keep() {
    this.lens.video.pause();
    offer(this.section, new File([await jpeg(this.lens.frame(Infinity), KEPT_QUALITY)], "camera.jpg", { type: "image/jpeg" }));
  }

  /** Says why there is no live picture, and offers to take a photo. @param {string} reason */
  #block(reason) {
    find(this.blocked, "[role=alert]").textContent = this.section.dataset[reason] ?? "";
    find(this.blocked, "[data-action=again]").hidden = reason === "insecure";
    this.blocked.hidden = false;
  }

  /** Loads the labels' names in the page's language. Without them, labels stand as they are. */
  async #name() {
    /** @type {Record<string, [string, string]>} */
    const names = await fetch(String(this.section.dataset.labels)).then((answer) => answer.json()).catch(() => ({}));
    find(this.section, "datalist").append(...Object.entries(names).map(([label, [name, named]]) => {
      const option = new Option(name, label);
      option.label = named;
      return option;
    }));
  }
}
