/**
 * A live feed that many parts of the page share: one connection while anybody listens, kept open a moment longer.
 * It reconnects by itself and goes on behind the last id that it has seen.
 */
import { Backoff, pause } from "./backoff";
import { type Incoming, stream } from "./sse";

export type FeedState = "idle" | "connecting" | "live" | "reconnecting";

/** So that a change of page does not cut the connection. */
const LINGER_MS = 3_000;

export class Feed {
  readonly #path: string;
  readonly #onEvent: (event: Incoming) => void;
  readonly #onOpen: (resumed: boolean) => void;
  #listeners = new Set<() => void>();
  #stopped: AbortController | null = null;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #lastId: string | null = null;
  state: FeedState = "idle";

  constructor(path: string, onEvent: (event: Incoming) => void, onOpen: (resumed: boolean) => void = () => {}) {
    this.#path = path;
    this.#onEvent = onEvent;
    this.#onOpen = onOpen;
  }

  /** Keeps the feed open until the returned function is called; `changed` is told of its state and by `notify`. */
  subscribe = (changed: () => void): (() => void) => {
    this.#listeners.add(changed);
    clearTimeout(this.#linger);
    if (!this.#stopped) {
      this.#stopped = new AbortController();
      void this.#run(this.#stopped.signal);
    }
    return () => {
      this.#listeners.delete(changed);
      if (this.#listeners.size === 0) this.#linger = setTimeout(() => this.#stop(), LINGER_MS);
    };
  };

  notify(): void {
    for (const changed of this.#listeners) changed();
  }

  #stop(): void {
    this.#stopped?.abort();
    this.#stopped = null;
    this.state = "idle";
  }

  #tell(state: FeedState): void {
    this.state = state;
    this.notify();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    this.#tell("connecting");
    while (!signal.aborted) {
      try {
        await stream(
          this.#path,
          this.#lastId,
          signal,
          () => {
            backoff.reset();
            this.#onOpen(this.#lastId !== null);
            this.#tell("live");
          },
          (event) => {
            if (event.id) this.#lastId = event.id;
            this.#onEvent(event);
          },
        );
      } catch {
        // Cut off; the state says so.
      }
      if (signal.aborted) return;
      this.#tell("reconnecting");
      await pause(backoff.next(), signal);
    }
  }
}
