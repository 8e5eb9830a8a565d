// @ts-check
/** Adds pictures: files that are chosen, dropped or pasted, folders whose names become classes, and zip files. */
import { find } from "./dom.js";
import { Refusal } from "./teach-workshop.js";

/** @typedef {import("./teach-workshop.js").Workshop} Workshop */
/** @typedef {import("./teach-workshop.js").Example} Example */
/** A file, and the name of its class. Without one it is added without a label. @typedef {{ file: File, label?: string }} Piece */
/** @typedef {Example | { error: import("./teach-workshop.js").Problem }} Result */

/** Refused pictures that are listed by name. */
const NAMED = 10;
/** Bytes of the files in one request, if they are several. */
const BYTES = 8 * 2 ** 20;
/** Names of the parts of a data set, which are no classes. */
const SPLITS = ["train", "training", "val", "valid", "validation", "test", "testing"];

/** Sends files to the classifier, some at a time, and shows each as soon as it is stored.
 * @param {Workshop} shop @param {Piece[]} pieces @param {string} [origin] "camera" if they are frames */
export async function send(shop, pieces, origin) {
  if (!pieces.length) return shop.say(String(shop.words.sayNone));
  const bar = /** @type {HTMLProgressElement} */ (find(shop.dock, "progress"));
  /** @type {string[]} */ const refused = [];
  let [done, added, strange] = [0, 0, false];
  bar.hidden = false;
  for (const part of parts(pieces, Number(shop.words.most))) {
    shop.say(shop.phrase("saySending", { done, count: pieces.length }));
    bar.value = done / pieces.length;
    const results = await store(shop, part, origin).catch((error) => {
      if (!(error instanceof Refusal)) throw error;
      return part.map(() => ({ error: { title: error.message } }));
    });
    results.forEach((result, i) => {
      if ("error" in result) refused.push(`${part[i]?.file.name ?? ""}: ${shop.title(result.error)}`);
      else if (++added) strange = !shop.put(result) || strange;
    });
    done += part.length;
  }
  bar.hidden = true;
  if (strange) await shop.refresh(["columns"]); // there are new classes
  if (added) shop.changed();
  shop.mention(shop.phrase("sayAdded", { n: added }));
  complain(shop, refused);
}

/** @param {Workshop} shop @param {Piece[]} part of one class, or one zip @param {string} [origin] @returns {Promise<Result[]>} */
async function store(shop, part, origin) {
  const form = new FormData();
  for (const { file } of part) form.append(isZip(file) ? "zip" : "image", file, file.name);
  if (part[0].label) form.append("label", part[0].label);
  if (origin) form.append("origin", origin);
  return (await shop.ask("POST", "/examples", form)).results;
}

/** Groups of files of one class that go in one request each: so few bytes that they arrive in time on a slow line.
 * @param {Piece[]} pieces @param {number} most files */
function parts(pieces, most) {
  /** @type {Map<string, Piece[][]>} */ const groups = new Map();
  for (const piece of pieces) {
    const key = isZip(piece.file) ? `zip ${groups.size}` : `of ${piece.label ?? ""}`;
    const group = groups.get(key) ?? [[]];
    groups.set(key, group);
    const last = /** @type {Piece[]} */ (group.at(-1));
    const size = last.reduce((sum, { file }) => sum + file.size, piece.file.size);
    if (last.length && (last.length === most || size > BYTES)) group.push([piece]);
    else last.push(piece);
  }
  return [...groups.values()].flat();
}

/** @param {File} file */
const isZip = (file) => file.name.toLowerCase().endsWith(".zip");

/** The extension of a file's name; "" if it has none. A name that was cut out of a URL may go on with its query. @param {File} file */
const extensionOf = ({ name }) => /\.([^.]*)$/.exec(name.replace(/\?.*/, ""))?.[1].toLowerCase() ?? "";

/** Whether a file may be a picture: without an extension, its bytes decide. Folders also hold lists, notes, and what the system
 * hides. @param {File} file @param {string[]} extensions of pictures */
function isPicture(file, extensions) {
  if (file.name.startsWith(".")) return false;
  return file.type.startsWith("image/") || ["", ...extensions].includes(extensionOf(file));
}

/** Names the pictures that were refused, and why. @param {Workshop} shop @param {string[]} refused */
function complain(shop, refused) {
  const box = find(shop.root, ".refused");
  box.hidden = refused.length === 0;
  const more = refused.length - NAMED;
  find(box, "ul").replaceChildren(...[...refused.slice(0, NAMED), ...(more > 0 ? [`+ ${more}`] : [])].map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

/** A file, and the folders that lead to it, outermost first. @typedef {{ file: File, folders: string[] }} Found */

/** Files with the classes that their folders name, by the rule of `inkling.teach.intake.classes`: the outermost folder, except
 * one around all classes, and one that names a part of a data set. Files without an extension, such as a README, do not tell
 * where the classes are, unless there is nothing else. @param {Found[]} found @returns {Piece[]} */
function classified(found) {
  let paths = found.map(({ folders }) => folders);
  const clear = found.some(({ file }) => extensionOf(file));
  while (isWrapped(paths.filter((_, i) => !clear || extensionOf(found[i].file)))) paths = paths.map((folders) => folders.slice(1));
  return found.map(({ file }, i) => {
    const [first, second] = paths[i];
    return { file, label: second && SPLITS.includes(first.toLowerCase()) ? second : first };
  });
}

/** Whether all files are in one folder that holds classes: several folders, or nothing but a folder. @param {string[][]} paths */
function isWrapped(paths) {
  if (!paths.length || new Set(paths.map(([first]) => first)).size > 1 || !paths[0].length) return false;
  const inner = paths.filter(({ length }) => length > 1);
  return inner.length === paths.length || new Set(inner.map(([, second]) => second)).size > 1;
}

/** All files of a dropped file or folder. @param {FileSystemEntry} entry @param {string[]} [folders] @returns {Promise<Found[]>} */
async function unfold(entry, folders = []) {
  if (entry.isFile) return [{ file: await new Promise((done, fail) => /** @type {FileSystemFileEntry} */ (entry).file(done, fail)), folders }];
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {Found[]} */ const found = [];
  for (;;) { // a reader returns a hundred entries at a time
    /** @type {FileSystemEntry[]} */ const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return found;
    for (const one of some) found.push(...await unfold(one, [...folders, entry.name]));
  }
}

/** What was dropped. @param {DataTransfer} data @returns {Promise<Found[]>} */
async function dropped(data) {
  // Entries must be taken at once: the browser empties the list after the event.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (entries.length) return (await Promise.all(entries.map((entry) => unfold(entry)))).flat();
  return [...data.files].map((file) => ({ file, folders: [] }));
}

/** @param {Workshop} shop */
export function start(shop) {
  const { root, signal } = shop;
  const extensions = String(shop.words.extensions).split(" ");
  /** The class that was used last: what is pasted goes there. */ let last = "";

  /** @param {Found[]} found @param {string} [label] the class of all of them */
  const take = (found, label) => shop.attempt(() => send(shop, classified(
    found.filter(({ file }) => isZip(file) || isPicture(file, extensions)),
  ).map((piece) => ({ file: piece.file, label: label ?? piece.label }))));

  /** @param {EventTarget | null} target */
  const nameOf = (target) => target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest(".class[data-name]:not(.loose)"))?.dataset.name : undefined;

  root.addEventListener("focusin", ({ target }) => { last = nameOf(target) ?? last; });
  root.addEventListener("change", ({ target }) => {
    const input = /** @type {HTMLInputElement} */ (target);
    if (input.type !== "file" || input.closest("dialog, #try, form")) return;
    const files = [...input.files ?? []];
    take(files.map((file) => ({ file, folders: file.webkitRelativePath.split("/").slice(0, -1) })), nameOf(input));
    input.value = "";
  });
  for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, async (event) => {
    const { dataTransfer: data, target } = /** @type {DragEvent} */ (event);
    const hasLink = data?.types.includes("text/uri-list");
    if (!data || !(hasLink || data.types.includes("Files"))) return;
    event.preventDefault();
    /** @type {Element} */ (target).closest?.(".class")?.classList.toggle("over", type === "dragover");
    if (type !== "drop") return;
    if (hasLink && !data.files.length) shop.say(String(shop.words.sayLink)); // the browser passed on no picture
    else if (!(/** @type {Element} */ (target).closest?.("#try"))) take(await dropped(data), nameOf(target));
  }, { signal });
  document.addEventListener("paste", async (event) => {
    const data = event.clipboardData;
    if (!data?.files.length) return;
    event.preventDefault();
    take([...data.files].map((file) => ({ file, folders: [] })), nameOf(event.target) ?? (last || undefined));
  }, { signal });
  root.addEventListener("submit", (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.matches(".more-class form")) return;
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (find(form, "[name=label]"));
    shop.attempt(async () => {
      const label = await shop.ask("POST", "/labels", { name: field.value });
      await shop.refresh(["columns"]);
      const fresh = /** @type {HTMLElement | null} */ (shop.column(label.id)?.querySelector(".adders input") ?? null);
      fresh?.focus();
    });
  });
}
