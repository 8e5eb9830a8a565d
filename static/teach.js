// @ts-check
/** The page of a classifier that its owner teaches: starts the scripts of its parts. */
import { find } from "./dom.js";
import * as add from "./teach-add.js";
import * as capture from "./teach-capture.js";
import * as changes from "./teach-changes.js";
import * as examples from "./teach-examples.js";
import * as training from "./teach-training.js";
import * as trying from "./teach-try.js";
import { Workshop } from "./teach-workshop.js";

/** @param {HTMLElement} main @param {AbortSignal} signal */
export function start(main, signal) {
  const shop = new Workshop(find(main, ".workshop"), signal);
  for (const part of [changes, examples, add, capture, training, trying]) part.start(shop);
  shop.root.ariaBusy = "false";
}
