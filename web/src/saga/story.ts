/**
 * What has happened to one order, told slowly enough to be seen: a saga takes some 30 ms. Each event is shown at its
 * turn, STEP_MS after the one before it; the times that are shown are the real ones.
 */
import { useEffect, useMemo, useRef, useState } from "react";
import type { ShopEvent } from "../api/client";
import { eventLog } from "../api/event-log";
import { useEventLog, useTrail } from "../api/hooks";
import type { Happened } from "./diagram";

export const STEP_MS = 450;

export interface Story {
  /** All that is known, the oldest first. */
  events: readonly ShopEvent[];
  /** Event type -> its first occurrence, of those that are shown by now. */
  happened: ReadonlyMap<string, Happened>;
  shown: number;
  again(): void;
}

export function useStory(orderId: string | null, slowly: boolean): Story {
  const trail = useTrail(orderId, "story");
  useEventLog(); // which keeps the feed open
  const [live, setLive] = useState<ShopEvent[]>([]);
  const [shown, setShown] = useState(0);
  const current = useRef(orderId);
  if (current.current !== orderId) {
    current.current = orderId;
    setLive([]);
    setShown(0);
  }
  useEffect(
    () => eventLog.tap((event) => event.orderId === current.current && setLive((before) => [...before, event])),
    [],
  );
  const events = useMemo(() => {
    const known = new Map(
      [...(trail.data?.items ?? []), ...live]
        .filter((event) => event.orderId === orderId)
        .map((event) => [event.id, event]),
    );
    return [...known.values()].sort(
      (a, b) => Date.parse(a.time) - Date.parse(b.time) || (a.time.slice(0, -1) < b.time.slice(0, -1) ? -1 : 1),
    );
  }, [trail.data, live, orderId]);
  useEffect(() => {
    if (shown >= events.length) return;
    const timer = setTimeout(
      () => setShown((before) => (slowly ? before + 1 : events.length)),
      slowly && shown > 0 ? STEP_MS : 0,
    );
    return () => clearTimeout(timer);
  }, [shown, events.length, slowly]);
  const happened = useMemo(() => {
    const first = Date.parse(events[0]?.time ?? "");
    const seen = new Map<string, Happened>();
    for (const event of events.slice(0, shown)) {
      if (!seen.has(event.type))
        seen.set(event.type, { afterMs: Date.parse(event.time) - first, causedBy: event.causationId, id: event.id });
    }
    return seen;
  }, [events, shown]);
  return { events, happened, shown, again: () => setShown(0) };
}
