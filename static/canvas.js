// @ts-check
/** The drawing surface. It stores strokes as points and can draw them at any size. */

/** Side of the drawing in its own units, whatever its size on the screen. */
export const FIELD = 400;

/** Duration and pen width of a drawing that is played back. */
const PERFORMANCE_MS = 900, PERFORMER = 10;

/** How far an arrow key moves the pen, and how far with Shift. */
const STEP = 10, SMALL_STEP = 2;

/** @type {Record<string, number[]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {{ points: number[][], width: number, color: string }} Stroke */
/** @typedef {{ width: number, color: string, paper: string }} Pen */

/** Fires "change" after the finished drawing changed, and "growth" while a stroke is being drawn. */
export class Sketch extends EventTarget {
  /** @type {Stroke[]} */ #strokes = [];
  /** @type {Stroke[][]} */ #past = [];
  /** @type {Stroke[][]} */ #future = [];
  /** @type {Stroke | null} The stroke that is being drawn. */ #open = null;
  /** @type {Stroke[] | null} The drawing that is being played back, */ #script = null;
  /** and how far: 0 to 1. */ #progress = 0;
  #cursor = [FIELD / 2, FIELD / 2];
  /** The pointer that draws, by its id. */ #pointer = -1;
  #frame = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => Pen} pen called at the start of each stroke
   */
  constructor(canvas, pen) {
    super();
    this.canvas = canvas;
    this.pen = pen;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"])
      canvas.addEventListener(end, (event) => this.#up(/** @type {PointerEvent} */ (event)));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.redraw());
    canvas.addEventListener("blur", () => { this.#close(); this.redraw(); });
    new ResizeObserver(() => this.redraw()).observe(canvas);
    // Zooming changes the pixel density, and not always the size.
    addEventListener("resize", () => this.redraw());
    this.#watchDensity();
  }

  get strokes() { return this.#strokes; }

  /** The drawing as it is on the screen, with the stroke that is being drawn. */
  get current() {
    const strokes = this.#script ? part(this.#script, this.#progress) : this.#strokes;
    return this.#open ? [...strokes, this.#open] : strokes;
  }

  get blank() { return this.#strokes.length === 0; }
  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  undo() { this.settle(); this.#travel(this.#past, this.#future); }
  redo() { this.settle(); this.#travel(this.#future, this.#past); }
  clear() { this.settle(); if (!this.blank) this.#become([]); }

  /** Clears the canvas and its history. */
  restart() {
    this.settle();
    [this.#strokes, this.#past, this.#future] = [[], [], []];
    this.#changed();
  }

  /** @param {Stroke[]} strokes from `strokes` of an earlier drawing */
  restore(strokes) { this.#become(strokes); }

  /** Plays back lines as one step to undo; draws them at once for visitors who prefer reduced motion. @param {number[][][]} lines */
  perform(lines) {
    this.settle();
    const { color } = this.pen();
    this.#script = lines.map((points) => ({ points, width: PERFORMER, color }));
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.settle();
    else this.#play(this.#script, performance.now());
  }

  /** Finishes the stroke that is being drawn, or the drawing that is being played back. */
  settle() {
    this.#close();
    const script = this.#script;
    this.#script = null;
    if (script) this.#become(script);
  }

  /** The drawing as a picture, the same on every screen. */
  export() {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = FIELD;
    // The pixels are only read, so they need not go to the graphics card and back.
    this.#paint(/** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false, willReadFrequently: true })), 1);
    return canvas;
  }

  /** Draws once before the next frame, however often it is called. */
  redraw() { this.#frame ||= requestAnimationFrame(() => this.#show()); }

  /** @param {Stroke[]} strokes */
  #become(strokes) {
    this.#past.push(this.#strokes);
    this.#future = [];
    this.#strokes = strokes;
    this.#changed();
  }

  /** @param {Stroke[][]} from @param {Stroke[][]} to */
  #travel(from, to) {
    const strokes = from.pop();
    if (!strokes) return;
    to.push(this.#strokes);
    this.#strokes = strokes;
    this.#changed();
  }

  #changed() {
    this.redraw();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number[]} point */
  #begin(point) {
    this.settle();
    const { width, color } = this.pen();
    this.#open = { points: [point], width, color };
    this.redraw();
  }

  /** @param {number[]} point */
  #extend(point) {
    this.#open?.points.push(point);
    this.#grow();
  }

  #grow() {
    this.redraw();
    this.dispatchEvent(new Event("growth"));
  }

  /** @param {Stroke[]} script @param {number} start */
  #play(script, start) {
    requestAnimationFrame((now) => {
      if (this.#script !== script) return;
      this.#progress = Math.max(0, (now - start) / PERFORMANCE_MS);
      if (this.#progress >= 1) return this.settle();
      this.#grow();
      this.#play(script, start);
    });
  }

  #close() {
    if (!this.#open) return;
    const stroke = this.#open;
    this.#open = null;
    this.#become([...this.#strokes, stroke]);
  }

  /** @param {PointerEvent} event */
  #down(event) {
    // Other fingers, a palm and other mouse buttons do not draw.
    if (!event.isPrimary || event.button !== 0 || this.canvas.hasPointerCapture(this.#pointer)) return;
    this.#pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.#begin(this.#locate(event));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (event.pointerId === this.#pointer) this.#close();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.#open || !this.canvas.hasPointerCapture(event.pointerId)) return;
    const coalesced = event.getCoalescedEvents?.() ?? [];
    for (const one of coalesced.length ? coalesced : [event]) this.#extend(this.#locate(one));
  }

  /** @param {PointerEvent} event */
  #locate(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = FIELD / box.width;
    // A tenth of a unit is finer than any screen shows, and keeps the stored drawing small.
    return [event.clientX - box.left, event.clientY - box.top].map((at) => Math.round(at * scale * 10) / 10);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) this.#step(ARROWS[event.key], event.shiftKey ? SMALL_STEP : STEP);
    else if (event.key === " ") this.#open ? this.#close() : this.#begin(this.#cursor);
    else return;
    event.preventDefault();
  }

  /** @param {number[]} direction @param {number} size */
  #step(direction, size) {
    this.#cursor = this.#cursor.map((at, axis) => Math.min(FIELD, Math.max(0, at + direction[axis] * size)));
    this.#open ? this.#extend(this.#cursor) : this.redraw();
  }

  /** Redraws when the window moves to a screen with another pixel density, which changes no size. */
  #watchDensity() {
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`)
      .addEventListener("change", () => { this.redraw(); this.#watchDensity(); }, { once: true });
  }

  #show() {
    this.#frame = 0;
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    // Setting the size clears the canvas, even if it stays the same.
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.#paint(context, side / FIELD);
    if (this.canvas.matches(":focus-visible")) this.#paintCursor(context);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} scale */
  #paint(context, scale) {
    paint(context, scale, this.pen().paper, this.current);
  }

  /** Draws a ring at the pen, filled while the pen is down. White around blue is visible on any paper. @param {CanvasRenderingContext2D} context */
  #paintCursor(context) {
    context.beginPath();
    context.arc(this.#cursor[0], this.#cursor[1], 9, 0, 2 * Math.PI);
    for (const [color, width] of [["#fff", 6], ["#3049c4", 3]]) {
      context.strokeStyle = String(color);
      context.lineWidth = Number(width);
      context.stroke();
    }
    context.fillStyle = "#3049c4";
    if (this.#open) context.fill();
  }
}

/** A drawing as a small canvas. @param {Stroke[]} strokes @param {number} side in CSS pixels @param {string} paper */
export function thumbnail(strokes, side, paper = "#ffffff") {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side * Math.ceil(devicePixelRatio);
  paint(/** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), canvas.width / FIELD, paper, strokes);
  return canvas;
}

/** @param {CanvasRenderingContext2D} context @param {number} scale @param {string} paper @param {Stroke[]} strokes */
function paint(context, scale, paper, strokes) {
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.fillStyle = paper;
  context.fillRect(0, 0, FIELD, FIELD);
  for (const stroke of strokes) trace(context, stroke);
}

/** The first of a drawing's points, stroke by stroke. @param {Stroke[]} strokes @param {number} share 0 to 1 */
function part(strokes, share) {
  let left = 1 + Math.floor(share * strokes.reduce((sum, { points }) => sum + points.length, 0));
  return strokes.flatMap((stroke) => {
    const points = stroke.points.slice(0, Math.max(0, left));
    left -= stroke.points.length;
    return points.length ? [{ ...stroke, points }] : [];
  });
}

/** Draws a stroke as a smooth line: quadratic curves between midpoints, with the points as control points. @param {CanvasRenderingContext2D} context @param {Stroke} stroke */
function trace(context, { points, width, color }) {
  const [first, ...rest] = points;
  context.beginPath();
  context.moveTo(first[0], first[1]);
  // A tap becomes a dot: round caps need a line, however short it is.
  context.lineTo(first[0] + 0.01, first[1]);
  rest.forEach(([x, y], i) => {
    const next = rest[i + 1] ?? [x, y];
    context.quadraticCurveTo(x, y, (x + next[0]) / 2, (y + next[1]) / 2);
  });
  context.strokeStyle = color;
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  context.stroke();
}
