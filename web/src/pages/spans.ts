/** What charts show: each of the last minutes or days, also those in which nothing happened. */
import type { components } from "../api/schema";

type Schemas = components["schemas"];
const MINUTES_SHOWN = 15;
const DAYS_SHOWN = 14;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export function lastMinutes(minutes: readonly Schemas["Minute"][], now: number) {
  const known = new Map(minutes.map((minute) => [Date.parse(minute.beginsAt), minute]));
  const newest = Math.floor(now / MINUTE_MS) * MINUTE_MS;
  return lasting(MINUTES_SHOWN, (ago) => {
    const beginsAt = newest - ago * MINUTE_MS;
    const { completed = 0, cancelled = 0 } = known.get(beginsAt) ?? {};
    return { beginsAt, completed, cancelled };
  });
}

/** Days are those of UTC, as marketing counts them; amounts are in minor units. */
export function lastDays(days: readonly Schemas["DailySales"][], now: number) {
  const known = new Map(days.map((each) => [each.day, each]));
  return lasting(DAYS_SHOWN, (ago) => {
    const day = new Date(now - ago * DAY_MS).toISOString().slice(0, 10);
    const found = known.get(day);
    return { day, revenue: found?.revenue.amountMinor ?? 0, refunded: found?.refunded.amountMinor ?? 0 };
  });
}

function lasting<T>(count: number, of: (ago: number) => T): T[] {
  return Array.from({ length: count }, (_, place) => of(count - 1 - place));
}
