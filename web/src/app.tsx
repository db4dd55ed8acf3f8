/** The frame of all pages: where one can go, the theme and the language. Pages behind the first are loaded when needed. */
import {
  Activity,
  Boxes,
  ChartColumn,
  GitBranch,
  Languages,
  ListTree,
  MailWarning,
  Menu,
  Moon,
  Package,
  ScrollText,
  ShoppingCart,
  Sun,
  Zap,
} from "lucide-react";
import { type ComponentType, lazy, Suspense, useEffect, useRef, useState } from "react";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import { LANGUAGES, type Language, useTexts } from "./i18n";
import type { Key } from "./i18n/en";
import { OrderPage } from "./pages/order";
import { OrdersPage } from "./pages/orders";
import { ShopPage } from "./pages/shop";
import { Empty, Loading, Page, Select } from "./ui/basics";
import { Boundary } from "./ui/boundary";
import { Sheet } from "./ui/sheet";
import { Toasts } from "./ui/toasts";

const SagaPage = lazy(() => import("./pages/saga"));
const DashboardPage = lazy(() => import("./pages/dashboard"));
const EventsPage = lazy(() => import("./pages/events"));
const SagasPage = lazy(() => import("./pages/sagas"));
const DeadLettersPage = lazy(() => import("./pages/dead-letters"));
const FaultsPage = lazy(() => import("./pages/faults"));
const MarketingPage = lazy(() => import("./pages/marketing"));

interface Place {
  to: string;
  text: Key;
  Icon: ComponentType<{ size?: number; className?: string }>;
}

const NAVIGATION: { text: Key; places: Place[] }[] = [
  {
    text: "nav.shop",
    places: [
      { to: "/", text: "nav.order", Icon: ShoppingCart },
      { to: "/orders", text: "nav.orders", Icon: Package },
    ],
  },
  { text: "nav.understand", places: [{ to: "/saga", text: "nav.saga", Icon: GitBranch }] },
  {
    text: "nav.operations",
    places: [
      { to: "/dashboard", text: "nav.dashboard", Icon: Activity },
      { to: "/events", text: "nav.events", Icon: ScrollText },
      { to: "/sagas", text: "nav.sagas", Icon: ListTree },
      { to: "/dead-letters", text: "nav.deadLetters", Icon: MailWarning },
      { to: "/faults", text: "nav.faults", Icon: Zap },
    ],
  },
  { text: "nav.business", places: [{ to: "/marketing", text: "nav.marketing", Icon: ChartColumn }] },
];

export function App() {
  const { t } = useTexts();
  const [path] = useLocation();
  const [menu, setMenu] = useState(false);
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);
  const place = NAVIGATION.flatMap(({ places }) => places).find(({ to }) => to === rootOf(path));
  const title = place ? `${t(place.text)} · sagaproof` : "sagaproof";
  useEffect(() => {
    document.title = title;
  }, [title]);
  useEffect(() => {
    setMenu(false);
    // As a change of page would: what is new is read, and begins at its top.
    if (shown.current !== path) {
      main.current?.focus();
      window.scrollTo(0, 0);
    }
    shown.current = path;
  }, [path]);
  return (
    <div className="min-h-dvh lg:pl-56">
      <button
        type="button"
        onClick={() => main.current?.focus()}
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded focus:bg-surface focus:px-3 focus:py-2"
      >
        {t("skip")}
      </button>
      <aside className="fixed inset-y-0 left-0 z-20 hidden w-56 flex-col border-r border-line bg-surface lg:flex">
        <div className="px-4 pt-4 pb-3">
          <Brand />
        </div>
        <Navigation path={path} />
        <Preferences />
      </aside>
      <header className="sticky top-0 z-20 flex items-center justify-between border-b border-line bg-surface px-4 py-2 lg:hidden">
        <Brand />
        <button
          type="button"
          onClick={() => setMenu(true)}
          aria-label={t("menu")}
          className="rounded-md p-2 hover:bg-raised"
        >
          <Menu size={20} aria-hidden />
        </button>
      </header>
      <Sheet title={<Brand />} side="left" open={menu} onClose={() => setMenu(false)}>
        <div className="-m-4 flex min-h-full flex-col">
          <Navigation path={path} />
          <Preferences />
        </div>
      </Sheet>
      <main ref={main} tabIndex={-1} className="outline-none">
        <Boundary key={rootOf(path)}>
          <Suspense fallback={<Loading rows={8} />}>
            <Switch>
              <Route path="/">
                <ShopPage />
              </Route>
              <Route path="/orders">
                <OrdersPage />
              </Route>
              <Route path="/orders/:id">{({ id }) => <OrderPage key={id} orderId={id} />}</Route>
              <Route path="/saga">
                <SagaPage orderId={null} />
              </Route>
              <Route path="/saga/:id">{({ id }) => <SagaPage orderId={id} />}</Route>
              <Route path="/dashboard">
                <DashboardPage />
              </Route>
              <Route path="/events">
                <EventsPage />
              </Route>
              <Route path="/sagas">
                <SagasPage />
              </Route>
              <Route path="/dead-letters">
                <DeadLettersPage />
              </Route>
              <Route path="/faults">
                <FaultsPage />
              </Route>
              <Route path="/marketing">
                <MarketingPage />
              </Route>
              <Route path="/index.html">
                <Redirect to="/" />
              </Route>
              <Route>
                <Page title={t("notFound")}>
                  <Empty>{t("notFound.hint")}</Empty>
                </Page>
              </Route>
            </Switch>
          </Suspense>
        </Boundary>
      </main>
      <Toasts />
    </div>
  );
}

/** The page of the navigation that a path belongs to. */
function rootOf(path: string): string {
  return `/${path.split("/")[1] ?? ""}`;
}

function Brand() {
  return (
    <Link to="/" className="inline-flex items-center gap-2 font-semibold tracking-tight">
      <Boxes size={20} className="text-accent" aria-hidden />
      sagaproof
    </Link>
  );
}

function Navigation({ path }: { path: string }) {
  const { t } = useTexts();
  const root = rootOf(path);
  return (
    <nav aria-label={t("nav")} className="flex-1 space-y-4 overflow-y-auto px-2 py-2">
      {NAVIGATION.map(({ text, places }) => (
        <div key={text}>
          <p className="px-2 pb-1 text-xs font-medium text-dim">{t(text)}</p>
          <ul>
            {places.map(({ to, text: name, Icon }) => (
              <li key={to}>
                <Link
                  to={to}
                  aria-current={to === root ? "page" : undefined}
                  className="flex items-center gap-2.5 rounded-md px-2 py-1.5 text-sm hover:bg-raised aria-[current]:bg-accent-soft aria-[current]:font-medium aria-[current]:text-accent"
                >
                  <Icon size={16} className="shrink-0" />
                  {t(name)}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

function Preferences() {
  const { t, language, setLanguage } = useTexts();
  const [dark, setDark] = useState(document.documentElement.dataset.theme === "dark");
  const choose = (isDark: boolean) => {
    setDark(isDark);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    localStorage.setItem("sagaproof.theme", isDark ? "dark" : "light");
  };
  return (
    <div className="flex items-center justify-between gap-2 border-t border-line px-3 py-2.5">
      <button
        type="button"
        aria-label={t(dark ? "theme.light" : "theme.dark")}
        onClick={() => choose(!dark)}
        className="grid size-8 place-items-center rounded-md border border-strong hover:bg-raised"
      >
        {dark ? <Sun size={15} aria-hidden /> : <Moon size={15} aria-hidden />}
      </button>
      <span className="flex items-center gap-1.5">
        <Languages size={15} className="text-dim" aria-hidden />
        <Select
          label={t("language")}
          value={language}
          options={(Object.keys(LANGUAGES) as Language[]).map((value) => ({ value, label: LANGUAGES[value] }))}
          onChange={setLanguage}
        />
      </span>
    </div>
  );
}
