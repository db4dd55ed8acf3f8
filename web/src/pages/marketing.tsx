/** What was sold, to whom, and when: marketing's read model. */
import { useQuery } from "@tanstack/react-query";
import { api, asked } from "../api/client";
import { useNow } from "../api/hooks";
import { day, money, number } from "../format";
import { useTexts } from "../i18n";
import { Empty, Figure, Loading, Page, Panel, Trouble } from "../ui/basics";
import { Bars, Swatch } from "../ui/charts";
import { CELL, HEAD } from "../ui/orders-table";
import { lastDays } from "./spans";

const EVERY_MS = 5_000;
const BEST = 10;

export default function MarketingPage() {
  const { t } = useTexts();
  const overview = useQuery({
    queryKey: ["overview"],
    queryFn: () => asked(api.GET("/marketing/overview")),
    refetchInterval: EVERY_MS,
  });
  if (overview.isError) {
    return (
      <Page title={t("nav.marketing")}>
        <Trouble error={overview.error} retry={() => overview.refetch()} />
      </Page>
    );
  }
  return (
    <Page title={t("nav.marketing")} hint={t("marketing.hint")}>
      {overview.isPending && (
        <Panel>
          <Loading />
        </Panel>
      )}
      {overview.data && overview.data.completed === 0 && (
        <Panel>
          <Empty>{t("marketing.empty")}</Empty>
        </Panel>
      )}
      {overview.data && overview.data.completed > 0 && (
        <div className="space-y-5">
          <Overview overview={overview.data} />
          <DailySales />
          <div className="grid items-start gap-5 xl:grid-cols-2">
            <Popularity />
            <LifetimeValues />
          </div>
        </div>
      )}
    </Page>
  );
}

type Overview = Awaited<ReturnType<typeof readOverview>>;
const readOverview = () => asked(api.GET("/marketing/overview"));

function Overview({ overview }: { overview: Overview }) {
  const { t, language } = useTexts();
  return (
    <dl className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
      <Figure label={t("marketing.revenue")} value={money(overview.revenue, language)} />
      <Figure
        label={t("marketing.orders")}
        value={number(overview.completed, language)}
        hint={t("marketing.cancelledToo", { count: number(overview.cancelled, language) })}
      />
      <Figure label={t("marketing.average")} value={money(overview.averageOrderValue, language)} />
      <Figure label={t("marketing.customers")} value={number(overview.customers, language)} />
      <Figure label={t("marketing.pieces")} value={number(overview.pieces, language)} />
      <Figure label={t("marketing.refunded")} value={money(overview.refunded, language)} />
    </dl>
  );
}

function DailySales() {
  const { t, language } = useTexts();
  const days = useQuery({
    queryKey: ["daily"],
    queryFn: () => asked(api.GET("/marketing/daily-sales")),
    refetchInterval: EVERY_MS,
  });
  const currency = days.data?.[0]?.revenue.currency ?? "USD";
  const format = (amountMinor: number) => money({ amountMinor, currency }, language);
  const now = useNow(60_000);
  const data = lastDays(days.data ?? [], now).map((each) => ({ ...each, day: day(each.day, language) }));
  const series = [
    { key: "revenue", name: t("marketing.revenue"), colour: "var(--accent)" },
    { key: "refunded", name: t("marketing.refunded"), colour: "var(--warn)" },
  ];
  return (
    <Panel
      title={t("marketing.daily")}
      actions={
        <span className="flex gap-3 text-xs text-dim">
          {series.map((each) => (
            <Swatch key={each.key} colour={each.colour} text={each.name} />
          ))}
        </span>
      }
    >
      {days.isError && <Trouble error={days.error} />}
      {days.isPending && <Loading />}
      {days.data && <Bars label={t("marketing.daily")} data={data} x="day" format={format} series={series} />}
    </Panel>
  );
}

function Popularity() {
  const { t, language } = useTexts();
  const products = useQuery({
    queryKey: ["popularity"],
    queryFn: () => asked(api.GET("/marketing/popularity", { params: { query: { limit: BEST } } })),
    refetchInterval: EVERY_MS,
  });
  const data = (products.data ?? []).map((each) => ({ ...each, name: each.name ?? each.productId }));
  return (
    <Panel title={t("marketing.popularity")} flush>
      {products.isError && <Trouble error={products.error} />}
      {products.isPending && <Loading />}
      {products.data && (
        <>
          <div className="p-4">
            <Bars
              label={t("marketing.popularity")}
              data={data}
              x="name"
              series={[{ key: "pieces", name: t("marketing.pieces"), colour: "var(--series-2)" }]}
            />
          </div>
          <table className="w-full border-t border-line text-sm">
            <thead className="border-b border-line">
              <tr>
                <th className={HEAD}>{t("product")}</th>
                <th className={`${HEAD} text-right`}>{t("marketing.pieces")}</th>
                <th className={`${HEAD} text-right`}>{t("marketing.orders")}</th>
                <th className={`${HEAD} text-right`}>{t("marketing.revenue")}</th>
              </tr>
            </thead>
            <tbody className="divide-y divide-line">
              {data.map((each) => (
                <tr key={each.productId}>
                  <td className={CELL}>{each.name}</td>
                  <td className={`${CELL} text-right`}>{number(each.pieces, language)}</td>
                  <td className={`${CELL} text-right`}>{number(each.orders, language)}</td>
                  <td className={`${CELL} text-right`}>{money(each.revenue, language)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </Panel>
  );
}

function LifetimeValues() {
  const { t, language } = useTexts();
  const customers = useQuery({
    queryKey: ["ltv"],
    queryFn: () => asked(api.GET("/marketing/ltv", { params: { query: { limit: BEST } } })),
    refetchInterval: EVERY_MS,
  });
  const items = customers.data?.items ?? [];
  const most = Math.max(1, ...items.map((each) => each.value.amountMinor));
  return (
    <Panel title={t("marketing.ltv")} flush>
      {customers.isError && <Trouble error={customers.error} />}
      {customers.isPending && <Loading />}
      <ol className="divide-y divide-line">
        {items.map((each, place) => (
          <li
            key={each.userId}
            className="grid grid-cols-[1.5rem_minmax(0,1fr)_6rem] items-center gap-3 px-4 py-2 text-sm"
          >
            <span className="text-xs text-dim">{place + 1}</span>
            <span className="min-w-0">
              <span className="block truncate font-medium">{each.userId}</span>
              <span className="mt-1 block h-1.5 rounded-full bg-raised">
                <span
                  className="block h-1.5 rounded-full bg-accent"
                  style={{ width: `${(100 * each.value.amountMinor) / most}%` }}
                />
              </span>
            </span>
            <span className="text-right">
              {money(each.value, language)}
              <span className="block text-xs text-dim">{t("marketing.ordersOf", { count: each.orders })}</span>
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
