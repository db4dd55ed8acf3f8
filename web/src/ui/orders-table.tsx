/** Orders in a list, with the way to each. */
import { Link } from "wouter";
import type { OrderSummary } from "../api/client";
import { money, recent, shortId } from "../format";
import { useTexts } from "../i18n";
import { StatusBadge } from "./status";

export const HEAD = "px-3 py-2 text-left text-xs font-medium text-dim";
export const CELL = "px-3 py-2 align-top";

export function OrdersTable({ orders }: { orders: readonly OrderSummary[] }) {
  const { t, of, language } = useTexts();
  const isOfOne = new Set(orders.map((order) => order.userId)).size === 1;
  return (
    <div className="@container overflow-x-auto">
      <table className="w-full text-sm">
        <thead className="border-b border-line">
          <tr>
            <th className={HEAD}>{t("order")}</th>
            <th className={HEAD}>{t("status")}</th>
            <th className={`${HEAD} @max-md:hidden`}>{t("items")}</th>
            <th className={`${HEAD} text-right`}>{t("total")}</th>
            <th className={`${HEAD} @max-3xl:hidden`}>{t("delivery")}</th>
            <th className={`${HEAD} @max-3xl:hidden`}>{t("placed")}</th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {orders.map((order) => (
            <tr key={order.orderId} className="hover:bg-raised">
              <td className={CELL}>
                <Link
                  to={`/orders/${order.orderId}`}
                  className="font-mono whitespace-nowrap text-accent hover:underline"
                  title={order.orderId}
                >
                  {shortId(order.orderId)}
                </Link>
                {!isOfOne && <span className="block text-xs text-dim">{order.userId}</span>}
              </td>
              <td className={CELL}>
                <StatusBadge status={order.status} reason={order.reason} />
              </td>
              <td className={`${CELL} @max-md:hidden`}>
                {order.items.map((item) => `${item.quantity} × ${item.productId}`).join(", ")}
              </td>
              <td className={`${CELL} text-right`}>{order.total ? money(order.total, language) : "–"}</td>
              <td className={`${CELL} whitespace-nowrap text-dim @max-3xl:hidden`}>
                {of("delivery", order.delivery) || "–"}
              </td>
              <td className={`${CELL} whitespace-nowrap text-dim @max-3xl:hidden`}>
                {recent(order.createdAt, language)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
