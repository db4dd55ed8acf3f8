/**
 * The last minutes second by second, from the live events: orders that were accepted and ended, how long they took, and
 * what was done to the shop meanwhile. Kept while the page is open, whatever is shown.
 */
import { useSyncExternalStore } from "react";
import { eventLog, type LoggedEvent } from "./event-log";

export const SECONDS_SHOWN = 180;
const BEGUN_MAX = 20_000;
const FIRST = "OrderCreated";
const ENDINGS = new Set(["OrderCompleted", "OrderCancelled"]);

export interface Mark {
  at: number;
  text: string;
  kind: "fault" | "healed";
}

export interface Second {
  at: number;
  /** Nothing is known of the time before the oldest event that was read. */
  accepted: number | null;
  ended: number | null;
  p50: number | null;
  p95: number | null;
}

export class Pulse {
  #begun = new Map<string, number>();
  #accepted = new Map<number, number>();
  #took = new Map<number, number[]>();
  #marks: Mark[] = [];
  #knownSince = Number.POSITIVE_INFINITY;
  #listeners = new Set<() => void>();

  hear(event: LoggedEvent): void {
    if (!event.orderId) return;
    const second = Math.floor(event.at / 1000);
    this.#knownSince = Math.min(this.#knownSince, second);
    if (event.type === FIRST) {
      this.#begun.set(event.orderId, event.at);
      this.#accepted.set(second, (this.#accepted.get(second) ?? 0) + 1);
      if (this.#begun.size > BEGUN_MAX) this.#begun.delete(this.#begun.keys().next().value ?? "");
    } else if (ENDINGS.has(event.type)) {
      const took = this.#took.get(second) ?? [];
      const begun = this.#begun.get(event.orderId);
      took.push(begun === undefined ? Number.NaN : event.at - begun);
      this.#took.set(second, took);
      this.#begun.delete(event.orderId);
    }
  }

  /** The last SECONDS_SHOWN whole seconds before `now`, in milliseconds. */
  seconds(now: number): Second[] {
    const last = Math.floor(now / 1000) - 1;
    for (const map of [this.#accepted, this.#took])
      for (const second of map.keys()) if (second < last - 600) map.delete(second);
    return Array.from({ length: SECONDS_SHOWN }, (_, place) => {
      const second = last - SECONDS_SHOWN + 1 + place;
      const ended = this.#took.get(second) ?? [];
      const took = ended.filter((each) => !Number.isNaN(each)).sort((a, b) => a - b);
      return {
        at: second * 1000,
        accepted: second < this.#knownSince ? null : (this.#accepted.get(second) ?? 0),
        ended: second < this.#knownSince ? null : ended.length,
        p50: percentile(took, 0.5),
        p95: percentile(took, 0.95),
      };
    });
  }

  mark(text: string, kind: Mark["kind"]): void {
    this.#marks = [...this.#marks.slice(-50), { at: Date.now(), text, kind }];
    for (const changed of this.#listeners) changed();
  }

  marks = (): readonly Mark[] => this.#marks;

  subscribe = (changed: () => void): (() => void) => {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  };
}

/** Orders that ended in each of the last `of` seconds, on average. */
export function endedPerSecond(seconds: readonly Second[], of = 10): number {
  return seconds.slice(-of).reduce((sum, second) => sum + (second.ended ?? 0), 0) / of;
}

function percentile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}

export const pulse = new Pulse();
for (const event of [...eventLog.known()].sort((a, b) => a.at - b.at)) pulse.hear(event);
eventLog.tap((event) => pulse.hear(event));

export const useMarks = () => useSyncExternalStore(pulse.subscribe, pulse.marks);
