/**
 * One order, live: by WebSocket, and by Server-Sent Events where no WebSocket can be opened. It comes back by itself
 * after any cut, from the last `seq` that it has seen, so nothing is lost and nothing goes back.
 */
import { Backoff, pause } from "./backoff";
import type { OrderDocument } from "./client";
import { stream } from "./sse";

export type Connection = "connecting" | "live" | "fallback" | "reconnecting" | "ended" | "unknown";

const OPENS_WITHIN_MS = 5_000;
/** So many WebSockets in a row that never opened, while the gateway answers, and SSE is tried. */
const WEBSOCKET_TRIES = 2;
const OVER = 1000;
const UNKNOWN_ORDER = 4404;

export interface Follower {
  onDocument(document: OrderDocument): void;
  onConnection(connection: Connection): void;
}

/** Follows until the order's end, or until the returned function is called. */
export function followOrder(orderId: string, follower: Follower): () => void {
  const stopped = new AbortController();
  void run(orderId, follower, stopped.signal);
  return () => stopped.abort();
}

async function run(orderId: string, follower: Follower, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff();
  let seq = -1;
  let unopened = 0;
  const receive = (text: string) => {
    const document = JSON.parse(text) as OrderDocument;
    if (signal.aborted || document.seq <= seq) return;
    seq = document.seq;
    follower.onDocument(document);
  };
  const tell = (connection: Connection) => {
    if (!signal.aborted) follower.onConnection(connection);
  };
  const opened = (connection: Connection) => () => {
    backoff.reset();
    unopened = 0;
    tell(connection);
  };
  tell("connecting");
  while (!signal.aborted) {
    const since = seq < 0 ? "" : `?since=${seq}`;
    if (unopened < WEBSOCKET_TRIES) {
      const code = await socket(`/ws/${orderId}${since}`, signal, opened("live"), receive, () => unopened++);
      if (code === OVER) return tell("ended");
      if (code === UNKNOWN_ORDER) return tell("unknown");
      // A gateway that is away says nothing of WebSockets.
      if (unopened > 0 && !(await answers(signal))) unopened = 0;
    } else {
      try {
        const url = `/status/${orderId}/stream${since}`;
        const status = await stream(url, null, signal, opened("fallback"), (event) => receive(event.data));
        if (status === 204) return tell("ended");
        if (status === 404) return tell("unknown");
      } catch {
        // Cut off, or refused: the WebSocket may do again.
      }
      unopened = 0;
    }
    if (signal.aborted) return;
    tell("reconnecting");
    await pause(backoff.next(), signal);
  }
}

async function answers(signal: AbortSignal): Promise<boolean> {
  try {
    return (await fetch("/health", { signal })).ok;
  } catch {
    return false;
  }
}

/** Resolves to the close code. */
function socket(
  path: string,
  signal: AbortSignal,
  onOpen: () => void,
  onText: (text: string) => void,
  onUnopened: () => void,
): Promise<number> {
  return new Promise((resolve) => {
    const url = new URL(path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const ws = new WebSocket(url);
    let isOpen = false;
    const close = () => ws.close();
    const timer = setTimeout(close, OPENS_WITHIN_MS);
    signal.addEventListener("abort", close);
    ws.onopen = () => {
      isOpen = true;
      clearTimeout(timer);
      onOpen();
    };
    ws.onmessage = (message) => onText(message.data as string);
    ws.onclose = (event) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", close);
      if (!isOpen) onUnopened();
      resolve(event.code);
    };
  });
}
