/** Charts in the page's colours. Recharts draws them; they are loaded with the pages that need them. */
import type { ReactNode } from "react";
import {
  Area,
  AreaChart,
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
import { useEventLog, useNow } from "../api/hooks";
import { pulse, useMarks } from "../api/pulse";
import { clock, ms, number } from "../format";
import { useTexts } from "../i18n";
import { Panel } from "./basics";

const AXIS = { stroke: "var(--strong)", tick: { fill: "var(--dim)", fontSize: 11 }, tickLine: false };
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
export function PulsePanel() {
  const { t, language } = useTexts();
  useEventLog(); // which keeps the feed open
  const now = useNow(1_000);
  const marks = useMarks();
  const seconds = pulse.seconds(now);
  const first = seconds[0]?.at ?? 0;
  const shownMarks = marks.filter((mark) => mark.at >= first);
  const time = (at: number) => clock(at, language).slice(0, 8);
  const lines = shownMarks.map((mark, place) => (
    <ReferenceLine
      key={`${mark.at}${mark.text}`}
      x={Math.floor(mark.at / 1000) * 1000}
      stroke={mark.kind === "fault" ? "var(--bad)" : "var(--ok)"}
      strokeDasharray="4 3"
      label={{
        value: `${place + 1}`,
        position: "insideTopRight",
        fill: mark.kind === "fault" ? "var(--bad)" : "var(--ok)",
        fontSize: 11,
      }}
    />
  ));
  const x = (
    <XAxis dataKey="at" type="number" domain={["dataMin", "dataMax"]} tickFormatter={time} minTickGap={60} {...AXIS} />
  );
  return (
    <Panel title={t("pulse.title")}>
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
              <YAxis allowDecimals={false} {...AXIS} />
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
              <YAxis tickFormatter={(value) => ms(Number(value))} {...AXIS} />
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
        <XAxis dataKey={x} minTickGap={20} {...AXIS} />
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

export function Areas({
  label,
  data,
  x,
  series,
  format,
}: {
  label: string;
  data: readonly object[];
  x: string;
  series: BarSeries[];
  format: (value: number) => string;
}) {
  return (
    <Sized label={label} height={250}>
      <AreaChart data={[...data]} margin={{ left: 4, right: 8, top: 6 }}>
        <CartesianGrid {...GRID} />
        <XAxis dataKey={x} minTickGap={30} {...AXIS} />
        <YAxis tickFormatter={format} width={76} {...AXIS} />
        <Tooltip {...TOOLTIP} formatter={(value) => format(Number(value))} />
        {series.map((each) => (
          <Area
            key={each.key}
            dataKey={each.key}
            name={each.name}
            stroke={each.colour}
            fill={each.colour}
            fillOpacity={0.14}
            strokeWidth={2}
            isAnimationActive={false}
          />
        ))}
      </AreaChart>
    </Sized>
  );
}
