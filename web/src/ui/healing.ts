/** Marks on the charts when a process is gone and when it is back, whichever page is shown meanwhile. */
import { useEffect } from "react";
import type { Process } from "../api/client";
import { pulse } from "../api/pulse";
import { useTexts } from "../i18n";

const downSince = new Map<string, number>();
const pids = new Map<string, number>();

export function useHealing(processes: readonly Process[] | null | undefined): void {
  const { t } = useTexts();
  useEffect(() => {
    for (const process of processes ?? []) {
      const down = downSince.get(process.name);
      const isUp = process.reachable && process.ready;
      if (!isUp && down === undefined) {
        downSince.set(process.name, Date.now());
        pulse.mark(t("mark.down", { process: process.name }), "fault");
      } else if (isUp) {
        const before = pids.get(process.name);
        if (down !== undefined) {
          const seconds = ((Date.now() - down) / 1000).toFixed(1);
          pulse.mark(t("mark.up", { process: process.name, seconds }), "healed");
        } else if (before !== undefined && before !== process.pid) {
          pulse.mark(t("mark.restarted", { process: process.name }), "healed");
        }
        downSince.delete(process.name);
        if (process.pid !== null) pids.set(process.name, process.pid);
      }
    }
  }, [processes, t]);
}
