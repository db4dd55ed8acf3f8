/** Charts in the page's colours. Recharts draws them; they are loaded with the pages that need them. */
import type { ReactNode } from "react";
import {
  Area,
  Bar,
  BarChart,
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import { useEventLog, useNow, useProcesses } from "../api/hooks";
import { type Mark, pulse, SECONDS_SHOWN, useMarks } from "../api/pulse";
import { clock, ms, number } from "../format";
import { useTexts } from "../i18n";
import { Panel } from "./basics";
import { useHealing } from "./healing";

const AXIS = { stroke: "var(--strong)", tick: { fill: "var(--dim)", fontSize: 11 }, tickLine: false };
const X_HEIGHT = 20;
const GRID = { stroke: "var(--line)", vertical: false };
const TOOLTIP = {
  contentStyle: {
    background: "var(--surface)",
    border: "1px solid var(--strong)",
    borderRadius: 6,
    fontSize: 12,
    color: "var(--text)",
  },
  labelStyle: { color: "var(--dim)" },
  itemStyle: { color: "var(--text)" },
  cursor: { fill: "var(--raised)", stroke: "var(--strong)" },
  isAnimationActive: false,
};
const HEIGHT = 210;
const TICK_S = 30;
const LABEL_EVERY_MS = 10_000;

function Sized({ label, height = HEIGHT, children }: { label: string; height?: number; children: ReactNode }) {
  return (
    <figure aria-label={label} className="m-0">
      <ResponsiveContainer width="100%" height={height} minWidth={0}>
        {children}
      </ResponsiveContainer>
    </figure>
  );
}

/** Orders a second and how long they took, with what was done to the shop. */
export function PulsePanel({ title }: { title?: string }) {
  const { t, language } = useTexts();
  useHealing(useProcesses().data);
  useEventLog(); // which keeps the feed open
  const now = useNow(1_000);
  const marks = useMarks();
  const seconds = pulse.seconds(now);
  const first = seconds[0]?.at ?? 0;
  const shownMarks = marks.filter((mark) => mark.at >= first);
  const time = (at: number) => clock(at, language).slice(0, 8);
  const labels = markLabels(shownMarks);
  const lines = shownMarks.map((mark, place) => (
    <ReferenceLine
      key={`${mark.at}${mark.text}`}
      x={Math.floor(mark.at / 1000) * 1000}
      stroke={mark.kind === "fault" ? "var(--bad)" : "var(--ok)"}
      strokeDasharray="4 3"
      label={{
        value: labels[place],
        position: "insideTopRight",
        fill: mark.kind === "fault" ? "var(--bad)" : "var(--ok)",
        fontSize: 11,
      }}
    />
  ));
  const last = seconds.at(-1)?.at ?? 0;
  // Every 30 s, by their distance from now: they stand still while the lines move.
  const ticks = Array.from({ length: SECONDS_SHOWN / TICK_S }, (_, place) => last - place * TICK_S * 1000);
  const ago = (at: number) => (at === last ? t("pulse.now") : `−${(last - at) / 1000} s`);
  const x = (
    <XAxis
      dataKey="at"
      type="number"
      domain={["dataMin", "dataMax"]}
      ticks={ticks}
      tickFormatter={ago}
      interval="preserveEnd"
      minTickGap={16}
      padding={{ right: 14 }}
      height={X_HEIGHT}
      {...AXIS}
    />
  );
  const isQuiet = seconds.every((second) => !second.accepted && !second.ended);
  return (
    <Panel title={title ?? t("pulse.title")}>
      {isQuiet && <p className="mb-3 text-sm text-dim">{t("pulse.quiet", { minutes: SECONDS_SHOWN / 60 })}</p>}
      <div className="grid gap-5 lg:grid-cols-2">
        <div>
          <p className="mb-2 flex gap-4 text-xs text-dim">
            <Swatch colour="var(--accent)" text={t("pulse.accepted")} />
            <Swatch colour="var(--series-2)" text={t("pulse.ended")} />
          </p>
          <Sized label={t("pulse.throughput")}>
            <ComposedChart data={seconds} margin={{ left: -18, right: 8, top: 6 }}>
              <CartesianGrid {...GRID} />
              {x}
              <YAxis allowDecimals={false} domain={[0, (most: number) => Math.max(4, most)]} {...AXIS} />
              <Tooltip {...TOOLTIP} labelFormatter={(at) => time(Number(at))} />
              <Area
                dataKey="accepted"
                name={t("pulse.accepted")}
                stroke="var(--accent)"
                fill="var(--accent)"
                fillOpacity={0.15}
                isAnimationActive={false}
              />
              <Line
                dataKey="ended"
                name={t("pulse.ended")}
                stroke="var(--series-2)"
                dot={false}
                strokeWidth={2}
                isAnimationActive={false}
              />
              {lines}
            </ComposedChart>
          </Sized>
        </div>
        <div>
          <p className="mb-2 flex gap-4 text-xs text-dim">
            <Swatch colour="var(--accent)" text={t("pulse.p50")} />
            <Swatch colour="var(--warn)" text={t("pulse.p95")} />
          </p>
          <Sized label={t("pulse.latency")}>
            <ComposedChart data={seconds} margin={{ left: 4, right: 8, top: 6 }}>
              <CartesianGrid {...GRID} />
              {x}
              <YAxis tickFormatter={(value) => ms(Number(value))} domain={[0, "auto"]} {...AXIS} />
              <Tooltip
                {...TOOLTIP}
                labelFormatter={(at) => time(Number(at))}
                formatter={(value) => ms(Number(value))}
              />
              <Line
                dataKey="p95"
                name={t("pulse.p95")}
                stroke="var(--warn)"
                dot={{ r: 1.5 }}
                connectNulls
                isAnimationActive={false}
              />
              <Line
                dataKey="p50"
                name={t("pulse.p50")}
                stroke="var(--accent)"
                dot={{ r: 1.5 }}
                connectNulls
                isAnimationActive={false}
              />
              {lines}
            </ComposedChart>
          </Sized>
        </div>
      </div>
      {shownMarks.length > 0 && (
        <ol className="mt-3 space-y-0.5 border-t border-line pt-3 text-xs" aria-label={t("pulse.marks")}>
          {shownMarks.map((mark, place) => (
            <li key={`${mark.at}${mark.text}`} className={mark.kind === "fault" ? "text-bad" : "text-ok"}>
              {place + 1}. <span className="font-mono text-dim">{time(mark.at)}</span> {mark.text}
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

/** The number of each mark; where several are close together, the first has the numbers of all. */
function markLabels(marks: readonly Mark[]): string[] {
  const labels = marks.map(() => "");
  let first = 0;
  marks.forEach((mark, place) => {
    if (mark.at - (marks[first]?.at ?? 0) >= LABEL_EVERY_MS) first = place;
    labels[first] = first === place ? `${place + 1}` : `${first + 1}–${place + 1}`;
  });
  return labels;
}

export function Swatch({ colour, text }: { colour: string; text: string }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <span className="size-2.5 rounded-sm" style={{ background: colour }} />
      {text}
    </span>
  );
}

export interface BarSeries {
  key: string;
  name: string;
  colour: string;
}

export function Bars({
  label,
  data,
  x,
  series,
  format,
  stacked = false,
}: {
  label: string;
  data: readonly object[];
  x: string;
  series: BarSeries[];
  format?: (value: number) => string;
  stacked?: boolean;
}) {
  const { language } = useTexts();
  const shown = format ?? ((value: number) => number(value, language));
  return (
    <Sized label={label}>
      <BarChart data={[...data]} margin={{ left: 0, right: 8, top: 6 }}>
        <CartesianGrid {...GRID} />
        <XAxis dataKey={x} minTickGap={20} height={X_HEIGHT} {...AXIS} />
        <YAxis tickFormatter={shown} width={64} {...AXIS} />
        <Tooltip {...TOOLTIP} formatter={(value) => shown(Number(value))} />
        {series.map((each) => (
          <Bar
            key={each.key}
            dataKey={each.key}
            name={each.name}
            fill={each.colour}
            stackId={stacked ? "all" : undefined}
            radius={stacked ? 0 : [3, 3, 0, 0]}
            maxBarSize={46}
            isAnimationActive={false}
          />
        ))}
      </BarChart>
    </Sized>
  );
}
