/** Break the shop on purpose, and watch it recover. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Eraser, Skull, Snail, Zap } from "lucide-react";
import { useState } from "react";
import { api, asked, type Process } from "../api/client";
import { useProcesses } from "../api/hooks";
import { pulse } from "../api/pulse";
import { useTexts } from "../i18n";
import { Badge, Button, Empty, FIELD, Field, Loading, Page, Panel, Select, Trouble } from "../ui/basics";
import { PulsePanel } from "../ui/charts";
import { ProcessTable } from "../ui/processes";
import { useTell } from "../ui/toasts";
import { Traffic } from "../ui/traffic";

const POINTS = ["before-transaction", "after-commit", "amid-publish", "before-mark", "before-offset-commit"] as const;
type Point = (typeof POINTS)[number];
type Action = "kill" | "stall";

/** What is worth breaking first. */
const QUICK: readonly {
  text: "break.killInventory" | "break.killPayment" | "break.stallShipping";
  process: string;
  point: Point;
  action: Action;
  stallMs: number;
}[] = [
  { text: "break.killInventory", process: "inventory", point: "after-commit", action: "kill", stallMs: 0 },
  { text: "break.killPayment", process: "payment", point: "amid-publish", action: "kill", stallMs: 0 },
  { text: "break.stallShipping", process: "shipping", point: "before-transaction", action: "stall", stallMs: 5_000 },
];

export default function FaultsPage() {
  const { t } = useTexts();
  const processes = useProcesses();
  const allowed = processes.data?.some((process) => process.faultsAllowed);
  return (
    <Page title={t("faults.title")} hint={t("faults.hint")}>
      {processes.isError && <Trouble error={processes.error} retry={() => processes.refetch()} />}
      {processes.isPending && (
        <Panel>
          <Loading />
        </Panel>
      )}
      {processes.data === null && (
        <Panel>
          <Empty>{t("operate.off")}</Empty>
        </Panel>
      )}
      {processes.data && (
        <div className="space-y-5">
          <div className="grid items-start gap-5 xl:grid-cols-[minmax(0,1fr)_minmax(0,2fr)]">
            <Traffic />
            {allowed === false ? (
              <Panel>
                <Empty>{t("faults.forbidden")}</Empty>
              </Panel>
            ) : (
              <Break processes={processes.data} />
            )}
          </div>
          <PulsePanel title={t("faults.watch")} />
          <Panel title={t("processes.title")} flush>
            <ProcessTable processes={processes.data} />
          </Panel>
        </div>
      )}
    </Page>
  );
}

function Break({ processes }: { processes: readonly Process[] }) {
  const { t } = useTexts();
  const tell = useTell();
  const client = useQueryClient();
  const names = processes.map((process) => process.name);
  const [process, setProcess] = useState("inventory");
  const [point, setPoint] = useState<Point>("after-commit");
  const [action, setAction] = useState<Action>("kill");
  const [stallS, setStallS] = useState(5);
  const inject = useMutation({
    mutationFn: (fault: { process: string; point: Point; action: Action; stallMs: number }) =>
      asked(api.POST("/admin/faults", { body: { ...fault, nth: 1 } })),
    onSuccess: (_, fault) => {
      const text = t(fault.action === "kill" ? "mark.kill" : "mark.stall", {
        process: fault.process,
        point: fault.point,
      });
      pulse.mark(text, "fault");
      tell.done(t("faults.armed", { process: fault.process }));
      void client.invalidateQueries({ queryKey: ["processes"] });
    },
    onError: tell.failed,
  });
  const clear = useMutation({
    mutationFn: () => asked(api.POST("/admin/faults/clear")),
    onSuccess: () => client.invalidateQueries({ queryKey: ["processes"] }),
    onError: tell.failed,
  });
  const armed = processes.reduce((sum, each) => sum + each.faults.length, 0);
  return (
    <Panel
      title={t("break.title")}
      actions={
        <span className="flex items-center gap-2">
          {armed > 0 && <Badge tone="warn">{t("faults.count", { count: armed })}</Badge>}
          <Button kind="quiet" busy={clear.isPending} onClick={() => clear.mutate()}>
            <Eraser size={14} aria-hidden />
            {t("faults.clear")}
          </Button>
        </span>
      }
    >
      <div className="grid gap-3 md:grid-cols-3">
        {QUICK.map(({ text, ...fault }) => (
          <button
            key={text}
            type="button"
            disabled={inject.isPending}
            onClick={() => inject.mutate(fault)}
            className="rounded-md border border-strong p-3 text-left text-sm transition-colors hover:border-bad hover:bg-bad-soft disabled:opacity-50"
          >
            <span className="flex items-center gap-2 font-medium">
              {fault.action === "kill" ? (
                <Skull size={16} className="text-bad" aria-hidden />
              ) : (
                <Snail size={16} className="text-warn" aria-hidden />
              )}
              {t(text)}
            </span>
            <span className="mt-1 block text-xs text-dim">{t(`${text}.hint` as "break.killInventory.hint")}</span>
          </button>
        ))}
      </div>
      <form
        className="mt-4 flex flex-wrap items-end gap-3 border-t border-line pt-4"
        onSubmit={(event) => {
          event.preventDefault();
          inject.mutate({ process, point, action, stallMs: action === "stall" ? stallS * 1000 : 0 });
        }}
      >
        <div>
          <span className="mb-1 block text-xs font-medium text-dim">{t("process")}</span>
          <Select
            label={t("process")}
            value={process}
            options={names.map((value) => ({ value, label: value }))}
            onChange={setProcess}
          />
        </div>
        <div>
          <span className="mb-1 block text-xs font-medium text-dim">{t("faults.point")}</span>
          <Select
            label={t("faults.point")}
            value={point}
            options={POINTS.map((value) => ({ value, label: value }))}
            onChange={setPoint}
          />
        </div>
        <div>
          <span className="mb-1 block text-xs font-medium text-dim">{t("action")}</span>
          <Select
            label={t("action")}
            value={action}
            options={[
              { value: "kill", label: t("faults.kill") },
              { value: "stall", label: t("faults.stall") },
            ]}
            onChange={setAction}
          />
        </div>
        {action === "stall" && (
          <Field label={t("faults.seconds")}>
            <input
              type="number"
              min={1}
              max={60}
              className={`${FIELD} w-20!`}
              value={stallS}
              onChange={(event) => setStallS(Math.min(60, Math.max(1, Number(event.target.value) || 1)))}
            />
          </Field>
        )}
        <Button type="submit" kind="danger" busy={inject.isPending}>
          <Zap size={14} aria-hidden />
          {t("faults.arm")}
        </Button>
      </form>
      <p className="mt-3 text-xs text-dim">{t("faults.explained")}</p>
    </Panel>
  );
}
