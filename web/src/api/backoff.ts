/** Pauses between attempts: doubling, capped, jittered so that many clients do not come back at once. */
const FIRST_MS = 200;
const LONGEST_MS = 3_000;

export class Backoff {
  #next = FIRST_MS;

  reset(): void {
    this.#next = FIRST_MS;
  }

  next(): number {
    const pause = this.#next;
    this.#next = Math.min(pause * 2, LONGEST_MS);
    return pause / 2 + (Math.random() * pause) / 2;
  }
}

/** Waits; returns early when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
