/** One order, live: where it is, what has happened, what it costs, where its parcel is. */
import { useMutation } from "@tanstack/react-query";
import { Check, Circle, CircleDashed, GitBranch, Truck, Undo2, X } from "lucide-react";
import { Link } from "wouter";
import { api, asked, type OrderDocument } from "../api/client";
import { useOrder, useProducts, useTrail } from "../api/hooks";
import { clock, money, ms } from "../format";
import { useTexts } from "../i18n";
import { Badge, Button, Empty, Json, Loading, Page, Panel, Trouble } from "../ui/basics";
import { CELL, HEAD } from "../ui/orders-table";
import { ConnectionBadge, StatusBadge } from "../ui/status";
import { useTell } from "../ui/toasts";
import { times } from "./shop";
import { type Step, stepsOf } from "./steps";

const ENDED = new Set(["COMPLETED", "CANCELLED"]);

export function OrderPage({ orderId }: { orderId: string }) {
  const { t } = useTexts();
  const { order, connection } = useOrder(orderId);
  if (connection === "unknown") {
    return (
      <Page title={t("order.unknown")}>
        <Panel>
          <Empty
            action={
              <Link to="/orders" className="text-accent underline">
                {t("nav.orders")}
              </Link>
            }
          >
            {t("order.unknownHint", { id: orderId })}
          </Empty>
        </Panel>
      </Page>
    );
  }
  return (
    <Page
      title={
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          {t("order")}
          {order && <StatusBadge status={order.status} reason={order.reason} />}
        </span>
      }
      hint={<span className="font-mono text-xs break-all">{orderId}</span>}
      actions={
        <>
          <ConnectionBadge state={connection} />
          <Link
            to={`/saga/${orderId}`}
            className="inline-flex min-h-8 items-center gap-1.5 rounded-md border border-strong bg-surface px-3 text-sm font-medium hover:bg-raised"
          >
            <GitBranch size={15} aria-hidden />
            {t("order.saga")}
          </Link>
          {order && !ENDED.has(order.status) && <CancelButton orderId={orderId} />}
        </>
      }
    >
      {order ? (
        <Document order={order} />
      ) : (
        <Panel>
          <Loading rows={8} />
        </Panel>
      )}
    </Page>
  );
}

function CancelButton({ orderId }: { orderId: string }) {
  const { t } = useTexts();
  const tell = useTell();
  const cancel = useMutation({
    mutationFn: () => asked(api.POST("/order/{orderId}/cancel", { params: { path: { orderId } } })),
    onSuccess: () => tell.done(t("order.cancelAsked")),
    onError: tell.failed,
  });
  return (
    <Button kind="danger" busy={cancel.isPending} onClick={() => cancel.mutate()}>
      {t("order.cancel")}
    </Button>
  );
}

function Document({ order }: { order: OrderDocument }) {
  const { t, of } = useTexts();
  return (
    <div className="space-y-5">
      <Panel>
        <Steps steps={stepsOf(order)} />
        {order.reason && (
          <p className="mt-4 rounded-md bg-bad-soft px-3 py-2 text-sm text-bad">
            <strong className="font-semibold">{of("reason", order.reason)}.</strong>{" "}
            {t(`reasonHint.${order.reason}` as never)}
            {order.reasonDetail && <span className="mt-0.5 block font-mono text-xs">{order.reasonDetail}</span>}
          </p>
        )}
      </Panel>
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <Panel title={t("order.timeline")} flush>
          <Timeline order={order} />
        </Panel>
        <div className="space-y-5">
          <Items order={order} />
          <Delivery order={order} />
        </div>
      </div>
      <Trail order={order} />
    </div>
  );
}

const ICONS = { done: Check, now: CircleDashed, open: Circle, failed: X, undone: Undo2 };
const COLOURS: Record<Step["state"], string> = {
  done: "bg-ok-soft text-ok",
  now: "bg-accent-soft text-accent",
  open: "bg-raised text-dim",
  failed: "bg-bad-soft text-bad",
  undone: "bg-warn-soft text-warn",
};

function Steps({ steps }: { steps: Step[] }) {
  const { t } = useTexts();
  return (
    <ol className="flex flex-col gap-3 md:flex-row md:gap-0">
      {steps.map((step, place) => {
        const Icon = ICONS[step.state];
        return (
          <li
            key={step.text}
            data-step={step.state}
            className="flex items-center gap-3 md:flex-1 md:flex-col md:gap-1.5 md:text-center"
          >
            <span className="flex items-center md:w-full">
              <span
                className={`hidden h-0.5 flex-1 md:block ${place === 0 ? "invisible" : step.state === "open" ? "bg-line" : "bg-strong"}`}
              />
              <span className={`grid size-8 shrink-0 place-items-center rounded-full ${COLOURS[step.state]}`}>
                <Icon
                  size={16}
                  aria-hidden
                  className={step.state === "now" ? "motion-safe:animate-spin [animation-duration:3s]" : ""}
                />
              </span>
              <span
                className={`hidden h-0.5 flex-1 md:block ${place === steps.length - 1 ? "invisible" : steps[place + 1]?.state === "open" ? "bg-line" : "bg-strong"}`}
              />
            </span>
            <span className="text-sm leading-tight">
              {t(step.text)}
              <span className={`text-xs text-dim md:block ${step.state === "done" ? "sr-only" : "max-md:ml-2"}`}>
                {t(`stepState.${step.state}`)}
              </span>
            </span>
          </li>
        );
      })}
    </ol>
  );
}

function Timeline({ order }: { order: OrderDocument }) {
  const { t, of, language } = useTexts();
  if (order.timeline.length === 0) return <Empty>{t("order.accepted")}</Empty>;
  const first = Date.parse(order.timeline[0]?.time ?? "");
  return (
    <ol className="divide-y divide-line">
      {order.timeline.map((entry) => (
        <li
          key={`${entry.type}${entry.time}`}
          data-type={entry.type}
          className="arrived flex items-baseline gap-3 px-4 py-2 text-sm"
        >
          <span className="w-16 shrink-0 text-right font-mono text-xs text-dim">
            +{ms(Date.parse(entry.time) - first)}
          </span>
          <span className="min-w-0 flex-1">
            <span className="font-medium">{of("event", entry.type)}</span>{" "}
            <span className="font-mono text-xs text-dim">{entry.type}</span>
            {entry.detail && <span className="block text-xs break-words text-dim">{entry.detail}</span>}
          </span>
          <span className="text-right text-xs text-dim">
            {entry.service}
            <span className="block font-mono max-sm:hidden">{clock(entry.time, language)}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}

function Items({ order }: { order: OrderDocument }) {
  const { t, of, language } = useTexts();
  const { payment } = order;
  const names = new Map(useProducts().data?.map((product) => [product.productId, product.name]));
  return (
    <Panel
      title={t("items")}
      flush
      actions={
        <Badge
          tone={
            payment.status === "FAILED"
              ? "bad"
              : payment.status === "REFUNDED"
                ? "warn"
                : payment.status === "COMPLETED"
                  ? "ok"
                  : "neutral"
          }
        >
          {of("payment", payment.status)}
        </Badge>
      }
    >
      <table className="w-full text-sm">
        <thead className="border-b border-line">
          <tr>
            <th className={HEAD}>{t("product")}</th>
            <th className={`${HEAD} text-right`}>{t("quantity")}</th>
            <th className={`${HEAD} text-right`}>{t("price")}</th>
            <th className={`${HEAD} text-right`}>{t("sum")}</th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {order.items.map((item) => (
            <tr key={item.productId}>
              <td className={CELL}>
                {names.get(item.productId) ?? item.productId}
                {names.has(item.productId) && (
                  <span className="block font-mono text-xs text-dim">{item.productId}</span>
                )}
              </td>
              <td className={`${CELL} text-right`}>{item.quantity}</td>
              <td className={`${CELL} text-right`}>{item.unitPrice ? money(item.unitPrice, language) : "–"}</td>
              <td className={`${CELL} text-right`}>
                {item.unitPrice ? money(times(item.unitPrice, item.quantity), language) : "–"}
              </td>
            </tr>
          ))}
        </tbody>
        <tfoot className="border-t border-line">
          <tr>
            <th scope="row" colSpan={3} className="px-3 py-2 text-right text-xs font-medium text-dim">
              {t("total")}
            </th>
            <td className={`${CELL} text-right font-semibold`}>{order.total ? money(order.total, language) : "–"}</td>
          </tr>
          {payment.refunded && (
            <tr>
              <th scope="row" colSpan={3} className="px-3 py-2 text-right text-xs font-medium text-dim">
                {t("order.refunded")}
              </th>
              <td className={`${CELL} text-right text-warn`}>{money(payment.refunded, language)}</td>
            </tr>
          )}
        </tfoot>
      </table>
    </Panel>
  );
}

function Delivery({ order }: { order: OrderDocument }) {
  const { t, of } = useTexts();
  const { delivery } = order;
  return (
    <Panel
      title={
        <span className="flex items-center gap-2">
          <Truck size={15} aria-hidden />
          {t("delivery")}
        </span>
      }
    >
      <dl className="grid grid-cols-[8rem_1fr] gap-y-2 text-sm">
        <dt className="text-dim">{t("status")}</dt>
        <dd>{order.status === "CANCELLED" ? t("order.noDelivery") : of("delivery", delivery.status)}</dd>
        <dt className="text-dim">{t("order.tracking")}</dt>
        <dd className="font-mono break-all" data-testid="tracking">
          {delivery.trackingNumber ?? "–"}
        </dd>
        <dt className="text-dim">{t("cart.address")}</dt>
        <dd className="whitespace-pre-line">{delivery.address ?? "–"}</dd>
      </dl>
    </Panel>
  );
}

function Trail({ order }: { order: OrderDocument }) {
  const { t } = useTexts();
  const trail = useTrail(order.orderId, order.seq);
  return (
    <Panel title={t("order.trail")} flush>
      <p className="px-4 pt-3 text-xs text-dim">{t("order.trailHint")}</p>
      {trail.isError && <Trouble error={trail.error} />}
      <ul className="divide-y divide-line p-2">
        {trail.data?.items.map((event) => (
          <li key={event.id}>
            <details className="group">
              <summary className="flex cursor-pointer flex-wrap items-center gap-x-3 rounded px-2 py-1.5 text-sm hover:bg-raised">
                <span className="font-medium">{event.type}</span>
                <span className="font-mono text-xs text-dim">{event.topic}</span>
                <span className="font-mono text-xs text-dim max-md:hidden">{event.id}</span>
              </summary>
              <div className="px-2 pt-1 pb-3">
                <Json value={event} />
              </div>
            </details>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
