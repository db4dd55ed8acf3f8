import { expect, test } from "vitest";
import { lastDays, lastMinutes } from "./spans";

const NOW = Date.parse("2026-03-01T00:00:30Z");

test("a minute in which nothing happened is there, with nothing", () => {
  const before = { beginsAt: "2026-02-28T23:58:00Z", accepted: 3, completed: 2, cancelled: 1 };
  const shown = lastMinutes([before], NOW);
  expect(shown).toHaveLength(15);
  expect(shown.at(-3)).toEqual({ beginsAt: Date.parse(before.beginsAt), completed: 2, cancelled: 1 });
  expect(shown.at(-1)).toEqual({ beginsAt: Date.parse("2026-03-01T00:00:00Z"), completed: 0, cancelled: 0 });
});

test("a day on which nothing was sold is there, over the end of a month", () => {
  const money = (amountMinor: number) => ({ amountMinor, currency: "USD" });
  const sold = { day: "2026-02-28", orders: 1, pieces: 2, revenue: money(500), refunded: money(7) };
  const shown = lastDays([sold as never], NOW);
  expect(shown).toHaveLength(14);
  expect(shown.at(-2)).toEqual({ day: "2026-02-28", revenue: 500, refunded: 7 });
  expect(shown.at(-1)).toEqual({ day: "2026-03-01", revenue: 0, refunded: 0 });
});
