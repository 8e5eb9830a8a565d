// @ts-check
/** What the scripts of a classifier's page share: its API, the message at the foot of the page, and fresh parts of the page. */
import { fill, find, parsePage } from "./dom.js";

/** @typedef {{ id: string, label: number | null, name: string }} Example */
/** @typedef {{ change: string, count: number }} Change */
/** What the API says of something that it refused. @typedef {{ reason?: string, title?: string }} Problem */

/** How long a sentence is shown that passes by itself. */
const READ_MS = 10_000;

/** Why the API refused a request, in the words of its problem details. */
export class Refusal extends Error {}

/** Fires "change" after the examples or the labels changed. */
export class Workshop extends EventTarget {
  /** Ends the sentence that passes by itself. @type {number | undefined} */ #passing;

  /** @param {HTMLElement} root @param {AbortSignal} signal aborted when another page takes this one's place */
  constructor(root, signal) {
    super();
    this.root = root;
    this.signal = signal;
    this.words = root.dataset;
    this.id = String(root.dataset.classifier);
    this.api = `/api/classifiers/${this.id}`;
    this.dock = find(root, ".dock");
    /** The title and the advice of each reason why the API refuses something, in the page's language.
     * @type {Record<string, [string, string] | undefined>} */
    this.refusals = JSON.parse(String(root.dataset.refusals));
  }

  /** Asks the classifier's API. @param {string} method @param {string} path after the classifier's address
   * @param {object} [body] a form, or what is sent as JSON @throws {Refusal} */
  async ask(method, path, body) {
    const form = body instanceof FormData;
    const response = await fetch(this.api + path, {
      method,
      headers: body && !form ? { "Content-Type": "application/json" } : {},
      body: form ? body : body && JSON.stringify(body),
      signal: this.signal,
    }).catch(() => { throw new Refusal(this.words.sayLost); });
    const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
    if (!response.ok) throw new Refusal(this.refusals[answer.reason]?.join(". ") ?? answer.detail ?? answer.title ?? this.words.sayLost);
    return answer;
  }

  /** Why an example was refused. @param {Problem} problem */
  title({ reason = "", title = "" }) { return this.refusals[reason]?.[0] ?? title; }

  /** Does something, and says why where the API refuses it. @param {() => Promise<unknown>} action */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!this.signal.aborted) this.say(error.message);
    }
  }

  /** Says what was done, until something else is said.
   * @param {string} sentence @param {boolean} [undo] whether it can be taken back */
  say(sentence, undo = false) {
    clearTimeout(this.#passing);
    this.dock.hidden = false;
    find(this.dock, ".done [role=status]").textContent = sentence;
    find(this.dock, ".done [data-action=undo]").hidden = !undo;
  }

  /** Says what needs no answer, and clears the place when there was time to read it. @param {string} sentence */
  mention(sentence) {
    this.say(sentence);
    this.#passing = setTimeout(() => this.say(""), READ_MS);
  }

  /** A sentence of the page with its {names} filled in. Of one with a number {n}, the page has the forms for 1, 2 and 5.
   * @param {string} name @param {Record<string, string | number>} values */
  phrase(name, values) { return phrase(this.words[name], values); }

  /** Tells the other scripts that the examples changed. */
  changed() { this.dispatchEvent(new Event("change")); }

  /** Fetches the page again and renews some of its parts. @param {string[]} parts by their data-part @param {string} [address] */
  async refresh(parts, address = location.pathname) {
    const response = await fetch(address, { signal: this.signal }).catch(() => null);
    if (response?.ok) this.renew(parsePage(await response.text()), parts);
  }

  /** Puts the parts of a fetched page into this one's place. What was open stays open, and the focus stays in its part.
   * @param {Document} page @param {string[]} parts */
  renew(page, parts) {
    for (const name of parts) {
      const old = find(this.root, `[data-part=${name}]`);
      const fresh = page.querySelector(`[data-part=${name}]`);
      if (!fresh) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      const renewed = /** @type {HTMLElement} */ (document.importNode(fresh, true));
      for (const words of renewed.querySelectorAll("noscript")) words.remove(); // to the parser, there are no scripts
      old.replaceWith(renewed);
      if (!focused) continue;
      const same = focused.id ? renewed.querySelector(`#${CSS.escape(focused.id)}`) : null;
      /** @type {HTMLElement} */ (same ?? renewed).focus({ preventScroll: true });
    }
    this.dispatchEvent(new Event("renew"));
  }

  /** Calls a function with each click on a [data-action] of this name, now and in renewed parts.
   * @param {string} action @param {(target: HTMLElement, event: Event) => void} then */
  on(action, then) {
    this.root.addEventListener("click", (event) => {
      const target = /** @type {HTMLElement} */ (event.target).closest(`[data-action="${action}"]`);
      if (target) then(/** @type {HTMLElement} */ (target), event);
    });
  }

  /** The column of a label; of the examples without one where it is null. @param {number | string | null} label */
  column(label) {
    return /** @type {HTMLElement | null} */ (this.root.querySelector(`.class[data-label="${label ?? ""}"]`));
  }

  /** Changes the number of pictures that a column says it has. @param {HTMLElement} column @param {number} by */
  count(column, by) {
    const count = find(column, ".count b");
    const now = Number(count.dataset.count) + by;
    count.dataset.count = String(now);
    count.textContent = now.toLocaleString(document.documentElement.lang);
    const list = find(column, ".pictures");
    list.hidden = !list.childElementCount;
    const empty = /** @type {HTMLElement | null} */ (column.querySelector(".void"));
    if (empty) empty.hidden = !list.hidden;
  }

  /** Puts an example into the column of its label, before the others; false if that column is not on the page. @param {Example} example */
  put({ id, label, name }) {
    const column = this.column(label);
    if (!column) return false;
    const template = /** @type {HTMLTemplateElement} */ (find(this.root, "#tile"));
    const tile = /** @type {HTMLElement} */ (document.importNode(template.content, true).firstElementChild);
    const image = /** @type {HTMLImageElement} */ (find(tile, "img"));
    tile.id = `x-${id}`;
    tile.dataset.id = id;
    image.src = `${this.api}/examples/${id}/thumbnail`;
    image.alt = name || String(this.words.sayPicture);
    find(column, ".pictures").prepend(tile);
    this.count(column, 1);
    return true;
  }
}

/** A sentence of the page in the form that goes with its number {n}.
 * @param {string | undefined} forms for 1, 2 and 5, with "|" in between; or a sentence without a number
 * @param {Record<string, string | number>} values */
export function phrase(forms = "", values) {
  const [one, two = one, five = one] = forms.split("|");
  const category = new Intl.PluralRules(document.documentElement.lang).select(Number(values.n ?? 1));
  return fill(category === "one" ? one : category === "many" ? five : two, values);
}
