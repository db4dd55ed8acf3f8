/** All texts in the reader's language. `en` is the catalogue; another language has the same keys, or does not compile. */
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { type Catalogue, en, type Key } from "./en";

export const LANGUAGES = { en: "English", ja: "日本語" } as const;
export type Language = keyof typeof LANGUAGES;
type Values = Record<string, string | number>;

interface Texts {
  language: Language;
  setLanguage(language: Language): void;
  t(key: Key, values?: Values): string;
  /** The text of a value that comes from the shop, such as a status; as it is where there is none. */
  of(kind: "status" | "reason" | "event" | "delivery" | "payment", value: string | null | undefined): string;
}

const Context = createContext<Texts | null>(null);
const STORED = "sagaproof.language";

function preferred(): Language {
  const stored = localStorage.getItem(STORED) ?? navigator.language.slice(0, 2);
  return stored in LANGUAGES ? (stored as Language) : "en";
}

export function I18n({ children, initial = preferred() }: { children: ReactNode; initial?: Language }) {
  const [language, setLanguage] = useState<Language>(initial);
  const [catalogue, setCatalogue] = useState<Catalogue | null>(initial === "en" ? en : null);
  useEffect(() => {
    document.documentElement.lang = language;
    if (language === "en") setCatalogue(en);
    else void import("./ja").then(({ ja }) => setCatalogue(ja));
  }, [language]);
  const choose = useCallback((chosen: Language) => {
    localStorage.setItem(STORED, chosen);
    setLanguage(chosen);
  }, []);
  const texts = useMemo<Texts | null>(() => {
    if (!catalogue) return null;
    const t = (key: Key, values?: Values) => fill(catalogue[key], values);
    const of = (kind: string, value: string | null | undefined) =>
      value ? (catalogue[`${kind}.${value}` as Key] ?? value) : "";
    return { language, setLanguage: choose, t, of };
  }, [catalogue, language, choose]);
  return texts && <Context value={texts}>{children}</Context>;
}

function fill(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function useTexts(): Texts {
  const texts = useContext(Context);
  if (!texts) throw new Error("outside of I18n");
  return texts;
}
