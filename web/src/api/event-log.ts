/** The newest events of the shop, live: each once however often it comes, the newest first, EVENTS_MAX of them. */
import { api, asked, type ShopEvent } from "./client";
import { Feed } from "./feed";

export const EVENTS_MAX = 10_000;
const READ_AT_FIRST = 500;

export interface LoggedEvent extends ShopEvent {
  /** Milliseconds since 1970. */
  at: number;
}

export interface Log {
  events: readonly LoggedEvent[];
  /** How many, about, were told to be left out: more came in than can be shown live. */
  skipped: number;
  loaded: boolean;
}

export class EventLog {
  #events: LoggedEvent[] = [];
  #ids = new Set<string>();
  #incoming: LoggedEvent[] = [];
  #snapshot: Log = { events: [], skipped: 0, loaded: false };
  #flushing = false;
  #taps = new Set<(event: LoggedEvent) => void>();
  readonly feed: Feed;

  constructor() {
    this.feed = new Feed(
      "/events/stream",
      ({ event, data }) => {
        if (event === "skipped") this.#skip((JSON.parse(data) as { events: number }).events);
        else this.add([JSON.parse(data) as ShopEvent]);
      },
      (resumed) => {
        if (!resumed) void this.#read();
      },
    );
  }

  snapshot = (): Log => this.#snapshot;

  /** All that is known, in no order. */
  known(): readonly LoggedEvent[] {
    return [...this.#events, ...this.#incoming];
  }

  /** Told of each event that was not known, as it comes, and of the past the oldest first. */
  tap(told: (event: LoggedEvent) => void): () => void {
    this.#taps.add(told);
    return () => this.#taps.delete(told);
  }

  add(events: readonly ShopEvent[]): void {
    for (const event of events) {
      if (this.#ids.has(event.id)) continue;
      this.#ids.add(event.id);
      const logged = { ...event, at: Date.parse(event.time) };
      this.#incoming.push(logged);
      for (const told of this.#taps) told(logged);
    }
    if (this.#incoming.length && !this.#flushing) {
      this.#flushing = true;
      setTimeout(() => this.flush(), 30);
    }
  }

  /** Many events that come together are one change of the page. */
  flush(): void {
    this.#flushing = false;
    const incoming = this.#incoming.sort(newestFirst);
    this.#incoming = [];
    const oldest = incoming.at(-1);
    if (!oldest) return;
    // What has come is new, but for a few: only so many of those that were there are put in order again.
    const place = this.#events.findIndex((event) => newestFirst(oldest, event) < 0);
    const newer = place < 0 ? this.#events.length : place;
    const head = [...incoming, ...this.#events.slice(0, newer)].sort(newestFirst);
    const merged = head.concat(this.#events.slice(newer));
    for (const event of merged.splice(EVENTS_MAX)) this.#ids.delete(event.id);
    this.#events = merged;
    this.#publish({});
  }

  #skip(count: number): void {
    this.#publish({ skipped: this.#snapshot.skipped + count });
    void this.#read();
  }

  async #read(): Promise<void> {
    try {
      const page = await asked(api.GET("/events", { params: { query: { limit: READ_AT_FIRST } } }));
      this.add(page.items.toReversed());
      this.#publish({ loaded: true });
    } catch {
      // The feed says that there is no connection; what is live comes all the same.
    }
  }

  #publish(changes: Partial<Log>): void {
    this.#snapshot = { ...this.#snapshot, ...changes, events: this.#events };
    this.feed.notify();
  }
}

/** Times have as many digits as they need, so those of the same millisecond are compared as texts without the Z. */
function newestFirst(a: LoggedEvent, b: LoggedEvent): number {
  return b.at - a.at || (a.time.slice(0, -1) < b.time.slice(0, -1) ? 1 : -1);
}

export const eventLog = new EventLog();
