/** A customer's orders, or everybody's. */
import { useState } from "react";
import { Link } from "wouter";
import { useOrders } from "../api/hooks";
import { useTexts } from "../i18n";
import { Button, Empty, FIELD, Loading, Page, Panel, Select, Trouble, useKept } from "../ui/basics";
import { OrdersTable } from "../ui/orders-table";

const STATUSES = ["", "OPEN", "COMPLETED", "CANCELLED"] as const;

export function OrdersPage() {
  const { t, of } = useTexts();
  const [user, setUser] = useKept("user", "ada");
  const [status, setStatus] = useState<(typeof STATUSES)[number]>("");
  const orders = useOrders({ userId: user.trim(), status });
  const items = orders.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page
      title={t("orders.title")}
      hint={t("orders.hint")}
      actions={
        <>
          <input
            aria-label={t("cart.user")}
            placeholder={t("orders.everybody")}
            className={`${FIELD} w-40!`}
            value={user}
            onChange={(event) => setUser(event.target.value)}
          />
          <Select
            label={t("status")}
            value={status}
            options={STATUSES.map((value) => ({ value, label: value ? of("status", value) : t("all") }))}
            onChange={setStatus}
          />
        </>
      }
    >
      {orders.isError && <Trouble error={orders.error} retry={() => orders.refetch()} />}
      <Panel flush>
        {orders.isPending && <Loading />}
        {orders.data && items.length === 0 && (
          <Empty
            action={
              <Link to="/" className="text-accent underline">
                {t("orders.first")}
              </Link>
            }
          >
            {t("orders.empty")}
          </Empty>
        )}
        {items.length > 0 && <OrdersTable orders={items} />}
        {orders.hasNextPage && (
          <div className="border-t border-line p-2 text-center">
            <Button kind="quiet" busy={orders.isFetchingNextPage} onClick={() => orders.fetchNextPage()}>
              {t("further")}
            </Button>
          </div>
        )}
      </Panel>
    </Page>
  );
}
