/** The saga log: of each order what happened, step by step, and how long it took. */
import { Undo2 } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import type { Saga } from "../api/client";
import { useSagas } from "../api/hooks";
import { ms, recent, shortId } from "../format";
import { useTexts } from "../i18n";
import { Button, Empty, Loading, Page, Panel, Select, Trouble } from "../ui/basics";
import { StatusBadge } from "../ui/status";

const STATUSES = ["", "OPEN", "COMPLETED", "CANCELLED"] as const;
const REASONS = [
  "",
  "OUT_OF_STOCK",
  "INSUFFICIENT_FUNDS",
  "SHIPMENT_FAILED",
  "CANCELLED_BY_CUSTOMER",
  "TIMED_OUT",
] as const;

export default function SagasPage() {
  const { t, of } = useTexts();
  const [status, setStatus] = useState<(typeof STATUSES)[number]>("");
  const [reason, setReason] = useState<(typeof REASONS)[number]>("");
  const sagas = useSagas({ status, reason });
  const items = sagas.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page
      title={t("sagas.title")}
      hint={t("sagas.hint")}
      actions={
        <>
          <Select
            label={t("status")}
            value={status}
            options={STATUSES.map((value) => ({ value, label: value ? of("status", value) : t("sagas.anyStatus") }))}
            onChange={setStatus}
          />
          <Select
            label={t("reason")}
            value={reason}
            options={REASONS.map((value) => ({ value, label: value ? of("reason", value) : t("sagas.anyReason") }))}
            onChange={setReason}
          />
        </>
      }
    >
      {sagas.isError && <Trouble error={sagas.error} retry={() => sagas.refetch()} />}
      <Panel flush>
        {sagas.isPending && <Loading rows={8} />}
        {sagas.data && items.length === 0 && <Empty>{t("sagas.empty")}</Empty>}
        <ul className="divide-y divide-line">
          {items.map((saga) => (
            <SagaLine key={saga.orderId} saga={saga} />
          ))}
        </ul>
        {sagas.hasNextPage && (
          <div className="border-t border-line p-2 text-center">
            <Button kind="quiet" busy={sagas.isFetchingNextPage} onClick={() => sagas.fetchNextPage()}>
              {t("further")}
            </Button>
          </div>
        )}
      </Panel>
    </Page>
  );
}

function SagaLine({ saga }: { saga: Saga }) {
  const { t, of, language } = useTexts();
  return (
    <li className="px-4 py-2.5">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1 text-sm">
        <Link to={`/orders/${saga.orderId}`} className="font-mono text-accent hover:underline">
          {shortId(saga.orderId)}
        </Link>
        <StatusBadge status={saga.status} reason={saga.reason} />
        <span className="text-dim">{saga.userId}</span>
        <span className="ml-auto text-xs text-dim">{recent(saga.startedAt, language)}</span>
        <span className="w-16 text-right font-mono text-xs">
          {saga.durationMs === null ? t("sagas.open") : ms(saga.durationMs)}
        </span>
        <Link to={`/saga/${saga.orderId}`} className="text-xs text-accent underline">
          {t("order.saga")}
        </Link>
      </div>
      <ol className="mt-1.5 flex flex-wrap items-center gap-1.5 text-xs">
        {saga.steps.map((step) => (
          <li
            key={`${step.type}${step.time}`}
            title={[of("event", step.type), step.detail].filter(Boolean).join(": ")}
            className={`inline-flex items-center gap-1 rounded border px-1.5 py-0.5 ${step.compensation ? "border-warn bg-warn-soft text-warn" : "border-line bg-raised"}`}
          >
            {step.compensation && <Undo2 size={11} aria-label={t("saga.undo")} />}
            {step.type}
            <span className={step.compensation ? "" : "text-dim"}>+{ms(step.sincePreviousMs)}</span>
          </li>
        ))}
      </ol>
      {saga.reasonDetail && <p className="mt-1 font-mono text-xs text-dim">{saga.reasonDetail}</p>}
    </li>
  );
}
