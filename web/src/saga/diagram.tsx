/** The saga as a picture, on which what has happened is lit. */
import { useEffect, useId, useRef } from "react";
import { ms } from "../format";
import { useTexts } from "../i18n";
import type { Diagram, Edge, Node } from "./layout";

const NODE_WIDTH = 186;
const NODE_HEIGHT = 34;
const COLUMN = 232;
const ROW = 46;
const LANE_PADDING = 16;
const LEFT = 108;

export interface Happened {
  /** Milliseconds since the order was accepted. */
  afterMs: number;
  causedBy: string | null;
  id: string;
}

export function SagaDiagram({ diagram, happened }: { diagram: Diagram; happened: ReadonlyMap<string, Happened> }) {
  const { t, of } = useTexts();
  const marker = useId();
  const tops: number[] = [];
  let height = 0;
  for (const rows of diagram.heights) {
    tops.push(height);
    height += rows * ROW + 2 * LANE_PADDING - (ROW - NODE_HEIGHT);
  }
  const width = LEFT + diagram.columns * COLUMN;
  const x = (node: Node) => LEFT + node.column * COLUMN + 12;
  const y = (node: Node) => (tops[node.lane] ?? 0) + LANE_PADDING + node.row * ROW;
  const nodes = new Map(diagram.nodes.map((node) => [node.id, node]));
  const isLit = (edge: Edge) => leads(edge, happened);
  const commandsSent = new Set(diagram.edges.filter(isLit).map((edge) => `!${edge.command}`));
  const edges = [...diagram.edges].sort((a, b) => Number(isLit(a)) - Number(isLit(b)));
  const scroller = useRef<HTMLElement>(null);
  const newest = nodes.get([...happened.keys()].filter((id) => nodes.has(id)).at(-1) ?? "");
  const middle = newest && x(newest) + NODE_WIDTH / 2;
  // On a narrow screen, what happens is kept in view.
  useEffect(() => {
    const box = scroller.current;
    if (!box || middle === undefined || box.scrollWidth <= box.clientWidth) return;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const left = (middle * box.scrollWidth) / width - box.clientWidth / 2;
    box.scrollTo({ left, behavior: isCalm ? "instant" : "smooth" });
  }, [middle, width]);
  return (
    // It scrolls, and so must be reached by the keyboard.
    <section ref={scroller} className="overflow-x-auto" tabIndex={0} aria-label={t("saga.diagram")}>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={t("saga.diagram")}
        className="block min-w-[58rem] text-[12px]"
      >
        <defs>
          {(["idle", "forward", "undo", "ending"] as const).map((kind) => (
            <marker
              key={kind}
              id={`${marker}${kind}`}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerUnits="userSpaceOnUse"
              markerWidth="10"
              markerHeight="10"
              orient="auto"
            >
              <path d="M0 0.5 7.5 4 0 7.5z" className={kind === "idle" ? "fill-strong" : FILLS[kind]} />
            </marker>
          ))}
        </defs>
        {diagram.lanes.map((lane, place) => (
          <g key={lane}>
            <rect
              x={0}
              y={tops[place]}
              width={width}
              height={(tops[place + 1] ?? height) - (tops[place] ?? 0)}
              className={place % 2 ? "fill-transparent" : "fill-raised"}
              opacity={0.55}
            />
            <text x={14} y={(tops[place] ?? 0) + 26} className="fill-dim font-medium">
              {lane}
            </text>
          </g>
        ))}
        {edges.map((edge) => {
          const from = nodes.get(edge.from);
          const to = nodes.get(edge.to);
          if (!from || !to) return null;
          const lit = isLit(edge);
          return (
            <path
              key={`${edge.from}>${edge.to}>${edge.event}>${edge.answer}`}
              data-edge={`${edge.event}>${edge.answer}`}
              data-lit={lit}
              d={curve(x(from), y(from), x(to), y(to))}
              fill="none"
              strokeWidth={lit ? 2.4 : 1.1}
              strokeDasharray={edge.kind === "undo" ? "6 4" : edge.kind === "ending" ? "2 4" : undefined}
              markerEnd={`url(#${marker}${lit ? edge.kind : "idle"})`}
              className={lit ? `lit ${STROKES[edge.kind]}` : "stroke-strong"}
              opacity={lit ? 1 : edge.kind === "ending" ? 0.35 : 0.8}
            >
              <title>{`${edge.event} → ${edge.command} → ${edge.answer}`}</title>
            </path>
          );
        })}
        {edges.filter(isLit).map((edge) => {
          const from = nodes.get(edge.from);
          const to = nodes.get(edge.to);
          if (!from || !to) return null;
          const path = curve(x(from), y(from), x(to), y(to));
          return (
            <circle
              key={`${edge.from}>${edge.to}>${edge.event}>${edge.answer}`}
              r={5}
              className={`travels ${FILLS[edge.kind]}`}
              style={{ offsetPath: `path("${path}")` }}
            />
          );
        })}
        {diagram.nodes.map((node) => {
          const seen = happened.get(node.id);
          const lit = seen !== undefined || (node.kind === "command" && commandsSent.has(node.id));
          const undone = lit && diagram.edges.some((edge) => edge.answer === node.id && edge.kind === "undo");
          const failed = lit && isFailure(node.id, diagram);
          return (
            <g key={node.id} data-node={node.label} data-lit={lit} transform={`translate(${x(node)} ${y(node)})`}>
              <rect
                width={NODE_WIDTH}
                height={NODE_HEIGHT}
                rx={node.kind === "command" ? 4 : 17}
                strokeWidth={lit ? 1.8 : 1}
                className={
                  failed || undone
                    ? failed
                      ? "lit fill-bad-soft stroke-bad"
                      : "lit fill-warn-soft stroke-warn"
                    : lit
                      ? "lit fill-ok-soft stroke-ok"
                      : "fill-surface stroke-strong"
                }
              />
              <text
                x={NODE_WIDTH / 2}
                y={seen ? 15 : 21}
                textAnchor="middle"
                className={
                  failed
                    ? "fill-bad font-medium"
                    : undone
                      ? "fill-warn font-medium"
                      : lit
                        ? "fill-ok font-medium"
                        : "fill-dim"
                }
              >
                {node.label}
              </text>
              {seen && (
                <text x={NODE_WIDTH / 2} y={27} textAnchor="middle" className="fill-text text-[10px]">
                  +{ms(seen.afterMs)}
                </text>
              )}
              <title>{of("event", node.label)}</title>
            </g>
          );
        })}
      </svg>
    </section>
  );
}

const STROKES = { forward: "stroke-ok", undo: "stroke-warn", ending: "stroke-accent" };
const FILLS = { forward: "fill-ok", undo: "fill-warn", ending: "fill-accent" };

/** Both have happened, and the answer names no other event of the diagram as its cause. */
export function leads(edge: Edge, happened: ReadonlyMap<string, Happened>): boolean {
  const event = happened.get(edge.event);
  const answer = happened.get(edge.answer);
  if (!event || !answer) return false;
  const causes = [...happened.values()].some((each) => each.id === answer.causedBy);
  return edge.kind === "ending" || !causes || answer.causedBy === event.id;
}

/** An event that makes somebody undo, or ends the saga where it does not want to go. */
export function isFailure(event: string, diagram: Diagram): boolean {
  const first = diagram.edges.find((edge) => edge.kind === "ending")?.answer;
  const isWrongEnding =
    diagram.edges.some((edge) => edge.kind === "ending" && edge.answer === event) && event !== first;
  const isUndone = diagram.edges.some((edge) => edge.kind === "undo" && edge.event === event);
  // An alternative answer with which the saga does not go on.
  const goesOn = diagram.edges.some((edge) => edge.kind !== "ending" && edge.event === event);
  const rival = diagram.edges.some(
    (edge) =>
      edge.kind === "forward" &&
      edge.answer !== event &&
      diagram.edges.some(
        (own) =>
          own.answer === event && own.event === edge.event && own.command === edge.command && own.kind === "forward",
      ),
  );
  const isLast = !goesOn && rival && !diagram.edges.some((edge) => edge.answer === event && edge.kind === "undo");
  return isWrongEnding || isUndone || (isLast && event !== lastForward(diagram));
}

/** The event of the furthest column that a saga wants to come to. */
function lastForward(diagram: Diagram): string {
  const first = [
    ...new Set(diagram.edges.filter((edge) => edge.kind === "forward").map((edge) => `${edge.event}/${edge.command}`)),
  ];
  const wanted = first.map(
    (key) =>
      diagram.edges.find((edge) => `${edge.event}/${edge.command}` === key && edge.kind === "forward")?.answer ?? "",
  );
  const column = (id: string) => diagram.nodes.find((node) => node.id === id)?.column ?? 0;
  return wanted.sort((a, b) => column(b) - column(a))[0] ?? "";
}

function curve(fromX: number, fromY: number, toX: number, toY: number): string {
  const middle = NODE_HEIGHT / 2;
  if (toX > fromX) {
    const [x1, y1, x2, y2] = [fromX + NODE_WIDTH, fromY + middle, toX, toY + middle];
    const bend = Math.max(28, (x2 - x1) / 2);
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  }
  if (toX === fromX) {
    const down = toY > fromY;
    const [x1, y1, y2] = [fromX + NODE_WIDTH / 2, fromY + (down ? NODE_HEIGHT : 0), toY + (down ? 0 : NODE_HEIGHT)];
    return `M${x1} ${y1}C${x1} ${(y1 + y2) / 2} ${x1} ${(y1 + y2) / 2} ${x1} ${y2}`;
  }
  // Back, below where one came in.
  const [x1, y1, x2, y2] = [fromX + 4, fromY + middle + 9, toX + NODE_WIDTH, toY + middle];
  const bend = Math.max(28, (x1 - x2) / 2);
  return `M${x1} ${y1}C${x1 - bend} ${y1} ${x2 + bend} ${y2} ${x2} ${y2}`;
}
