/** Money, numbers and times as people of the page's language write them. */
import type { Money } from "./api/client";
import type { Language } from "./i18n";

/** The reader's own way of writing the language, such as en-GB, where the browser knows one. */
function locale(language: Language): string {
  return navigator.languages.find((each) => each.split("-")[0] === language) ?? language;
}

export function money({ amountMinor, currency }: Money, language: Language): string {
  const format = new Intl.NumberFormat(locale(language), {
    style: "currency",
    currency,
    currencyDisplay: "narrowSymbol",
  });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(amountMinor / 10 ** digits);
}

export function number(value: number, language: Language): string {
  return new Intl.NumberFormat(locale(language)).format(value);
}

export function ms(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  if (value >= 1_000) return `${(value / 1000).toFixed(2)} s`;
  return value >= 10 || value === 0 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

export function clock(time: string | number, language: Language): string {
  return new Intl.DateTimeFormat(locale(language), {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    hourCycle: "h23",
  }).format(new Date(time));
}

export function dateTime(time: string, language: Language): string {
  return new Intl.DateTimeFormat(locale(language), { dateStyle: "medium", timeStyle: "medium" }).format(new Date(time));
}

/** Of today the time alone. */
export function recent(time: string, language: Language): string {
  const isToday = new Date(time).toDateString() === new Date().toDateString();
  if (!isToday) return dateTime(time, language);
  return new Intl.DateTimeFormat(locale(language), { timeStyle: "medium" }).format(new Date(time));
}

/** A calendar day, `2026-11-21`, without its year. */
export function day(date: string, language: Language): string {
  const format = new Intl.DateTimeFormat(locale(language), { day: "numeric", month: "short", timeZone: "UTC" });
  return format.format(new Date(`${date}T00:00:00Z`));
}

export function shortId(id: string): string {
  return id.length > 13 ? `${id.slice(0, 4)}…${id.slice(-8)}` : id;
}
