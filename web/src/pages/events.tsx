/** The live event log: up to EVENTS_MAX rows, of which only those in view are drawn. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { Pause, Play } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import type { LoggedEvent } from "../api/event-log";
import { useEventLog } from "../api/hooks";
import { clock, number, shortId } from "../format";
import { useTexts } from "../i18n";
import { Button, Empty, FIELD, Json, Loading, Page, Panel, Select } from "../ui/basics";
import { Sheet } from "../ui/sheet";
import { ConnectionBadge } from "../ui/status";

const ROW_HEIGHT = 34;

export default function EventsPage() {
  const { t, language } = useTexts();
  const { log, state } = useEventLog();
  const [type, setType] = useState("");
  const [service, setService] = useState("");
  const [text, setText] = useState("");
  const [frozen, setFrozen] = useState<readonly LoggedEvent[] | null>(null);
  const [chosen, setChosen] = useState<LoggedEvent | null>(null);
  const events = frozen ?? log.events;
  const types = useMemo(() => [...new Set(log.events.map((event) => event.type))].sort(), [log.events]);
  const services = useMemo(() => [...new Set(log.events.map((event) => event.service))].sort(), [log.events]);
  const shown = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return events.filter(
      (event) =>
        (!type || event.type === type) &&
        (!service || event.service === service) &&
        (!wanted ||
          event.key.includes(wanted) ||
          event.id.includes(wanted) ||
          JSON.stringify(event.data).toLowerCase().includes(wanted)),
    );
  }, [events, type, service, text]);
  const any = { value: "", label: t("all") };
  return (
    <Page
      title={t("events.title")}
      hint={t("events.hint")}
      actions={
        <>
          <ConnectionBadge state={state} />
          <Button onClick={() => setFrozen(frozen ? null : log.events)}>
            {frozen ? <Play size={14} aria-hidden /> : <Pause size={14} aria-hidden />}
            {t(frozen ? "events.follow" : "events.freeze")}
          </Button>
        </>
      }
    >
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <Select
          label={t("events.type")}
          value={type}
          options={[{ value: "", label: t("events.anyType") }, ...types.map((value) => ({ value, label: value }))]}
          onChange={setType}
        />
        <Select
          label={t("events.service")}
          value={service}
          options={[{ ...any, label: t("events.anyService") }, ...services.map((value) => ({ value, label: value }))]}
          onChange={setService}
        />
        <input
          aria-label={t("events.search")}
          placeholder={t("events.search")}
          className={`${FIELD} w-64!`}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <span className="ml-auto text-xs text-dim" data-testid="count">
          {t("events.count", { shown: number(shown.length, language), all: number(events.length, language) })}
          {log.skipped > 0 && ` · ${t("events.skipped", { count: number(log.skipped, language) })}`}
        </span>
      </div>
      <Panel flush>
        {!log.loaded && log.events.length === 0 && <Loading rows={10} />}
        {log.loaded && shown.length === 0 && <Empty>{t(events.length ? "events.noMatch" : "events.empty")}</Empty>}
        {shown.length > 0 && <Rows events={shown} choose={setChosen} />}
      </Panel>
      <Sheet title={chosen?.type} open={chosen !== null} onClose={() => setChosen(null)}>
        {chosen && <Details event={chosen} />}
      </Sheet>
    </Page>
  );
}

function Rows({ events, choose }: { events: readonly LoggedEvent[]; choose(event: LoggedEvent): void }) {
  const { t, of, language } = useTexts();
  const scroller = useRef<HTMLElement>(null);
  const rows = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (place) => events[place]?.id ?? place,
    overscan: 12,
  });
  return (
    // It scrolls, and so must be reached by the keyboard.
    <section
      ref={scroller}
      tabIndex={0}
      aria-label={t("events.title")}
      className="h-[calc(100dvh-20rem)] min-h-80 overflow-auto lg:h-[calc(100dvh-10rem)]"
    >
      <ul className="relative" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => {
          const event = events[item.index];
          if (!event) return null;
          return (
            <li
              key={item.key}
              data-event={event.id}
              className="absolute inset-x-0 border-b border-line"
              style={{ height: item.size, transform: `translateY(${item.start}px)` }}
            >
              <button
                type="button"
                onClick={() => choose(event)}
                className="flex h-full w-full items-center gap-3 px-4 text-left text-sm whitespace-nowrap hover:bg-raised"
              >
                <time dateTime={event.time} className="w-24 shrink-0 font-mono text-xs text-dim">
                  {clock(event.time, language)}
                </time>
                <span className="w-24 shrink-0 truncate text-dim max-md:hidden">{event.service}</span>
                <span className={`size-2 shrink-0 rounded-full ${toneOf(event.type)}`} aria-hidden />
                <span className="w-52 min-w-0 shrink truncate font-medium" title={of("event", event.type)}>
                  {event.type}
                </span>
                <span className="shrink-0 font-mono text-xs text-accent">{shortId(event.key)}</span>
                <span className="min-w-0 flex-1 truncate font-mono text-xs text-dim max-sm:hidden">
                  {summary(event)}
                </span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** By how the shop names its events: what went wrong, what was taken back, what ended well. */
function toneOf(type: string): string {
  if (/(Failed|Rejected|Cancelled)$/.test(type)) return "bg-bad";
  if (/(Released|Refunded|Requested|Refused)$/.test(type)) return "bg-warn";
  return /(Completed|Confirmed|Shipped)$/.test(type) ? "bg-ok" : "bg-strong";
}

/** What a payload says beyond the order itself, on one line. */
function summary(event: LoggedEvent): string {
  const data = (event.data ?? {}) as Record<string, unknown>;
  return Object.entries(data)
    .filter(([name]) => name !== "order")
    .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join("  ");
}

function Details({ event }: { event: LoggedEvent }) {
  const { t, of } = useTexts();
  const { data, at: _, ...envelope } = event;
  return (
    <div className="space-y-4 text-sm">
      <p>{of("event", event.type)}</p>
      {event.orderId && (
        <p className="flex gap-4">
          <Link to={`/orders/${event.orderId}`} className="text-accent underline">
            {t("events.toOrder")}
          </Link>
          <Link to={`/saga/${event.orderId}`} className="text-accent underline">
            {t("order.saga")}
          </Link>
        </p>
      )}
      <dl className="grid grid-cols-[7rem_1fr] gap-y-1.5">
        {Object.entries(envelope).map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-dim">{name}</dt>
            <dd className="font-mono text-xs break-all">{value ?? "–"}</dd>
          </div>
        ))}
      </dl>
      <h3 className="text-xs font-medium text-dim">{t("events.payload")}</h3>
      {data === null ? <p>{t("events.unknownType")}</p> : <Json value={data} />}
    </div>
  );
}
