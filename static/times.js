// @ts-check
/** Shows dates in the visitor's time zone: the server, which does not know it, writes them in UTC. */

/** @param {HTMLElement} root */
export function start(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  for (const time of root.querySelectorAll("time")) time.textContent = format.format(new Date(time.dateTime));
}
