/** The whole shop at a glance. */
import { Link } from "wouter";
import type { Dashboard } from "../api/client";
import { useDashboard, useEventLog, useNow, useProcesses } from "../api/hooks";
import { endedPerSecond, pulse } from "../api/pulse";
import { clock, money, ms, number } from "../format";
import { useTexts } from "../i18n";
import { Badge, Figure, Loading, Page, Panel } from "../ui/basics";
import { Bars, PulsePanel, Swatch } from "../ui/charts";
import { useDeadLetters } from "../ui/dead-letters";
import { ProcessTable } from "../ui/processes";
import { ConnectionBadge } from "../ui/status";
import { lastMinutes } from "./spans";

export default function DashboardPage() {
  const { t } = useTexts();
  const { dashboard, state } = useDashboard();
  return (
    <Page title={t("dashboard.title")} hint={t("dashboard.hint")} actions={<ConnectionBadge state={state} />}>
      <div className="space-y-5">
        {dashboard ? (
          <Figures dashboard={dashboard} />
        ) : (
          <Panel>
            <Loading />
          </Panel>
        )}
        <PulsePanel />
        <div className="grid items-start gap-5 xl:grid-cols-2">
          {dashboard && <Minutes dashboard={dashboard} />}
          {dashboard && <Endings dashboard={dashboard} />}
        </div>
        <Processes />
      </div>
    </Page>
  );
}

function Figures({ dashboard }: { dashboard: Dashboard }) {
  const { t, language } = useTexts();
  const letters = useDeadLetters("open");
  const open = Object.values(dashboard.open).reduce((sum, count) => sum + count, 0);
  useEventLog(); // which keeps the feed open
  const now = useNow(1_000);
  const { latency } = dashboard;
  const dead = letters.data?.items.length;
  return (
    <dl className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
      <Figure
        label={t("dashboard.accepted")}
        value={number(dashboard.accepted, language)}
        hint={t("dashboard.perSecond", { count: endedPerSecond(pulse.seconds(now)).toFixed(1) })}
      />
      <Figure
        label={t("dashboard.completed")}
        value={number(dashboard.completed, language)}
        tone="ok"
        hint={dashboard.revenue.map((each) => money(each, language)).join(" + ")}
      />
      <Figure label={t("dashboard.cancelled")} value={number(dashboard.cancelled, language)} />
      <Figure label={t("dashboard.open")} value={`${number(open, language)}${dashboard.openIsPartial ? "+" : ""}`} />
      <Figure
        label={t("dashboard.latency")}
        value={latency ? ms(latency.p50Ms) : "–"}
        hint={latency && `p95 ${ms(latency.p95Ms)} · p99 ${ms(latency.p99Ms)}`}
      />
      <Figure
        label={
          <Link to="/dead-letters" className="underline-offset-2 hover:underline">
            {t("nav.deadLetters")}
          </Link>
        }
        value={dead === undefined ? "–" : number(dead, language)}
        tone={dead ? "bad" : undefined}
      />
    </dl>
  );
}

function Minutes({ dashboard }: { dashboard: Dashboard }) {
  const { t, language } = useTexts();
  const now = useNow(5_000);
  const data = lastMinutes(dashboard.minutes, now).map((minute) => ({
    ...minute,
    time: clock(minute.beginsAt, language).slice(0, 5),
  }));
  const series = [
    { key: "completed", name: t("dashboard.completed"), colour: "var(--series-2)" },
    { key: "cancelled", name: t("dashboard.cancelled"), colour: "var(--bad)" },
  ];
  return (
    <Panel
      title={t("dashboard.minutes")}
      actions={
        <span className="flex gap-3 text-xs text-dim">
          {series.map((each) => (
            <Swatch key={each.key} colour={each.colour} text={each.name} />
          ))}
        </span>
      }
    >
      <Bars label={t("dashboard.minutes")} data={data} x="time" series={series} stacked />
    </Panel>
  );
}

function Endings({ dashboard }: { dashboard: Dashboard }) {
  const { t, of, language } = useTexts();
  const rows = [
    ...Object.entries(dashboard.open).map(([name, count]) => ({
      name: of("status", name),
      count,
      colour: "bg-accent",
    })),
    { name: of("status", "COMPLETED"), count: dashboard.completed, colour: "bg-ok" },
    ...Object.entries(dashboard.cancelledByReason).map(([name, count]) => ({
      name: of("reason", name),
      count,
      colour: "bg-bad",
    })),
  ];
  const most = Math.max(1, ...rows.map((row) => row.count));
  return (
    <Panel title={t("dashboard.byStatus")}>
      <ul className="space-y-2.5">
        {rows.map((row) => (
          <li key={row.name} className="grid grid-cols-[11rem_1fr_4rem] items-center gap-3 text-sm">
            <span className="truncate text-dim">{row.name}</span>
            <span className="h-2 rounded-full bg-raised">
              <span
                className={`block h-2 rounded-full ${row.colour}`}
                style={{ width: `${(100 * row.count) / most}%` }}
              />
            </span>
            <span className="text-right">{number(row.count, language)}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Processes() {
  const { t } = useTexts();
  const processes = useProcesses();
  if (processes.data === null)
    return (
      <Panel title={t("processes.title")}>
        <p className="text-sm text-dim">{t("operate.off")}</p>
      </Panel>
    );
  const sick = processes.data?.filter((process) => !process.ready).length ?? 0;
  return (
    <Panel
      title={t("processes.title")}
      actions={
        <Badge tone={sick ? "bad" : "ok"}>{sick ? t("processes.sick", { count: sick }) : t("processes.well")}</Badge>
      }
      flush
    >
      {processes.isPending && <Loading />}
      {processes.data && <ProcessTable processes={processes.data} />}
    </Panel>
  );
}
