import { expect, test } from "vitest";
import type { LoggedEvent } from "./event-log";
import { endedPerSecond, Pulse, SECONDS_SHOWN } from "./pulse";

const event = (type: string, orderId: string, at: number) => ({ type, orderId, at }) as LoggedEvent;

test("each second has its orders, and how long those took that ended in it", () => {
  const pulse = new Pulse();
  pulse.hear(event("OrderCreated", "a", 10_100));
  pulse.hear(event("OrderCreated", "b", 10_200));
  pulse.hear(event("OrderCompleted", "a", 10_140));
  pulse.hear(event("OrderCancelled", "b", 11_200));
  const seconds = pulse.seconds(13_000);
  expect(seconds).toHaveLength(SECONDS_SHOWN);
  const at = (time: number) => seconds.find((second) => second.at === time);
  expect(at(10_000)).toMatchObject({ accepted: 2, ended: 1, p50: 40 });
  expect(at(11_000)).toMatchObject({ accepted: 0, ended: 1, p50: 1000 });
  expect(at(12_000)).toMatchObject({ accepted: 0, ended: 0, p50: null });
});

test("of the time before the oldest known event nothing is said", () => {
  const pulse = new Pulse();
  pulse.hear(event("OrderCreated", "a", 10_100));
  const seconds = pulse.seconds(13_000);
  const at = (time: number) => seconds.find((second) => second.at === time);
  expect(at(9_000)).toMatchObject({ accepted: null, ended: null });
  expect(at(10_000)).toMatchObject({ accepted: 1, ended: 0 });
});

test("how many end each second is an average of the last ones", () => {
  const pulse = new Pulse();
  for (const at of [10_100, 11_100, 11_200]) pulse.hear(event("OrderCompleted", `${at}`, at));
  expect(endedPerSecond(pulse.seconds(13_000), 2)).toBe(1);
});

test("an order whose beginning was not seen counts, and takes no time", () => {
  const pulse = new Pulse();
  pulse.hear(event("OrderCompleted", "a", 10_140));
  expect(pulse.seconds(12_000).find((second) => second.at === 10_000)).toMatchObject({ ended: 1, p50: null });
});
