import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { OrderDocument } from "./client";
import { type Connection, followOrder } from "./follow-order";

/** A WebSocket whose other side is the test. */
class Line {
  static lines: Line[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly url: string;

  constructor(url: URL) {
    this.url = String(url);
    Line.lines.push(this);
  }
  close(): void {
    this.onclose?.({ code: 1006 });
  }
  say(seq: number): void {
    this.onmessage?.({ data: JSON.stringify({ orderId: "o", seq }) });
  }
}

async function line(number: number): Promise<Line> {
  return vi.waitFor(() => Line.lines[number - 1] ?? Promise.reject(new Error("no line yet")), 4_000);
}

let seen: number[];
let connections: Connection[];
let stop: () => void;

beforeEach(() => {
  Line.lines = [];
  seen = [];
  connections = [];
  vi.stubGlobal("WebSocket", Line);
  stop = followOrder("o", {
    onDocument: (document: OrderDocument) => seen.push(document.seq),
    onConnection: (connection) => connections.push(connection),
  });
});

afterEach(() => {
  stop();
  vi.unstubAllGlobals();
});

test("after a cut it goes on from what it has seen, and nothing comes twice or goes back", async () => {
  const first = await line(1);
  expect(first.url).toMatch(/\/ws\/o$/);
  first.onopen?.();
  first.say(1);
  first.say(2);
  first.onclose?.({ code: 1006 });
  const second = await line(2);
  expect(second.url).toMatch(/\?since=2$/);
  second.onopen?.();
  second.say(2);
  second.say(1);
  second.say(3);
  expect(seen).toEqual([1, 2, 3]);
  expect(connections).toEqual(["connecting", "live", "reconnecting", "live"]);
});

test("at the order's end it is done, and for an unknown order it says so", async () => {
  const first = await line(1);
  first.onopen?.();
  first.onclose?.({ code: 1000 });
  await vi.waitFor(() => expect(connections.at(-1)).toBe("ended"));
  const unknown: Connection[] = [];
  followOrder("x", { onDocument: () => {}, onConnection: (connection) => unknown.push(connection) });
  (await line(2)).onclose?.({ code: 4404 });
  await vi.waitFor(() => expect(unknown.at(-1)).toBe("unknown"));
});

test("where no WebSocket opens, it goes on by Server-Sent Events", async () => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    return new Response('id: 4\ndata: {"orderId":"o","seq":4}\n\n', {
      headers: { "content-type": "text/event-stream" },
    });
  });
  (await line(1)).close();
  (await line(2)).close();
  await vi.waitFor(() => expect(seen).toEqual([4]), 4_000);
  expect(asked.find((path) => path !== "/health")).toBe("/status/o/stream");
  expect(connections).toContain("fallback");
});

test("while the gateway is away it does not give up on the WebSocket", async () => {
  vi.stubGlobal("fetch", async (path: string) => {
    if (path === "/health") throw new TypeError("Failed to fetch");
    return new Response('id: 4\ndata: {"orderId":"o","seq":4}\n\n', {
      headers: { "content-type": "text/event-stream" },
    });
  });
  for (const number of [1, 2, 3]) (await line(number)).close();
  (await line(4)).onopen?.();
  expect(connections.at(-1)).toBe("live");
  expect(connections).not.toContain("fallback");
});
