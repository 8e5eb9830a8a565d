// @ts-check
/** The heat map of "Try it": hides one part of the picture after the other, and asks the newest version again each time. */

/** @typedef {import("./teach-workshop.js").Workshop} Workshop */
/** @typedef {import("./ask.js").Guess} Guess */

/** Parts in a row and in a column. */
const GRID = 6;
/** The side of the square that is sent, in pixels. */
const SIDE = 256;
/** The paper of drawings, and what photos are covered with. */
const COVER = { ink: "#ffffff", photo: "#7f7f7f" };
/** The color of the part that carries the answer most. */
const HOT = [255, 96, 0], STRONGEST = 230;

/** Draws the map over the picture.
 * @param {Workshop} shop @param {ImageBitmap | HTMLCanvasElement} picture @param {HTMLCanvasElement} map a pixel for each part */
export async function paint(shop, picture, map) {
  const covered = Array.from({ length: GRID * GRID }, (_, part) => part);
  const [whole] = await ask(shop, [await draw(picture, shop)]);
  if (!whole?.length) return;
  const [{ label, probability }] = whole;
  const most = Number(shop.words.most);
  /** @type {number[]} */ const drops = [];
  for (let i = 0; i < covered.length; i += most) {
    const files = await Promise.all(covered.slice(i, i + most).map((part) => draw(picture, shop, part)));
    for (const guesses of await ask(shop, files)) drops.push(probability - (guesses?.find((guess) => guess.label === label)?.probability ?? 0));
  }
  const strongest = Math.max(...drops, 0.01);
  map.width = map.height = GRID;
  const context = /** @type {CanvasRenderingContext2D} */ (map.getContext("2d"));
  const pixels = context.createImageData(GRID, GRID);
  drops.forEach((drop, i) => pixels.data.set([...HOT, STRONGEST * Math.max(0, drop / strongest)], 4 * i));
  context.putImageData(pixels, 0, 0);
}

/** The guesses about each picture; none about one that cannot be answered. @param {Workshop} shop @param {Blob[]} files @returns {Promise<(Guess[] | undefined)[]>} */
async function ask(shop, files) {
  const form = new FormData();
  for (const file of files) form.append("image", file, "part.png");
  const answer = await shop.ask("POST", "/try?top=1000", form);
  return (answer.results ?? [answer]).map((/** @type {{ predictions?: Guess[] }} */ one) => one.predictions);
}

/** The picture as a file, with one part hidden. @param {ImageBitmap | HTMLCanvasElement} picture @param {Workshop} shop @param {number} [part] @returns {Promise<Blob>} */
function draw(picture, { words: { kind } }, part) {
  const canvas = document.createElement("canvas");
  const zoom = SIDE / Math.max(picture.width, picture.height);
  [canvas.width, canvas.height] = [picture.width, picture.height].map((length) => Math.max(1, Math.round(length * zoom)));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (part !== undefined) {
    const [wide, high] = [canvas.width / GRID, canvas.height / GRID];
    context.fillStyle = kind === "ink" ? COVER.ink : COVER.photo;
    context.fillRect((part % GRID) * wide, Math.floor(part / GRID) * high, wide, high);
  }
  return new Promise((done) => canvas.toBlob((blob) => done(/** @type {Blob} */ (blob)), "image/png"));
}
