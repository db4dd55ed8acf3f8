import { expect, test } from "vitest";
import type { ShopEvent } from "./client";
import { EVENTS_MAX, EventLog } from "./event-log";

const event = (id: string, time: string): ShopEvent => ({
  id,
  type: "OrderCreated",
  fullType: "shop.order.v1.OrderCreated",
  time,
  service: "order",
  topic: "orders",
  key: "k",
  orderId: "k",
  causationId: null,
  traceId: null,
  data: {},
});

test("an event that comes again after a reconnect is there once", () => {
  const log = new EventLog();
  log.add([event("a", "2026-01-01T00:00:00Z"), event("b", "2026-01-01T00:00:01Z")]);
  log.flush();
  log.add([event("b", "2026-01-01T00:00:01Z"), event("c", "2026-01-01T00:00:02Z")]);
  log.flush();
  expect(log.snapshot().events.map((each) => each.id)).toEqual(["c", "b", "a"]);
});

test("the newest is first, also within a millisecond and however it came", () => {
  const log = new EventLog();
  log.add([
    event("late", "2026-01-01T00:00:00.123456Z"),
    event("early", "2026-01-01T00:00:00.123Z"),
    event("first", "2026-01-01T00:00:00Z"),
  ]);
  log.flush();
  expect(log.snapshot().events.map((each) => each.id)).toEqual(["late", "early", "first"]);
});

test("only the newest are kept, and what was dropped may come again", () => {
  const log = new EventLog();
  const time = (n: number) => new Date(Date.UTC(2026, 0, 1) + n).toISOString();
  log.add(Array.from({ length: EVENTS_MAX + 5 }, (_, n) => event(`e${n}`, time(n))));
  log.flush();
  expect(log.snapshot().events).toHaveLength(EVENTS_MAX);
  expect(log.snapshot().events.at(-1)?.id).toBe("e5");
});

test("those who listen are told of each new event once", () => {
  const log = new EventLog();
  const told: string[] = [];
  log.tap((each) => told.push(each.id));
  log.add([event("new", "2026-01-01T00:00:01Z"), event("new", "2026-01-01T00:00:01Z")]);
  expect(told).toEqual(["new"]);
});
