/** The shop's data for pages: questions that are asked again by themselves, and what is live. */
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { api, asked, type Dashboard, Failure, type OrderDocument } from "./client";
import { eventLog, type Log } from "./event-log";
import { Feed, type FeedState } from "./feed";
import { type Connection, followOrder } from "./follow-order";

const LIVE_MS = 2_000;
const SLOW_MS = 10_000;

export const useProducts = () =>
  useQuery({ queryKey: ["products"], queryFn: () => asked(api.GET("/products")), refetchInterval: LIVE_MS });

export interface OrderFilter {
  userId?: string;
  status?: string;
  reason?: string;
}

type Status = "OPEN" | "ENDED" | "COMPLETED" | "CANCELLED";
type Reason = "OUT_OF_STOCK" | "INSUFFICIENT_FUNDS" | "SHIPMENT_FAILED" | "CANCELLED_BY_CUSTOMER" | "TIMED_OUT";

function query(filter: OrderFilter, cursor: string | null) {
  return {
    limit: 50,
    ...(filter.userId && { userId: filter.userId }),
    ...(filter.status && { status: filter.status as Status }),
    ...(filter.reason && { reason: filter.reason as Reason }),
    ...(cursor && { cursor }),
  };
}

export const useOrders = (filter: OrderFilter) =>
  useInfiniteQuery({
    queryKey: ["orders", filter],
    queryFn: ({ pageParam }) => asked(api.GET("/orders", { params: { query: query(filter, pageParam) } })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.nextCursor,
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  });

export const useSagas = (filter: OrderFilter) =>
  useInfiniteQuery({
    queryKey: ["sagas", filter],
    queryFn: ({ pageParam }) => asked(api.GET("/sagas", { params: { query: query(filter, pageParam) } })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.nextCursor,
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  });

export const useSagaTable = () =>
  useQuery({
    queryKey: ["saga"],
    queryFn: () => asked(api.GET("/saga")),
    staleTime: SLOW_MS,
    refetchInterval: SLOW_MS,
  });

/** How every process is; `null` where this gateway does not operate the shop. */
export const useProcesses = () =>
  useQuery({
    queryKey: ["processes"],
    queryFn: async () => {
      try {
        return await asked(api.GET("/admin/processes"));
      } catch (error) {
        if (error instanceof Failure && [403, 404].includes(error.problem.status)) return null;
        throw error;
      }
    },
    refetchInterval: (running) => (running.state.data === null ? false : 1_000),
  });

/** Whether this gateway operates the shop; false until it is known. */
export const useCanOperate = () => Boolean(useProcesses().data);

/** One order, live. */
export function useOrder(orderId: string): { order: OrderDocument | null; connection: Connection } {
  const [order, setOrder] = useState<OrderDocument | null>(null);
  const [connection, setConnection] = useState<Connection>("connecting");
  useEffect(() => {
    setOrder(null);
    return followOrder(orderId, { onDocument: setOrder, onConnection: setConnection });
  }, [orderId]);
  return { order, connection };
}

/** The newest events of the shop, live. */
export function useEventLog(): { log: Log; state: FeedState } {
  const log = useSyncExternalStore(eventLog.feed.subscribe, eventLog.snapshot);
  const state = useSyncExternalStore(eventLog.feed.subscribe, () => eventLog.feed.state);
  return { log, state };
}

let dashboard: Dashboard | null = null;
const dashboardFeed: Feed = new Feed("/dashboard/stream", ({ data }) => {
  dashboard = JSON.parse(data) as Dashboard;
  dashboardFeed.notify();
});

/** The shop in figures, live. */
export function useDashboard(): { dashboard: Dashboard | null; state: FeedState } {
  const figures = useSyncExternalStore(dashboardFeed.subscribe, () => dashboard);
  const state = useSyncExternalStore(dashboardFeed.subscribe, () => dashboardFeed.state);
  return { dashboard: figures, state };
}

/** All public events of one order, in the order of time: read once, and again when its live document has changed. */
export function useTrail(orderId: string | null, version: number | string) {
  return useQuery({
    queryKey: ["trail", orderId, version],
    queryFn: () => asked(api.GET("/events", { params: { query: { orderId: orderId ?? "", limit: 500 } } })),
    enabled: orderId !== null,
    placeholderData: (before, beforeQuery) => (beforeQuery?.queryKey[1] === orderId ? before : undefined),
  });
}

/** Now, again and again while the page is shown. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  const tick = useCallback(() => setNow(Date.now()), []);
  useEffect(() => {
    const timer = setInterval(tick, everyMs);
    return () => clearInterval(timer);
  }, [tick, everyMs]);
  return now;
}
