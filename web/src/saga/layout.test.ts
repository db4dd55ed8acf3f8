import { expect, test } from "vitest";
import type { SagaRow, SagaTable } from "../api/client";
import { isFailure, leads } from "./diagram";
import { layout } from "./layout";

const row = (participant: string, event: string, topic: string, command: string, ...answers: string[]): SagaRow => ({
  participant,
  event,
  topic,
  command,
  answers,
  commandTopic: null,
});

/** The rows that the shop serves, but for two of notification's. */
const ROWS = [
  row("inventory", "OrderCreated", "orders", "ReserveInventory", "InventoryConfirmed", "InventoryRejected"),
  row("payment", "InventoryConfirmed", "inventory", "ChargePayment", "PaymentCompleted", "PaymentFailed"),
  row("shipping", "PaymentCompleted", "payment", "ShipOrder", "Shipped", "ShipmentFailed"),
  row("inventory", "Shipped", "shipping", "CommitReservation"),
  row("inventory", "PaymentFailed", "payment", "ReleaseInventory", "InventoryReleased"),
  row("inventory", "ShipmentFailed", "shipping", "ReleaseInventory", "InventoryReleased"),
  row("payment", "ShipmentFailed", "shipping", "RefundPayment", "PaymentRefunded"),
  row("shipping", "OrderCancellationRequested", "orders", "StopShipment", "ShipmentFailed", "CancellationRefused"),
  ...["InventoryRejected", "InventoryReleased", "PaymentFailed", "PaymentRefunded", "Shipped", "ShipmentFailed"].map(
    (event) => row("order", event, "inventory", event, "OrderCompleted", "OrderCancelled"),
  ),
  row("notification", "Shipped", "shipping", "Notify", "NotificationSent"),
  row("notification", "OrderCompleted", "orders", "Notify", "NotificationSent"),
];
const TABLE: SagaTable = { mode: "choreographed", rows: ROWS, topics: [] };

test("what goes on stands further right, and what is undone goes back to where it was done", () => {
  const { lanes, nodes } = layout(TABLE);
  const at = (id: string) => nodes.find((node) => node.id === id) ?? { column: Number.NaN, lane: Number.NaN };
  expect(lanes).toEqual(["order", "inventory", "payment", "shipping"]);
  expect(["OrderCreated", "InventoryConfirmed", "PaymentCompleted", "Shipped"].map((id) => at(id).column)).toEqual([
    0, 1, 2, 3,
  ]);
  expect(at("InventoryReleased").column).toBe(at("InventoryConfirmed").column);
  expect(at("PaymentRefunded").column).toBe(at("PaymentCompleted").column);
  expect(at("OrderCompleted").column).toBeGreaterThan(at("Shipped").column);
  expect(at("OrderCancelled").column).toBeLessThan(at("PaymentFailed").column);
  expect(lanes[at("ShipmentFailed").lane]).toBe("shipping");
});

test("no two events stand at the same place", () => {
  for (const table of [TABLE, orchestrated()]) {
    const places = layout(table).nodes.map((node) => `${node.lane}/${node.column}/${node.row}`);
    expect(new Set(places).size).toBe(places.length);
  }
});

test("every public answer of the table is led to by an edge, and undoing is told from going on", () => {
  const { edges } = layout(TABLE);
  const kind = (event: string, answer: string) =>
    edges.find((edge) => edge.event === event && edge.answer === answer)?.kind;
  expect(kind("OrderCreated", "InventoryConfirmed")).toBe("forward");
  expect(kind("ShipmentFailed", "PaymentRefunded")).toBe("undo");
  expect(kind("PaymentFailed", "InventoryReleased")).toBe("undo");
  expect(kind("Shipped", "OrderCompleted")).toBe("ending");
});

test("orchestrated, each command stands in the orchestrator's lane, between its event and its answers", () => {
  const { lanes, nodes, edges } = layout(orchestrated());
  expect(lanes.at(-1)).toBe("orchestrator");
  const charge = nodes.find((node) => node.label === "ChargePayment");
  expect(charge?.lane).toBe(lanes.length - 1);
  expect(new Set(edges.filter((edge) => edge.to === charge?.id).map((edge) => edge.from))).toEqual(
    new Set(["InventoryConfirmed"]),
  );
  expect(edges.filter((edge) => edge.from === charge?.id).map((edge) => edge.to)).toEqual([
    "PaymentCompleted",
    "PaymentFailed",
  ]);
});

test("an answer that names its cause lights that edge alone", () => {
  const { edges } = layout(TABLE);
  const happened = new Map([
    ["PaymentFailed", { afterMs: 1, causedBy: null, id: "failed" }],
    ["ShipmentFailed", { afterMs: 2, causedBy: null, id: "stopped" }],
    ["InventoryReleased", { afterMs: 3, causedBy: "stopped", id: "released" }],
  ]);
  const lit = edges.filter((edge) => edge.kind === "undo" && leads(edge, happened));
  expect(lit.map((edge) => edge.event)).toEqual(["ShipmentFailed"]);
});

test("failures are those that are undone or lead to the ending that nobody wants", () => {
  const diagram = layout(TABLE);
  const failures = diagram.nodes.map((node) => node.id).filter((id) => isFailure(id, diagram));
  expect(failures.sort()).toEqual(
    ["CancellationRefused", "InventoryRejected", "OrderCancelled", "PaymentFailed", "ShipmentFailed"].sort(),
  );
});

function orchestrated(): SagaTable {
  const commanded = new Set(["inventory", "payment", "shipping"]);
  const rows = ROWS.map((each) =>
    commanded.has(each.participant) ? { ...each, commandTopic: `${each.participant}.commands` } : each,
  );
  return { mode: "orchestrated", rows, topics: [] };
}
