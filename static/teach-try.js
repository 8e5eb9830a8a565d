// @ts-check
/** "Try it": asks the newest version about a photo, a drawing, or what the camera sees. */
import { Sketch } from "./canvas.js";
import { find, setUsable } from "./dom.js";
import { Lens, jpeg, visible } from "./lens.js";
import { Live } from "./live.js";
import { toJson } from "./strokes.js";

/** @typedef {import("./teach-workshop.js").Workshop} Workshop */
/** @typedef {import("./ask.js").Answer} Answer */
/** @typedef {import("./ask.js").Problem} Problem */

/** The shortest time between two questions, in milliseconds. */
const PAUSE_MS = 300;
/** The longer side of a frame of the camera, in pixels, and its JPEG quality. */
const SIDE = 480, QUALITY = 0.8;
/** The pen of a drawing. */
const PEN = { width: 16, color: "#000000", paper: "#ffffff" };

/** @param {Workshop} shop */
export function start(shop) {
  const root = find(shop.root, "#try");
  const live = new Live(find(root, ".live"));
  const heat = find(root, "[data-action=heat]"), resume = find(root, "[data-action=live]"), legend = find(root, ".legend"), none = find(root, ".no-part");
  const lens = new Lens(/** @type {HTMLVideoElement} */ (find(root, "video")));
  const blocked = find(root, ".blocked");
  const ways = /** @type {HTMLElement[]} */ ([...root.querySelectorAll(".ways button")]);
  /** The newest question: only its answer is shown. */ let asked = 0;
  /** What can be explained in each panel but the canvas. @type {Record<string, File | null>} */
  const shown = { photo: null, camera: null };
  /** The drawing. @type {Sketch | undefined} */ let pad;

  /** @param {FormData | object} body */
  async function ask(body) {
    const mine = ++asked;
    /** @type {Answer | Problem} */
    const answer = await shop.ask("POST", "/try?top=5", body).catch(() => ({ reason: "failed" }));
    if (mine === asked) live.tell(answer);
  }

  /** @param {Blob} file @param {string} name */
  function asForm(file, name) {
    const form = new FormData();
    form.append("image", file, name);
    return form;
  }

  /** @param {File | undefined} file */
  function look(file) {
    if (!file) return;
    show("photo", file);
    cool(true);
    ask(asForm(file, file.name));
  }

  /** Shows a picture in a panel. @param {string} way @param {File} file */
  function show(way, file) {
    shown[way] = file;
    const frame = find(root, `[data-panel=${way}] .shown`);
    const image = /** @type {HTMLImageElement} */ (find(frame, ".picture"));
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    frame.hidden = false;
  }

  /** Turns the camera off, and keeps its picture of this moment in its place, to explain it. */
  async function freeze() {
    const { video, signal } = lens;
    const file = new File([await jpeg(lens.frame(SIDE), QUALITY)], "frame.jpg", { type: "image/jpeg" });
    if (signal.aborted) return;
    show("camera", file);
    find(root, "[data-panel=camera] .shown").classList.toggle("mirrored", video.classList.contains("mirrored"));
    lens.stop();
    video.hidden = true;
    resume.hidden = false;
    await ask(asForm(file, file.name));
  }

  async function watch() {
    const reason = await lens.start();
    const { signal } = lens;
    const words = /** @type {Record<string, string | undefined>} */ ({
      insecure: shop.words.sayInsecure, denied: shop.words.sayDenied, missing: shop.words.sayMissing, taken: shop.words.sayTaken,
    });
    if (signal.aborted) return;
    blocked.hidden = !reason;
    blocked.textContent = words[reason] ?? "";
    while (!reason && !signal.aborted) {
      await visible();
      const pause = new Promise((done) => setTimeout(done, PAUSE_MS));
      await ask(asForm(await jpeg(lens.frame(SIDE), QUALITY), "frame.jpg"));
      if (!signal.aborted) heat.hidden = false;
      await pause;
    }
  }

  /** Lays a map of what decides over the picture that is shown. */
  async function explain() {
    const panel = find(root, "[data-panel]:not([hidden])");
    const way = String(panel.dataset.panel);
    if (way === "camera" && !shown.camera) await freeze();
    const picture = shown[way], mine = asked;
    if (way !== "draw" && !picture) return; // the visitor turned to something else meanwhile
    const body = picture ? asForm(picture, picture.name) : JSON.parse(toJson(/** @type {Sketch} */ (pad)));
    const { overlay } = await shop.ask("POST", "/explain?overlay=1", body);
    if (mine !== asked) return; // another picture came meanwhile
    const map = /** @type {HTMLImageElement} */ (find(panel, ".heat"));
    if (overlay) map.src = overlay;
    map.hidden = legend.hidden = !overlay;
    none.hidden = Boolean(overlay);
  }

  /** @param {string} way */
  function turn(way) {
    for (const button of ways) button.ariaPressed = String(button.dataset.way === way);
    for (const panel of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-panel]"))) panel.hidden = panel.dataset.panel !== way;
    lens.stop();
    asked++;
    live.say();
    cool(way === "photo" ? Boolean(shown.photo) : way === "draw" && !pad?.blank);
    shown.camera = null;
    lens.video.hidden = false;
    find(root, "[data-panel=camera] .shown").hidden = resume.hidden = true;
    if (way === "camera") watch();
  }

  for (const button of ways) button.addEventListener("click", () => turn(String(button.dataset.way)));
  resume.addEventListener("click", () => {
    turn("camera");
    ways.find(({ dataset }) => dataset.way === "camera")?.focus();
  });
  const input = /** @type {HTMLInputElement} */ (find(root, "[data-panel=photo] input"));
  input.addEventListener("change", () => look(input.files?.[0]));
  root.addEventListener("drop", (event) => {
    turn("photo");
    look(event.dataTransfer?.files[0]);
  });
  heat.addEventListener("click", () => shop.attempt(async () => {
    if (heat.ariaBusy === "true") return;
    heat.ariaBusy = "true";
    heat.textContent = String(heat.dataset.wait);
    await explain().finally(() => {
      heat.ariaBusy = "false";
      heat.textContent = String(heat.dataset.ready);
    });
  }));
  shop.signal.addEventListener("abort", () => lens.stop());
  if (shop.words.kind === "ink") draw();

  /** Takes the map away. @param {boolean} again whether there is a picture to make one of */
  function cool(again) {
    for (const map of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".heat"))) map.hidden = true;
    legend.hidden = none.hidden = true;
    heat.hidden = !again;
  }

  function draw() {
    const panel = find(root, "[data-panel=draw]");
    const sketch = pad = new Sketch(/** @type {HTMLCanvasElement} */ (find(panel, "canvas")), () => PEN);
    sketch.addEventListener("change", () => {
      setUsable(panel, { undo: sketch.canUndo, clear: !sketch.blank });
      cool(!sketch.blank);
      if (sketch.blank) live.say();
      else ask(JSON.parse(toJson(sketch)));
    });
    find(panel, "[data-action=undo]").addEventListener("click", () => sketch.undo());
    find(panel, "[data-action=clear]").addEventListener("click", () => sketch.clear());
  }
}
