/**
 * Where the events of the saga table go in a diagram: a lane for each participant, and time from left to right.
 *
 * What a participant does forward stands right of what it answers. An undo goes back: its answer stands under the step
 * that it takes back, left of its cause. Nothing here knows an event or a participant by name, but for those that the
 * saga begins with: who answers an event of a later participant by an answer in an earlier lane, undoes.
 */
import type { SagaRow, SagaTable } from "../api/client";

export type EdgeKind = "forward" | "undo" | "ending";

export interface Node {
  id: string;
  /** An event, or a command that the orchestrator sends. */
  kind: "event" | "command";
  label: string;
  lane: number;
  column: number;
  /** Which of several at the same place. */
  row: number;
}

export interface Edge {
  from: string;
  to: string;
  kind: EdgeKind;
  /** The event and the answer that it stands for, and the command between them. */
  event: string;
  answer: string;
  command: string;
}

export interface Diagram {
  lanes: string[];
  /** How many nodes stand one under the other in each lane. */
  heights: number[];
  columns: number;
  nodes: Node[];
  edges: Edge[];
}

/** Sees everything and says nothing of the saga. */
const ORCHESTRATOR = "orchestrator";

export function layout(table: SagaTable): Diagram {
  const answered = new Set(table.rows.flatMap((row) => row.answers));
  const roots = [...new Set(table.rows.map((row) => row.event))].filter((event) => !answered.has(event));
  const rootLane = table.rows.find((row) => row.event === roots[0])?.topic.replace(/s$/, "") ?? "order";
  const saga = table.rows.filter(
    (row) => row.participant !== rootLane && row.answers.length > 0 && !isListener(row, table),
  );
  const endings = table.rows.filter((row) => row.participant === rootLane);
  const participants = [rootLane, ...new Set(saga.map((row) => row.participant))];
  const orchestrated = saga.some((row) => row.commandTopic);
  const lanes = orchestrated ? [...participants, ORCHESTRATOR] : participants;
  const laneOf = new Map<string, number>(roots.map((event) => [event, 0]));
  for (const row of saga) for (const answer of row.answers) laneOf.set(answer, lanes.indexOf(row.participant));

  const isUndo = (row: SagaRow) => (laneOf.get(row.event) ?? 0) > lanes.indexOf(row.participant);
  const columns = forwardColumns(
    roots,
    saga.filter((row) => !isUndo(row)),
  );
  for (const row of saga.filter(isUndo)) {
    const lane = lanes.indexOf(row.participant);
    const inLane = [...columns].filter(([event]) => laneOf.get(event) === lane).map(([, column]) => column);
    for (const answer of row.answers) if (!columns.has(answer)) columns.set(answer, Math.min(...inLane));
  }
  const last = Math.max(...columns.values()) + 1;
  // Of the endings, the first is where the saga wants to go, and the others are where it goes back to.
  for (const [place, ending] of [...new Set(endings.flatMap((row) => row.answers))].entries()) {
    columns.set(ending, place === 0 ? last : 1);
    laneOf.set(ending, 0);
  }

  const taken = new Map<string, number>();
  const put = (id: string, kind: Node["kind"], label: string, lane: number, column: number): Node => {
    const row = taken.get(`${lane}/${column}`) ?? 0;
    taken.set(`${lane}/${column}`, row + 1);
    return { id, kind, label, lane, column, row };
  };
  const nodes = [...columns].map(([event, column]) => put(event, "event", event, laneOf.get(event) ?? 0, column));
  const commands = new Map<string, Node>();
  if (orchestrated) {
    for (const row of saga) {
      const column = columns.get(row.answers[0] ?? "") ?? 0;
      if (!commands.has(row.command))
        commands.set(row.command, put(`!${row.command}`, "command", row.command, lanes.length - 1, column));
    }
  }
  const edges = [
    ...saga.flatMap((row) => edgesOf(row, isUndo(row) ? "undo" : "forward", commands.get(row.command)?.id)),
    ...endings.flatMap((row) => edgesOf(row, "ending", undefined)),
  ];
  const heights = lanes.map(
    (_, lane) =>
      1 + Math.max(0, ...[...nodes, ...commands.values()].filter((node) => node.lane === lane).map((node) => node.row)),
  );
  return { lanes, heights, columns: last + 1, nodes: [...nodes, ...commands.values()], edges };
}

/** Who answers every event in the same way, and whom nobody answers, only listens: notification. */
function isListener(row: SagaRow, table: SagaTable): boolean {
  const heard = new Set(table.rows.map((each) => each.event));
  const rows = table.rows.filter((each) => each.participant === row.participant);
  return rows.every((each) => each.answers.every((answer) => !heard.has(answer)));
}

/** The longest way from a root to each event. */
function forwardColumns(roots: string[], rows: SagaRow[]): Map<string, number> {
  const columns = new Map(roots.map((event) => [event, 0]));
  for (let round = 0; round < rows.length; round++) {
    for (const row of rows) {
      const column = columns.get(row.event);
      if (column === undefined) continue;
      for (const answer of row.answers) columns.set(answer, Math.max(columns.get(answer) ?? 0, column + 1));
    }
  }
  return columns;
}

function edgesOf(row: SagaRow, kind: EdgeKind, command: string | undefined): Edge[] {
  return row.answers.flatMap((answer) => {
    const edge = { kind, event: row.event, answer, command: row.command };
    return command
      ? [
          { ...edge, from: row.event, to: command },
          { ...edge, from: command, to: answer },
        ]
      : [{ ...edge, from: row.event, to: answer }];
  });
}
