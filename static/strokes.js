// @ts-check
/** A drawing as the server takes it: strokes in the form of Quick, Draw!, and the page that they are on. */
import { FIELD } from "./canvas.js";

/** What is sent are whole numbers: tenths of the drawing's units. */
const FINE = 10;

/** How far a simplified line may be from what was drawn, in the drawing's units. */
const TOLERANCE = 0.5;

/** A stroke that stays within so many units is a dot: a finger is never quite still. */
const DOT = 4;

/** How close points are where a line is cut. */
const CUT = 2;

/** The server accepts 65,536 characters. */
const MOST = 65_000;

/** @typedef {import("./canvas.js").Stroke} Stroke */
/** @typedef {import("./canvas.js").Sketch} Sketch */

/** The drawing as JSON. A very long one is simplified until the server accepts it. @param {Sketch} sketch */
export function toJson(sketch) {
  const { paper } = sketch.pen();
  const strokes = visible(sketch.current, paper);
  const pens = strokes.map(({ width, color }) => ({ width: width * FINE, ink: color }));
  for (let tolerance = TOLERANCE; ; tolerance *= 2) {
    const json = JSON.stringify({
      strokes: strokes.map(({ points }) => simplify(points, tolerance)).map((points) => [0, 1].map((axis) => points.map((point) => Math.round(point[axis] * FINE)))),
      page: { side: FIELD * FINE, paper, pens },
    });
    if (json.length < MOST || tolerance > FIELD) return json;
  }
}

/** The parts of the strokes that can be seen. A stroke in the paper's color cannot, and erases what lies below it.
 * @param {Stroke[]} strokes @param {string} paper @returns {Stroke[]} */
function visible(strokes, paper) {
  return strokes.flatMap((stroke, i) => {
    if (stroke.color === paper) return [];
    const erasers = strokes.slice(i + 1).filter(({ color }) => color === paper);
    /** @param {number[]} point */
    const shown = (point) => point.every((at) => at >= 0 && at <= FIELD) && !erasers.some((eraser) => covers(eraser, point));
    if (!erasers.length && stroke.points.every(shown)) return [stroke];
    return runs(dense(stroke.points), shown).map((points) => ({ ...stroke, points }));
  });
}

/** @param {Stroke} stroke @param {number[]} point */
function covers({ points, width }, point) {
  return points.some((one, i) => distance(point, one, points[i + 1] ?? one) <= width / 2);
}

/** A line with points in between, at most `CUT` apart. @param {number[][]} points */
function dense(points) {
  return points.flatMap((point, i) => {
    const next = points[i + 1] ?? point;
    const count = Math.max(1, Math.ceil(Math.hypot(next[0] - point[0], next[1] - point[1]) / CUT));
    return Array.from({ length: count }, (_, k) => point.map((at, axis) => at + (next[axis] - at) * k / count));
  });
}

/** The longest parts of a line whose points all pass. @param {number[][]} points @param {(point: number[]) => boolean} passes */
function runs(points, passes) {
  /** @type {number[][][]} */ const found = [];
  let before = false;
  for (const point of points) {
    const now = passes(point);
    if (now && before) found[found.length - 1].push(point);
    else if (now) found.push([point]);
    before = now;
  }
  return found;
}

/** A line without the points that hardly change it: the algorithm of Ramer, Douglas and Peucker.
 * @param {number[][]} points @param {number} tolerance @returns {number[][]} */
function simplify(points, tolerance) {
  if (points.every((point) => Math.hypot(point[0] - points[0][0], point[1] - points[0][1]) < DOT)) return [points[0]];
  const keep = new Set([0, points.length - 1]);
  const parts = [[0, points.length - 1]];
  for (let part = parts.pop(); part; part = parts.pop()) {
    const [start, end] = part;
    let farthest = start, most = tolerance;
    for (let i = start + 1; i < end; i++) {
      const away = distance(points[i], points[start], points[end]);
      if (away > most) [farthest, most] = [i, away];
    }
    if (farthest === start) continue;
    keep.add(farthest);
    parts.push([start, farthest], [farthest, end]);
  }
  return points.filter((_, i) => keep.has(i));
}

/** The distance of a point from the line between two others. @param {number[]} point @param {number[]} start @param {number[]} end */
function distance([x, y], [left, top], [right, bottom]) {
  const [across, down] = [right - left, bottom - top];
  const along = ((x - left) * across + (y - top) * down) / (across * across + down * down) || 0;
  const share = Math.min(1, Math.max(0, along));
  return Math.hypot(x - left - share * across, y - top - share * down);
}
