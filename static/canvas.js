// @ts-check
/** The drawing surface. It keeps strokes as points, so that it can draw them again at any size; it knows no network. */

/** The drawing's own units: a square of this many, whatever its size on the screen. */
export const FIELD = 400;

/** How far an arrow key moves the pen, and how far with Shift. */
const STEP = 10, SMALL_STEP = 2;

/** @type {Record<string, number[]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {{ points: number[][], width: number, colour: string }} Stroke */
/** @typedef {{ width: number, colour: string, paper: string }} Pen */

/** Fires "change" whenever the finished drawing is another one. */
export class Sketch extends EventTarget {
  /** @type {Stroke[]} */ #strokes = [];
  /** @type {Stroke[][]} */ #past = [];
  /** @type {Stroke[][]} */ #future = [];
  /** @type {Stroke | null} The stroke that is being drawn. */ #open = null;
  #cursor = [FIELD / 2, FIELD / 2];
  #frame = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => Pen} pen asked at the start of each stroke
   */
  constructor(canvas, pen) {
    super();
    this.canvas = canvas;
    this.pen = pen;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#close());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.redraw());
    canvas.addEventListener("blur", () => { this.#close(); this.redraw(); });
    new ResizeObserver(() => this.redraw()).observe(canvas);
    // Zooming changes the density, and not always the size.
    addEventListener("resize", () => this.redraw());
    this.#watchDensity();
  }

  get strokes() { return this.#strokes; }
  get blank() { return this.#strokes.length === 0; }
  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  undo() { this.#travel(this.#past, this.#future); }
  redo() { this.#travel(this.#future, this.#past); }
  clear() { if (!this.blank) this.#become([]); }

  /** @param {Stroke[]} strokes a drawing kept from before, as `strokes` gave it */
  restore(strokes) { this.#become(strokes); }

  /** The drawing as a picture of its own size: the same on every screen. */
  export() {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = FIELD;
    this.#paint(/** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), 1);
    return canvas;
  }

  /** Draws once before the next frame, however often it is asked. */
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
    const { width, colour } = this.pen();
    this.#open = { points: [point], width, colour };
    this.redraw();
  }

  /** @param {number[]} point */
  #extend(point) {
    this.#open?.points.push(point);
    this.redraw();
  }

  #close() {
    if (!this.#open) return;
    const stroke = this.#open;
    this.#open = null;
    this.#become([...this.#strokes, stroke]);
  }

  /** @param {PointerEvent} event */
  #down(event) {
    // A second finger and the other mouse buttons do not draw.
    if (!event.isPrimary || event.button !== 0) return;
    this.#close();
    this.canvas.setPointerCapture(event.pointerId);
    this.#begin(this.#locate(event));
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

  /** A window moved to another screen changes the density without changing any size. */
  #watchDensity() {
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`)
      .addEventListener("change", () => { this.redraw(); this.#watchDensity(); }, { once: true });
  }

  #show() {
    this.#frame = 0;
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    // Setting the size clears the canvas, even to the same value.
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.#paint(context, side / FIELD);
    if (this.canvas.matches(":focus-visible")) this.#paintCursor(context);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} scale */
  #paint(context, scale) {
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = this.pen().paper;
    context.fillRect(0, 0, FIELD, FIELD);
    for (const stroke of this.#strokes) trace(context, stroke);
    if (this.#open) trace(context, this.#open);
  }

  /** A ring where the pen is, filled once it is down; white around blue shows on any paper. @param {CanvasRenderingContext2D} context */
  #paintCursor(context) {
    context.beginPath();
    context.arc(this.#cursor[0], this.#cursor[1], 9, 0, 2 * Math.PI);
    for (const [colour, width] of [["#fff", 6], ["#3049c4", 3]]) {
      context.strokeStyle = String(colour);
      context.lineWidth = Number(width);
      context.stroke();
    }
    context.fillStyle = "#3049c4";
    if (this.#open) context.fill();
  }
}

/** One stroke as a smooth line: curves through the midpoints, bent by the points. @param {CanvasRenderingContext2D} context @param {Stroke} stroke */
function trace(context, { points, width, colour }) {
  const [first, ...rest] = points;
  context.beginPath();
  context.moveTo(first[0], first[1]);
  // A tap becomes a dot: round caps need a line, however short.
  context.lineTo(first[0] + 0.01, first[1]);
  rest.forEach(([x, y], i) => {
    const next = rest[i + 1] ?? [x, y];
    context.quadraticCurveTo(x, y, (x + next[0]) / 2, (y + next[1]) / 2);
  });
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  context.stroke();
}
