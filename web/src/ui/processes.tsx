/** How every process of the shop is. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Pause, Play } from "lucide-react";
import { api, asked, type Process } from "../api/client";
import { pulse } from "../api/pulse";
import { number, recent } from "../format";
import { useTexts } from "../i18n";
import { Badge, Button } from "./basics";
import { HEAD } from "./orders-table";
import { useTell } from "./toasts";

const MIDDLE = "px-3 py-1.5";

export function ProcessTable({ processes }: { processes: readonly Process[] }) {
  const { t, language } = useTexts();
  return (
    <div className="overflow-x-auto">
      <table className="w-full text-sm">
        <thead className="border-b border-line">
          <tr>
            <th className={HEAD}>{t("process")}</th>
            <th className={HEAD}>{t("state")}</th>
            <th className={`${HEAD} text-right`}>{t("lag")}</th>
            <th className={`${HEAD} max-md:hidden`}>{t("faults")}</th>
            <th className={`${HEAD} max-md:hidden`}>{t("since")}</th>
            <th className={HEAD}>
              <span className="sr-only">{t("action")}</span>
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {processes.map((process) => (
            <tr key={process.name} data-process={process.name}>
              <td className={`${MIDDLE} font-medium`}>{process.name}</td>
              <td className={MIDDLE}>
                <ProcessState process={process} />
                {process.problem && <span className="mt-0.5 block text-xs text-dim">{process.problem}</span>}
              </td>
              <td className={`${MIDDLE} text-right ${process.lag ? "text-warn" : ""}`}>
                {process.lag === null ? "–" : number(process.lag, language)}
              </td>
              <td className={`${MIDDLE} text-xs text-dim max-md:hidden`}>
                {process.faults.map((fault) => `${fault.action} ${fault.point}`).join(", ") || "–"}
              </td>
              <td className={`${MIDDLE} text-xs text-dim max-md:hidden`}>
                {process.startedAt ? `${recent(process.startedAt, language)} · pid ${process.pid}` : "–"}
              </td>
              <td className={`${MIDDLE} text-right`}>{process.reachable && <PauseButton process={process} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ProcessState({ process }: { process: Process }) {
  const { t } = useTexts();
  if (!process.reachable) return <Badge tone="bad">{t("process.down")}</Badge>;
  if (process.paused) return <Badge tone="warn">{t("process.paused")}</Badge>;
  return process.ready ? (
    <Badge tone="ok">{t("process.ready")}</Badge>
  ) : (
    <Badge tone="bad">{t("process.notReady")}</Badge>
  );
}

function PauseButton({ process }: { process: Process }) {
  const { t } = useTexts();
  const tell = useTell();
  const client = useQueryClient();
  const paused = process.paused;
  const change = useMutation({
    mutationFn: () => asked(api.POST(paused ? "/admin/resume" : "/admin/pause", { body: { process: process.name } })),
    onSuccess: () => {
      pulse.mark(t(paused ? "mark.resumed" : "mark.paused", { process: process.name }), paused ? "healed" : "fault");
      void client.invalidateQueries({ queryKey: ["processes"] });
    },
    onError: tell.failed,
  });
  return (
    <Button
      kind="quiet"
      busy={change.isPending}
      onClick={() => change.mutate()}
      aria-label={t(paused ? "process.resume" : "process.pause", { process: process.name })}
    >
      {paused ? <Play size={14} aria-hidden /> : <Pause size={14} aria-hidden />}
    </Button>
  );
}
