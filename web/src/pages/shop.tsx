/** Products with their stock, and the order that is being put together. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { GitBranch, PackagePlus, ShoppingCart, Trash2, Wallet, Zap } from "lucide-react";
import { useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { api, asked, Failure, type Money, type Product } from "../api/client";
import { useCanOperate, useOrders, useProducts } from "../api/hooks";
import { money, number } from "../format";
import { useTexts } from "../i18n";
import { Badge, Button, Empty, FIELD, Field, Loading, Page, Panel, Quantity, Trouble, useKept } from "../ui/basics";
import { OrdersTable } from "../ui/orders-table";
import { useTell } from "../ui/toasts";

const RESTOCKED = 50;
const DEPOSITED_MINOR = 100_000;
const NEWEST = 6;

export function ShopPage() {
  const { t } = useTexts();
  const products = useProducts();
  const [cart, setCart] = useState<Record<string, number>>({});
  const [user, setUser] = useKept("user", "ada");
  const put = (id: string, quantity: number) => setCart((before) => ({ ...before, [id]: quantity }));
  const most = Math.max(1, ...(products.data ?? []).map((product) => product.available + product.reserved));
  return (
    <Page title={t("shop.title")} hint={t("shop.hint")}>
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-5 xl:grid-cols-[minmax(0,1fr)_25rem] xl:grid-rows-[auto_1fr]">
        <div>
          {products.isError && <Trouble error={products.error} retry={() => products.refetch()} />}
          {products.isPending && (
            <Panel>
              <Loading />
            </Panel>
          )}
          {products.data?.length === 0 && (
            <Panel>
              <Empty>{t("shop.empty")}</Empty>
            </Panel>
          )}
          <ul className="grid grid-cols-[repeat(auto-fill,minmax(15rem,1fr))] gap-3">
            {products.data?.map((product) => (
              <ProductCard
                key={product.productId}
                product={product}
                most={most}
                quantity={cart[product.productId] ?? 0}
                onChange={(quantity) => put(product.productId, quantity)}
              />
            ))}
          </ul>
        </div>
        <OrderForm
          products={products.data ?? []}
          cart={cart}
          put={put}
          user={user}
          setUser={setUser}
          clear={() => setCart({})}
        />
        <div className="space-y-5">
          <Guide />
          <Newest />
        </div>
      </div>
    </Page>
  );
}

/** What there is to see here, for who has just come. */
function Guide() {
  const { t } = useTexts();
  const steps = [
    { to: null, text: "guide.order", Icon: ShoppingCart },
    { to: "/saga", text: "guide.saga", Icon: GitBranch },
    { to: "/faults", text: "guide.break", Icon: Zap },
  ] as const;
  return (
    <nav aria-label={t("guide")}>
      <ol className="grid gap-3 md:grid-cols-3">
        {steps.map(({ to, text, Icon }, place) => {
          const box = "flex h-full gap-3 rounded-lg border border-dashed border-strong p-3";
          const said = (
            <>
              <span className="grid size-7 shrink-0 place-items-center rounded-full bg-accent-soft text-accent">
                <Icon size={15} aria-hidden />
              </span>
              <span className="text-sm">
                <span className="font-medium">
                  {place + 1}. {t(text)}
                </span>
                <span className="mt-0.5 block text-xs text-dim">{t(`${text}.hint`)}</span>
              </span>
            </>
          );
          return (
            <li key={text}>
              {to ? (
                <Link to={to} className={`${box} transition-colors hover:border-accent hover:bg-surface`}>
                  {said}
                </Link>
              ) : (
                <div className={box}>{said}</div>
              )}
            </li>
          );
        })}
      </ol>
    </nav>
  );
}

/** What everybody orders. */
function Newest() {
  const { t } = useTexts();
  const orders = useOrders({}).data?.pages[0]?.items.slice(0, NEWEST) ?? [];
  if (orders.length === 0) return null;
  return (
    <Panel title={t("saga.recent")} flush>
      <OrdersTable orders={orders} />
    </Panel>
  );
}

function ProductCard({
  product,
  most,
  quantity,
  onChange,
}: {
  product: Product;
  /** Pieces of the product that there is most of: a full bar. */
  most: number;
  quantity: number;
  onChange(quantity: number): void;
}) {
  const { t, language } = useTexts();
  const tone = product.available === 0 ? "bad" : product.available < 10 ? "warn" : "ok";
  return (
    <li className="flex flex-col justify-between gap-4 rounded-lg border border-line bg-surface p-4">
      <div>
        <div className="flex items-start justify-between gap-2">
          <div className="min-w-0">
            <h2 className="font-medium">{product.name}</h2>
            <p className="font-mono text-xs text-dim">{product.productId}</p>
          </div>
          <p className="font-semibold">{money(product.price, language)}</p>
        </div>
        <div className="mt-3 flex items-center justify-between gap-2 text-xs text-dim">
          <Badge tone={tone}>
            {product.available === 0
              ? t("shop.none")
              : t("shop.available", { count: number(product.available, language) })}
          </Badge>
          {product.reserved > 0 && <span>{t("shop.reserved", { count: number(product.reserved, language) })}</span>}
        </div>
        {/* biome-ignore lint/a11y/useSemanticElements: a <meter> shows one colour, and another one in each browser */}
        <div
          role="meter"
          aria-label={t("shop.stock", { name: product.name })}
          aria-valuemin={0}
          aria-valuemax={most}
          aria-valuenow={product.available}
          className="mt-2 flex h-1.5 overflow-hidden rounded-full bg-raised"
        >
          <span
            className={`transition-[width] ${FILLS[tone]}`}
            style={{ width: `${(100 * product.available) / most}%` }}
          />
          <span className="bg-accent transition-[width]" style={{ width: `${(100 * product.reserved) / most}%` }} />
        </div>
      </div>
      <div className="flex items-center justify-between gap-2">
        <Quantity label={t("shop.quantity", { name: product.name })} value={quantity} onChange={onChange} />
        <RestockButton product={product} />
      </div>
    </li>
  );
}

const FILLS = { ok: "bg-ok", warn: "bg-warn", bad: "bg-bad" };

function RestockButton({ product }: { product: Product }) {
  const { t } = useTexts();
  const tell = useTell();
  const client = useQueryClient();
  const restock = useMutation({
    mutationFn: () =>
      asked(
        api.POST("/admin/restock", {
          body: { requestId: crypto.randomUUID(), productId: product.productId, quantity: RESTOCKED },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["products"] }),
    onError: tell.failed,
  });
  if (!useCanOperate()) return null;
  return (
    <Button
      kind="quiet"
      busy={restock.isPending}
      onClick={() => restock.mutate()}
      aria-label={t("shop.restock.of", { name: product.name })}
    >
      <PackagePlus size={15} aria-hidden />
      {t("shop.restock", { count: RESTOCKED })}
    </Button>
  );
}

interface OrderFormProps {
  products: Product[];
  cart: Record<string, number>;
  put(id: string, quantity: number): void;
  user: string;
  setUser(user: string): void;
  clear(): void;
}

function OrderForm({ products, cart, put, user, setUser, clear }: OrderFormProps) {
  const { t, language } = useTexts();
  const [, go] = useLocation();
  const client = useQueryClient();
  const [address, setAddress] = useKept("address", "");
  const lines = products.flatMap((product) => {
    const quantity = cart[product.productId] ?? 0;
    return quantity > 0 ? [{ product, quantity }] : [];
  });
  const total = totalOf(lines);
  // The same order again after an answer that was lost is the same order: its key changes with what is in it.
  const attempt = useRef({ of: "", key: "" });
  const place = useMutation({
    mutationFn: () => {
      const body = {
        userId: user.trim(),
        items: lines.map(({ product, quantity }) => ({ productId: product.productId, quantity })),
        ...(address.trim() && { deliveryAddress: address.trim() }),
      };
      const of = JSON.stringify(body);
      if (attempt.current.of !== of) attempt.current = { of, key: crypto.randomUUID() };
      return asked(api.POST("/order", { body, params: { header: { "Idempotency-Key": attempt.current.key } } }));
    },
    onSuccess: ({ orderId }) => {
      attempt.current = { of: "", key: "" };
      clear();
      void client.invalidateQueries({ queryKey: ["products"] });
      go(`/orders/${orderId}`);
    },
  });
  const short = lines.some(({ product, quantity }) => quantity > product.available);
  return (
    <Panel
      title={
        <span className="flex items-center gap-2">
          <ShoppingCart size={15} aria-hidden />
          {t("cart.title")}
        </span>
      }
      className="xl:sticky xl:top-5 xl:col-start-2 xl:row-span-2 xl:row-start-1"
    >
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          place.mutate();
        }}
      >
        <Field label={t("cart.user")}>
          <span className="flex gap-2">
            <input
              className={FIELD}
              value={user}
              maxLength={128}
              required
              onChange={(event) => setUser(event.target.value)}
            />
            <DepositButton user={user.trim()} />
          </span>
        </Field>
        <Field label={t("cart.address")}>
          <textarea
            className={FIELD}
            rows={2}
            value={address}
            maxLength={500}
            onChange={(event) => setAddress(event.target.value)}
          />
        </Field>
        {lines.length === 0 ? (
          <p className="rounded-md border border-dashed border-strong px-3 py-5 text-center text-sm text-dim">
            {t("cart.empty")}
          </p>
        ) : (
          <ul className="divide-y divide-line border-y border-line">
            {lines.map(({ product, quantity }) => (
              <li key={product.productId} className="py-2 text-sm">
                <div className="flex items-center justify-between gap-2">
                  <span className="min-w-0 flex-1">
                    <span className="block truncate font-medium">{product.name}</span>
                    <span className="text-xs text-dim">
                      {quantity} × {money(product.price, language)}
                    </span>
                  </span>
                  <span>{money(times(product.price, quantity), language)}</span>
                  <button
                    type="button"
                    aria-label={t("cart.remove", { name: product.name })}
                    onClick={() => put(product.productId, 0)}
                    className="grid size-8 place-items-center rounded-md text-dim hover:bg-raised hover:text-bad"
                  >
                    <Trash2 size={14} aria-hidden />
                  </button>
                </div>
                {quantity > product.available && (
                  <p className="mt-1 text-xs text-warn">{t("cart.short", { available: product.available })}</p>
                )}
              </li>
            ))}
          </ul>
        )}
        <div className="flex items-baseline justify-between">
          <span className="text-sm text-dim">{t("cart.total")}</span>
          <output className="text-xl font-semibold" data-testid="total">
            {total ? money(total, language) : "–"}
          </output>
        </div>
        {place.isError && <Trouble error={place.error} />}
        {place.error instanceof Failure && place.error.problem.orderId && (
          <a className="block text-sm text-accent underline" href={`#/orders/${place.error.problem.orderId}`}>
            {t("cart.maybe")}
          </a>
        )}
        <Button
          type="submit"
          kind="primary"
          className="w-full"
          busy={place.isPending}
          disabled={lines.length === 0 || !user.trim()}
        >
          {t(short ? "cart.placeAnyway" : "cart.place")}
        </Button>
        {short && <p className="text-xs text-dim">{t("cart.shortHint")}</p>}
      </form>
    </Panel>
  );
}

function DepositButton({ user }: { user: string }) {
  const { t, language } = useTexts();
  const tell = useTell();
  const amount = { amountMinor: DEPOSITED_MINOR, currency: "USD" };
  const deposit = useMutation({
    mutationFn: () =>
      asked(api.POST("/admin/deposit", { body: { requestId: crypto.randomUUID(), userId: user, amount } })),
    onSuccess: (balance) => tell.done(t("cart.deposited", { user, balance: money(balance, language) })),
    onError: tell.failed,
  });
  if (!useCanOperate()) return null;
  return (
    <Button busy={deposit.isPending} disabled={!user} onClick={() => deposit.mutate()} className="shrink-0">
      <Wallet size={14} aria-hidden />
      {t("cart.deposit", { amount: money(amount, language) })}
    </Button>
  );
}

export function times(price: Money, quantity: number): Money {
  return { ...price, amountMinor: price.amountMinor * quantity };
}

/** The sum of all lines, which are in one currency; null of none. */
export function totalOf(lines: readonly { product: Product; quantity: number }[]): Money | null {
  const [first] = lines;
  if (!first) return null;
  const amountMinor = lines.reduce((sum, { product, quantity }) => sum + product.price.amountMinor * quantity, 0);
  return { amountMinor, currency: first.product.price.currency };
}
