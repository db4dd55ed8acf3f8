/** The steps of an order as its customer sees them, from the status document alone. */
import type { OrderDocument } from "../api/client";
import type { Key } from "../i18n/en";

export interface Step {
  text: Key;
  state: "done" | "now" | "open" | "failed" | "undone";
}

const DELIVERY = ["PENDING", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"];
/** The event that says that a step is done, and the one that says that it was taken back. */
const SAGA_STEPS: readonly [Key, string, string][] = [
  ["step.accepted", "OrderCreated", ""],
  ["step.reserved", "InventoryConfirmed", "InventoryReleased"],
  ["step.paid", "PaymentCompleted", "PaymentRefunded"],
  ["step.shipped", "Shipped", ""],
];

export function stepsOf(order: OrderDocument): Step[] {
  const seen = new Set(order.timeline.map((entry) => entry.type));
  const ended = order.status === "CANCELLED";
  const delivery = DELIVERY.indexOf(order.delivery.status);
  const steps: Step[] = SAGA_STEPS.map(([text, done, undone]) => ({
    text,
    state: seen.has(done) ? (undone && seen.has(undone) ? "undone" : "done") : "open",
  }));
  for (const [at, name] of DELIVERY.entries()) {
    if (at > 0) steps.push({ text: `delivery.${name}` as Key, state: delivery >= at ? "done" : "open" });
  }
  const next = steps.find((step) => step.state === "open");
  if (next) next.state = ended ? "failed" : "now";
  return ended ? steps.filter((step) => step.state !== "open") : steps;
}
