/** The small parts that all pages are made of. */
import { NumberField } from "@base-ui/react/number-field";
import { Select as BaseSelect } from "@base-ui/react/select";
import { AlertTriangle, Check, ChevronDown, Inbox, LoaderCircle, Minus, Plus } from "lucide-react";
import { type ButtonHTMLAttributes, type ReactNode, useState } from "react";
import { Failure } from "../api/client";
import { useTexts } from "../i18n";

export type Tone = "neutral" | "accent" | "ok" | "warn" | "bad";

const TONES: Record<Tone, string> = {
  neutral: "bg-raised text-dim",
  accent: "bg-accent-soft text-accent",
  ok: "bg-ok-soft text-ok",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
};

export function Badge({ tone = "neutral", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={`inline-flex items-center gap-1 rounded px-1.5 py-0.5 text-xs font-medium sm:whitespace-nowrap ${TONES[tone]}`}
    >
      {children}
    </span>
  );
}

const KINDS = {
  primary: "bg-accent text-on-accent hover:brightness-110 border-transparent",
  plain: "bg-surface text-text border-strong hover:bg-raised",
  quiet: "border-transparent text-dim hover:bg-raised hover:text-text",
  danger: "bg-surface text-bad border-strong hover:bg-bad-soft",
};

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: keyof typeof KINDS;
  busy?: boolean;
}

export function Button({ kind = "plain", busy = false, children, className = "", ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled || busy}
      className={`inline-flex min-h-8 items-center justify-center gap-1.5 rounded-md border px-3 py-1 text-sm font-medium transition-colors disabled:cursor-not-allowed disabled:opacity-50 ${KINDS[kind]} ${className}`}
    >
      {busy && <LoaderCircle size={14} className="animate-spin" aria-hidden />}
      {children}
    </button>
  );
}

export function Page({
  title,
  hint,
  actions,
  children,
}: {
  title: ReactNode;
  hint?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className="mx-auto w-full max-w-[100rem] px-4 py-5 lg:px-7">
      <header className="mb-4 flex flex-wrap items-end justify-between gap-x-6 gap-y-2">
        <div className="min-w-0">
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          {hint && <p className="mt-0.5 max-w-3xl text-sm text-dim">{hint}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Panel({
  title,
  actions,
  children,
  className = "",
  flush = false,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  className?: string;
  flush?: boolean;
}) {
  return (
    <section className={`min-w-0 rounded-lg border border-line bg-surface ${className}`}>
      {title && (
        <header className="flex min-h-11 items-center justify-between gap-2 border-b border-line px-4 py-2">
          <h2 className="text-sm font-semibold">{title}</h2>
          {actions}
        </header>
      )}
      <div className={flush ? "" : "p-4"}>{children}</div>
    </section>
  );
}

export function Figure({
  label,
  value,
  hint,
  tone,
}: {
  label: ReactNode;
  value: ReactNode;
  hint?: ReactNode;
  tone?: Tone;
}) {
  const colour = tone === "bad" ? "text-bad" : tone === "warn" ? "text-warn" : tone === "ok" ? "text-ok" : "";
  return (
    <div className="min-w-0 rounded-lg border border-line bg-surface px-4 py-3">
      <dt className="truncate text-xs text-dim">{label}</dt>
      <dd className={`mt-1 text-2xl leading-7 font-semibold tracking-tight ${colour}`}>{value}</dd>
      {hint && <dd className="mt-0.5 text-xs text-dim">{hint}</dd>}
    </div>
  );
}

export function Loading({ rows = 4 }: { rows?: number }) {
  const { t } = useTexts();
  return (
    <div role="status" aria-label={t("loading")} className="space-y-2 p-4">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
        <div key={row} className="h-5 animate-pulse rounded bg-raised" />
      ))}
    </div>
  );
}

export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-2 px-4 py-10 text-center text-sm text-dim">
      <Inbox size={22} aria-hidden />
      <p className="max-w-md">{children}</p>
      {action}
    </div>
  );
}

/** What went wrong, in words, with the fields at fault. */
export function Trouble({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTexts();
  return (
    <div
      role="alert"
      className="flex items-start gap-3 rounded-md bg-bad-soft px-4 py-3 text-sm text-bad not-last:mb-4"
    >
      <AlertTriangle size={16} className="mt-0.5 shrink-0" aria-hidden />
      <div className="min-w-0">
        <p className="break-words">{words(error, t("error.unreachable"))}</p>
        {retry && (
          <button type="button" onClick={retry} className="mt-1 font-medium underline">
            {t("retry")}
          </button>
        )}
      </div>
    </div>
  );
}

export function words(error: unknown, unreachable: string): string {
  if (!(error instanceof Failure)) return String(error);
  const { type, detail } = error.problem;
  return type === "unreachable" ? unreachable : detail;
}

export function Select<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly { value: NoInfer<T>; label: string }[];
  onChange(value: NoInfer<T>): void;
}) {
  return (
    <BaseSelect.Root items={options} value={value} onValueChange={(chosen) => chosen !== null && onChange(chosen)}>
      <BaseSelect.Trigger
        aria-label={label}
        className="inline-flex min-h-8 items-center justify-between gap-2 rounded-md border border-strong bg-surface px-2.5 py-1 text-sm hover:bg-raised"
      >
        <BaseSelect.Value />
        <BaseSelect.Icon>
          <ChevronDown size={14} className="text-dim" aria-hidden />
        </BaseSelect.Icon>
      </BaseSelect.Trigger>
      <BaseSelect.Portal>
        <BaseSelect.Positioner sideOffset={4} alignItemWithTrigger={false} className="z-50">
          <BaseSelect.Popup className="max-h-80 overflow-y-auto rounded-md border border-line bg-surface p-1 text-sm shadow-lg outline-none">
            <BaseSelect.List>
              {options.map((option) => (
                <BaseSelect.Item
                  key={option.value}
                  value={option.value}
                  className="flex cursor-default items-center gap-2 rounded px-2 py-1 outline-none data-highlighted:bg-raised"
                >
                  <span className="w-4">
                    <BaseSelect.ItemIndicator>
                      <Check size={14} aria-hidden />
                    </BaseSelect.ItemIndicator>
                  </span>
                  <BaseSelect.ItemText>{option.label}</BaseSelect.ItemText>
                </BaseSelect.Item>
              ))}
            </BaseSelect.List>
          </BaseSelect.Popup>
        </BaseSelect.Positioner>
      </BaseSelect.Portal>
    </BaseSelect.Root>
  );
}

export function Quantity({
  label,
  value,
  min = 0,
  max = 1000,
  onChange,
}: {
  label: string;
  value: number;
  min?: number;
  max?: number;
  onChange(value: number): void;
}) {
  const { t } = useTexts();
  const step =
    "grid size-8 focus-visible:-outline-offset-2 place-items-center text-dim hover:bg-raised hover:text-text disabled:opacity-40";
  return (
    <NumberField.Root value={value} min={min} max={max} onValueChange={(chosen) => onChange(chosen ?? min)}>
      <NumberField.Group className="inline-flex overflow-hidden rounded-md border border-strong bg-surface">
        <NumberField.Decrement aria-label={t("less", { what: label })} className={step}>
          <Minus size={14} aria-hidden />
        </NumberField.Decrement>
        <NumberField.Input
          aria-label={label}
          className="w-11 border-x border-line bg-transparent text-center text-sm focus-visible:-outline-offset-2"
        />
        <NumberField.Increment aria-label={t("more", { what: label })} className={step}>
          <Plus size={14} aria-hidden />
        </NumberField.Increment>
      </NumberField.Group>
    </NumberField.Root>
  );
}

export const FIELD = "min-h-8 w-full rounded-md border border-strong bg-surface px-2.5 py-1 text-sm";

export function Field({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label className="block text-sm">
      <span className="mb-1 block text-xs font-medium text-dim">{label}</span>
      {children}
    </label>
  );
}

export function Json({ value }: { value: unknown }) {
  return (
    <pre tabIndex={0} className="max-h-96 overflow-auto rounded-md bg-raised p-3 font-mono text-xs leading-relaxed">
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}

/** A text that is kept between visits. */
export function useKept(name: string, initial: string): [string, (value: string) => void] {
  const key = `sagaproof.${name}`;
  const [value, setValue] = useState(() => localStorage.getItem(key) ?? initial);
  return [
    value,
    (chosen) => {
      localStorage.setItem(key, chosen);
      setValue(chosen);
    },
  ];
}
