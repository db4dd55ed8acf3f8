/** Orders placed by this page, a few a second, so that there is something to see. */
import { useEffect, useState } from "react";
import { api, asked } from "../api/client";
import { useProducts } from "../api/hooks";
import { number } from "../format";
import { useTexts } from "../i18n";
import { Button, Panel } from "./basics";

const RATES = [1, 5, 20] as const;
/** It ends by itself: nobody comes back to a shop that is sold out. */
const LASTS_S = 60;
const IN_FLIGHT_MAX = 40;
/** Below LOW pieces so many are added: a shop that is sold out shows nothing but refusals. */
const LOW = 50;
const RESTOCKED = 500;

export function Traffic() {
  const { t, language } = useTexts();
  const products = useProducts().data;
  const [rate, setRate] = useState(0);
  const [placed, setPlaced] = useState({ accepted: 0, failed: 0 });
  const ids = products?.map((product) => product.productId).join() ?? "";
  useEffect(() => {
    if (!rate || !ids) return;
    let inFlight = 0;
    let count = 0;
    const choices = ids.split(",");
    const timer = setInterval(() => {
      if (++count > rate * LASTS_S) return setRate(0);
      if (inFlight >= IN_FLIGHT_MAX) return;
      inFlight += 1;
      const body = {
        userId: `visitor-${crypto.randomUUID().slice(0, 8)}`,
        items: [{ productId: choices[count % choices.length] ?? "", quantity: 1 }],
      };
      asked(api.POST("/order", { body, params: {} }))
        .then(
          () => setPlaced((before) => ({ ...before, accepted: before.accepted + 1 })),
          () => setPlaced((before) => ({ ...before, failed: before.failed + 1 })),
        )
        .finally(() => {
          inFlight -= 1;
        });
    }, 1000 / rate);
    return () => clearInterval(timer);
  }, [rate, ids]);
  const low = products?.find((product) => product.available < LOW)?.productId;
  useEffect(() => {
    if (!rate || !low) return;
    const body = { requestId: crypto.randomUUID(), productId: low, quantity: RESTOCKED };
    asked(api.POST("/admin/restock", { body })).catch(() => {}); // The next low stock asks again.
  }, [rate, low]);
  return (
    <Panel title={t("traffic.title")}>
      <p className="text-sm text-dim">{t("traffic.hint", { seconds: LASTS_S })}</p>
      <div className="mt-3 flex flex-wrap gap-2">
        {RATES.map((each) => (
          <Button
            key={each}
            kind={rate === each ? "primary" : "plain"}
            aria-pressed={rate === each}
            disabled={!ids}
            onClick={() => setRate(rate === each ? 0 : each)}
          >
            {t("traffic.rate", { count: each })}
          </Button>
        ))}
      </div>
      <p className="mt-3 text-sm" role="status">
        {t("traffic.placed", { accepted: number(placed.accepted, language), failed: number(placed.failed, language) })}
      </p>
    </Panel>
  );
}
