/** One connection of Server-Sent Events by fetch: unlike EventSource it can go on from an id after any failure. */
import { createParser } from "eventsource-parser";

/** The gateway says "still here" every 15 s; after this long without a byte the connection is dead. */
const SILENCE_MAX_MS = 40_000;

export interface Incoming {
  event: string;
  id: string;
  data: string;
}

/** Resolves to the status when the stream has ended: 200 after a stream, else what was answered. Throws if cut off. */
export async function stream(
  path: string,
  lastId: string | null,
  signal: AbortSignal,
  onOpen: () => void,
  onEvent: (event: Incoming) => void,
): Promise<number> {
  const silent = new AbortController();
  const either = AbortSignal.any([signal, silent.signal]);
  let timer = setTimeout(() => silent.abort(), SILENCE_MAX_MS);
  try {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (lastId !== null) headers["last-event-id"] = lastId;
    const response = await fetch(path, { headers, signal: either, cache: "no-store" });
    if (!response.ok || response.status === 204 || !response.body) return response.status;
    onOpen();
    const parser = createParser({
      onEvent: ({ event, id, data }) => onEvent({ event: event ?? "message", id: id ?? "", data }),
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 200;
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MAX_MS);
      parser.feed(value);
    }
  } finally {
    clearTimeout(timer);
  }
}
