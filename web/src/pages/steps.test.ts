import { expect, test } from "vitest";
import type { OrderDocument } from "../api/client";
import { stepsOf } from "./steps";

function order(status: string, types: string[], delivery = "PENDING"): OrderDocument {
  return {
    orderId: "o",
    userId: "ada",
    status,
    reason: null,
    reasonDetail: null,
    items: [],
    total: null,
    payment: { status: "PENDING", amount: null, refunded: null },
    delivery: { status: delivery, trackingNumber: null, address: null },
    timeline: types.map((type) => ({ type, time: "2026-01-01T00:00:00Z", service: "s", detail: null })),
    seq: types.length,
  };
}
const states = (document: OrderDocument) => stepsOf(document).map((step) => step.state);

test("the first step that is not done is under way", () => {
  expect(states(order("AWAITING_PAYMENT", ["OrderCreated", "InventoryConfirmed"]))).toEqual([
    "done",
    "done",
    "now",
    "open",
    "open",
    "open",
    "open",
  ]);
});

test("a delivered order has nothing under way", () => {
  const all = ["OrderCreated", "InventoryConfirmed", "PaymentCompleted", "Shipped", "OrderCompleted"];
  expect(new Set(states(order("COMPLETED", all, "DELIVERED")))).toEqual(new Set(["done"]));
});

test("a cancelled order shows what was taken back and where it came to its end", () => {
  const all = [
    "OrderCreated",
    "InventoryConfirmed",
    "PaymentCompleted",
    "ShipmentFailed",
    "InventoryReleased",
    "PaymentRefunded",
    "OrderCancelled",
  ];
  expect(states(order("CANCELLED", all))).toEqual(["done", "undone", "undone", "failed"]);
});

test("an accepted order of which nothing else is known yet is under way", () => {
  expect(states(order("PENDING", []))[0]).toBe("now");
});
