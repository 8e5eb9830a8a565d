// @ts-check
/** A device's camera: its live picture in a <video>, and single frames of it. */

/** What getUserMedia fails with, and our code of the reason. @type {Record<string, string>} */
const REASONS = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing" };

export class Lens {
  /** @type {MediaStream | undefined} */ #stream;
  #on = new AbortController();
  #facing = "environment";

  /** @param {HTMLVideoElement} video */
  constructor(video) { this.video = video; }

  /** Aborted when the camera that was started last is turned off. */
  get signal() { return this.#on.signal; }

  /** Turns the camera on. Returns the code of the reason why it stays off, or "": insecure, denied, missing or taken. */
  async start() {
    this.stop();
    const { signal } = this.#on = new AbortController();
    if (!navigator.mediaDevices) return "insecure";
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: this.#facing, width: { ideal: 1280 } } });
      if (signal.aborted) { // it was turned off while the browser asked the visitor
        stop(stream);
        return "";
      }
      this.#stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
    } catch (error) {
      return REASONS[/** @type {Error} */ (error).name] ?? "taken";
    }
    this.video.classList.toggle("mirrored", this.#mirrored);
    return "";
  }

  stop() {
    this.#on.abort();
    stop(this.#stream);
    this.video.srcObject = null;
  }

  /** Chooses the camera on the other side for the next start. */
  turn() { this.#facing = this.#facing === "user" ? "environment" : "user"; }

  /** Whether there is more than one camera. Browsers tell this only after the first start. */
  async several() {
    return (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput").length > 1;
  }

  /** The picture of this moment. @param {number} side its longer side in pixels at most */
  frame(side) {
    const { videoWidth, videoHeight } = this.video;
    const zoom = Math.min(1, side / Math.max(videoWidth, videoHeight));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [videoWidth, videoHeight].map((length) => Math.max(1, Math.round(length * zoom)));
    canvas.getContext("2d")?.drawImage(this.video, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  /** A camera that looks at the visitor shows what a mirror would. Desktop cameras do not say where they look. */
  get #mirrored() {
    const [track] = this.#stream?.getVideoTracks() ?? [];
    return track?.getSettings().facingMode !== "environment" && this.#facing === "user";
  }
}

/** A canvas as a JPEG file. @param {HTMLCanvasElement} canvas @param {number} quality @returns {Promise<Blob>} */
export function jpeg(canvas, quality) {
  return new Promise((done) => canvas.toBlob((blob) => done(/** @type {Blob} */ (blob)), "image/jpeg", quality));
}

/** Waits until the page can be seen. */
export function visible() {
  return new Promise((/** @type {(value?: unknown) => void} */ done) => {
    if (!document.hidden) return done();
    document.addEventListener("visibilitychange", () => done(), { once: true });
  });
}

/** @param {MediaStream | undefined} stream */
function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
