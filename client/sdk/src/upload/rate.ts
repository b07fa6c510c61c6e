// Bytes per second over a short window, so that a stall shows and a burst does not mislead.

const WINDOW_MS = 5_000;

/** Watches a counter that grows. */
export class Rate {
  #samples: { at: number; bytes: number }[] = [];

  /** Takes the counter's value at a time in milliseconds. */
  sample(bytes: number, at: number): void {
    const last = this.#samples.at(-1);
    // A cancelled or restarted file takes its bytes out of the sum.
    if (last !== undefined && bytes < last.bytes) this.#samples = [];
    this.#samples.push({ at, bytes });
    while (this.#samples.length > 2 && at - (this.#samples[0]?.at ?? at) > WINDOW_MS) this.#samples.shift();
  }

  /** Zero until two samples differ in time. */
  get bytesPerSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at <= first.at) return 0;
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
  }
}
