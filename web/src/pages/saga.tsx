/** The saga as a diagram made from the table that the shop serves, on which one order's events light up. */
import { useMutation } from "@tanstack/react-query";
import { Play, RotateCcw } from "lucide-react";
import { useMemo, useState } from "react";
import { Link, useLocation } from "wouter";
import { api, asked } from "../api/client";
import { useEventLog, useOrders, useSagaTable } from "../api/hooks";
import { ms, shortId } from "../format";
import { useTexts } from "../i18n";
import type { Key } from "../i18n/en";
import { SagaDiagram } from "../saga/diagram";
import { layout } from "../saga/layout";
import { useStory } from "../saga/story";
import { Badge, Button, Empty, Json, Loading, Page, Panel, Trouble } from "../ui/basics";
import { CELL, HEAD } from "../ui/orders-table";
import { ConnectionBadge, StatusBadge } from "../ui/status";
import { useTell } from "../ui/toasts";

/** What leads to each ending on the catalogue that comes with the shop; each has a customer of its own. */
const ENDINGS: readonly { text: Key; productId: string; quantity: number }[] = [
  { text: "try.completed", productId: "product-1", quantity: 1 },
  { text: "try.outOfStock", productId: "product-3", quantity: 1000 },
  { text: "try.funds", productId: "product-3", quantity: 25 },
  { text: "try.parcel", productId: "product-1", quantity: 21 },
];

export default function SagaPage({ orderId }: { orderId: string | null }) {
  const { t } = useTexts();
  const table = useSagaTable();
  const { state } = useEventLog();
  const [slowly, setSlowly] = useState(true);
  const recent = useOrders({});
  const orders = recent.data?.pages[0]?.items ?? [];
  const shownId = orderId ?? orders[0]?.orderId ?? null;
  const story = useStory(shownId, slowly);
  const diagram = useMemo(() => table.data && layout(table.data), [table.data]);
  const order = orders.find((each) => each.orderId === shownId);
  return (
    <Page
      title={
        <span className="flex flex-wrap items-center gap-3">
          {t("saga.title")}
          {table.data && <Badge tone="accent">{t(`mode.${table.data.mode}` as Key)}</Badge>}
        </span>
      }
      hint={table.data && t(`modeHint.${table.data.mode}` as Key)}
      actions={<ConnectionBadge state={state} />}
    >
      {table.isError && <Trouble error={table.error} retry={() => table.refetch()} />}
      <div className="mb-4 flex flex-wrap items-center gap-2">
        <span className="text-sm text-dim">{t("try.title")}</span>
        {ENDINGS.map((ending) => (
          <TryButton key={ending.text} {...ending} />
        ))}
      </div>
      <Panel
        title={
          <span className="flex flex-wrap items-center gap-2">
            {shownId ? (
              <Link to={`/orders/${shownId}`} className="font-mono text-accent hover:underline">
                {shortId(shownId)}
              </Link>
            ) : (
              t("saga.noOrder")
            )}
            {order && <StatusBadge status={order.status} reason={order.reason} />}
          </span>
        }
        actions={
          <span className="flex items-center gap-3">
            <label className="flex items-center gap-1.5 text-xs text-dim">
              <input
                type="checkbox"
                checked={slowly}
                onChange={(event) => setSlowly(event.target.checked)}
                className="accent-accent"
              />
              {t("saga.slowly")}
            </label>
            <Button kind="quiet" onClick={story.again} disabled={!shownId}>
              <RotateCcw size={14} aria-hidden />
              {t("saga.again")}
            </Button>
          </span>
        }
        flush
      >
        {diagram ? (
          <SagaDiagram diagram={diagram} happened={story.happened} />
        ) : (
          table.isPending && <Loading rows={8} />
        )}
        <p className="flex flex-wrap gap-x-5 gap-y-1 border-t border-line px-4 py-2 text-xs text-dim">
          <Line className="stroke-ok" text={t("saga.forward")} />
          <Line className="stroke-warn" dash="6 4" text={t("saga.undo")} />
          <Line className="stroke-accent" dash="2 4" text={t("saga.ending")} />
        </p>
      </Panel>
      <div className="mt-5 grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <Panel title={t("saga.events")} flush>
          {story.events.length === 0 && <Empty>{t("saga.noEvents")}</Empty>}
          <ol className="divide-y divide-line">
            {story.events.slice(0, story.shown).map((event) => (
              <li key={event.id} className="arrived">
                <details>
                  <summary className="flex cursor-pointer items-baseline gap-3 px-4 py-1.5 text-sm hover:bg-raised">
                    <span className="w-16 shrink-0 text-right font-mono text-xs text-dim">
                      +{ms(Date.parse(event.time) - Date.parse(story.events[0]?.time ?? ""))}
                    </span>
                    <span className="w-24 shrink-0 text-xs text-dim">{event.service}</span>
                    <span className="font-medium">{event.type}</span>
                  </summary>
                  <div className="px-4 pb-3">
                    <Json value={event.data} />
                  </div>
                </details>
              </li>
            ))}
          </ol>
        </Panel>
        <Panel title={t("saga.recent")} flush>
          {recent.data && orders.length === 0 && <Empty>{t("orders.empty")}</Empty>}
          <ul className="max-h-96 divide-y divide-line overflow-y-auto">
            {orders.map((each) => (
              <li key={each.orderId}>
                <Link
                  to={`/saga/${each.orderId}`}
                  aria-current={each.orderId === shownId ? "true" : undefined}
                  className="flex items-center justify-between gap-2 px-4 py-1.5 text-sm hover:bg-raised aria-[current]:bg-accent-soft"
                >
                  <span className="font-mono text-xs">{shortId(each.orderId)}</span>
                  <StatusBadge status={each.status} reason={each.reason} />
                </Link>
              </li>
            ))}
          </ul>
        </Panel>
      </div>
      {table.data && (
        <Panel title={t("saga.table")} flush className="mt-5">
          <section className="overflow-x-auto" tabIndex={0} aria-label={t("saga.table")}>
            <table className="w-full text-sm">
              <thead className="border-b border-line">
                <tr>
                  {(["saga.participant", "saga.on", "saga.topic", "saga.command", "saga.answers"] as const).map(
                    (key) => (
                      <th key={key} className={HEAD}>
                        {t(key)}
                      </th>
                    ),
                  )}
                </tr>
              </thead>
              <tbody className="divide-y divide-line">
                {table.data.rows.map((row) => (
                  <tr
                    key={`${row.participant}${row.event}`}
                    className={story.happened.has(row.event) ? "bg-ok-soft" : ""}
                  >
                    <td className={CELL}>{row.participant}</td>
                    <td className={CELL}>{row.event}</td>
                    <td className={`${CELL} font-mono text-xs`}>{row.topic}</td>
                    <td className={CELL}>
                      {row.command === row.event ? t("saga.track") : row.command}
                      {row.commandTopic && <span className="block font-mono text-xs text-dim">{row.commandTopic}</span>}
                    </td>
                    <td className={CELL}>{row.answers.join(", ") || t("saga.private")}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </Panel>
      )}
    </Page>
  );
}

function TryButton({ text, productId, quantity }: { text: Key; productId: string; quantity: number }) {
  const { t } = useTexts();
  const tell = useTell();
  const [, go] = useLocation();
  const place = useMutation({
    mutationFn: () => {
      const userId = `try-${crypto.randomUUID().slice(0, 8)}`;
      return asked(api.POST("/order", { body: { userId, items: [{ productId, quantity }] }, params: {} }));
    },
    onSuccess: ({ orderId }) => go(`/saga/${orderId}`),
    onError: tell.failed,
  });
  return (
    <Button busy={place.isPending} onClick={() => place.mutate()}>
      <Play size={13} aria-hidden />
      {t(text)}
    </Button>
  );
}

function Line({ className, dash, text }: { className: string; dash?: string; text: string }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <svg width="26" height="6" aria-hidden="true">
        <line x1="0" y1="3" x2="26" y2="3" strokeWidth="2" strokeDasharray={dash} className={className} />
      </svg>
      {text}
    </span>
  );
}
