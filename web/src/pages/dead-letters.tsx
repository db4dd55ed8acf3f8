/** Messages that a service could not handle: look at one, correct it, have it handled again, or give it up. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { api, asked, type DeadLetter } from "../api/client";
import { useProcesses } from "../api/hooks";
import { recent } from "../format";
import { useTexts } from "../i18n";
import { Badge, Button, Empty, Json, Loading, Page, Panel, Select, Trouble } from "../ui/basics";
import { type LetterStatus, useDeadLetters } from "../ui/dead-letters";
import { CELL, HEAD } from "../ui/orders-table";
import { Sheet } from "../ui/sheet";
import { useTell } from "../ui/toasts";

const STATUSES: readonly LetterStatus[] = ["open", "replayed", "discarded"];

export default function DeadLettersPage() {
  const { t } = useTexts();
  const [status, setStatus] = useState<LetterStatus>("open");
  const [chosen, setChosen] = useState<DeadLetter | null>(null);
  const processes = useProcesses();
  const letters = useDeadLetters(status);
  const items = letters.data?.items ?? [];
  return (
    <Page
      title={t("nav.deadLetters")}
      hint={t("letters.hint")}
      actions={
        <Select
          label={t("status")}
          value={status}
          options={STATUSES.map((value) => ({ value, label: t(`letters.${value}`) }))}
          onChange={setStatus}
        />
      }
    >
      {letters.isError && <Trouble error={letters.error} retry={() => letters.refetch()} />}
      {letters.data?.silent.map((each) => (
        <p key={each.service} className="mb-2 rounded-md bg-warn-soft px-4 py-2 text-sm text-warn">
          {each.problem}
        </p>
      ))}
      <Panel flush>
        {processes.data === null && <Empty>{t("operate.off")}</Empty>}
        {processes.data !== null && letters.isPending && <Loading />}
        {letters.data && items.length === 0 && <Empty>{t("letters.empty")}</Empty>}
        {items.length > 0 && (
          <div className="overflow-x-auto">
            <table className="w-full text-sm">
              <thead className="border-b border-line">
                <tr>
                  <th className={HEAD}>{t("letters.message")}</th>
                  <th className={HEAD}>{t("events.service")}</th>
                  <th className={HEAD}>{t("letters.cause")}</th>
                  <th className={`${HEAD} max-md:hidden`}>{t("order")}</th>
                  <th className={`${HEAD} max-md:hidden`}>{t("since")}</th>
                </tr>
              </thead>
              <tbody className="divide-y divide-line">
                {items.map((letter) => (
                  <tr key={`${letter.service}/${letter.id}`} className="hover:bg-raised">
                    <td className={CELL}>
                      <button
                        type="button"
                        onClick={() => setChosen(letter)}
                        className="text-left font-medium text-accent hover:underline"
                      >
                        {letter.type || t("letters.noType")}
                      </button>
                      <span className="block font-mono text-xs text-dim">{letter.place ?? t("letters.timer")}</span>
                    </td>
                    <td className={CELL}>{letter.service}</td>
                    <td className={`${CELL} max-w-md text-xs break-words`}>{letter.cause}</td>
                    <td className={`${CELL} max-md:hidden`}>
                      {letter.orderId ? (
                        <Link
                          to={`/orders/${letter.orderId}`}
                          className="font-mono text-xs text-accent hover:underline"
                        >
                          {letter.orderId}
                        </Link>
                      ) : (
                        "–"
                      )}
                    </td>
                    <td className={`${CELL} text-xs text-dim max-md:hidden`}>
                      <Time time={letter.time} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
      <Sheet
        title={chosen && `${chosen.type || t("letters.noType")} · ${chosen.service}`}
        open={chosen !== null}
        onClose={() => setChosen(null)}
      >
        {chosen && <Letter key={chosen.id} letter={chosen} done={() => setChosen(null)} />}
      </Sheet>
    </Page>
  );
}

function Time({ time }: { time: string }) {
  const { language } = useTexts();
  return <>{recent(time, language)}</>;
}

function Letter({ letter, done }: { letter: DeadLetter; done(): void }) {
  const { t } = useTexts();
  const tell = useTell();
  const client = useQueryClient();
  const begun = JSON.stringify(letter.draft, null, 2);
  const [text, setText] = useState(begun);
  const [wrong, setWrong] = useState("");
  const changed = letter.document === null || text !== begun;
  const choice = { service: letter.service, id: letter.id };
  const after = {
    onSuccess: () => {
      tell.done(t("letters.done"));
      void client.invalidateQueries({ queryKey: ["dead-letters"] });
      done();
    },
  };
  const replay = useMutation({
    mutationFn: (document: unknown) =>
      asked(api.POST("/admin/dead-letters/replay", { body: { ...choice, document: document as never } })),
    ...after,
  });
  const discard = useMutation({
    mutationFn: () => asked(api.POST("/admin/dead-letters/discard", { body: choice })),
    ...after,
  });
  const send = () => {
    setWrong("");
    if (!changed) return replay.mutate(null);
    try {
      replay.mutate(JSON.parse(text));
    } catch (error) {
      setWrong(String(error));
    }
  };
  return (
    <div className="space-y-4 text-sm">
      <p className="rounded-md bg-bad-soft px-3 py-2 break-words text-bad">{letter.cause}</p>
      <p className="flex flex-wrap items-center gap-2">
        <Badge tone={letter.status === "open" ? "warn" : "neutral"}>
          {t(`letters.${letter.status as LetterStatus}`)}
        </Badge>
        <span className="font-mono text-xs text-dim">{letter.place ?? t("letters.timer")}</span>
        {letter.orderId && (
          <Link to={`/orders/${letter.orderId}`} className="text-accent underline">
            {t("events.toOrder")}
          </Link>
        )}
      </p>
      {letter.status === "open" ? (
        <>
          <label className="block">
            <span className="mb-1 block text-xs font-medium text-dim">
              {t(letter.document === null ? "letters.draft" : "letters.payload")}
            </span>
            <textarea
              spellCheck={false}
              rows={18}
              className="w-full rounded-md border border-strong bg-raised p-3 font-mono text-xs"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          </label>
          {wrong && (
            <p role="alert" className="text-bad">
              {wrong}
            </p>
          )}
          {replay.isError && <Trouble error={replay.error} />}
          {discard.isError && <Trouble error={discard.error} />}
          <div className="flex flex-wrap gap-2">
            <Button kind="primary" busy={replay.isPending} onClick={send}>
              <RotateCcw size={14} aria-hidden />
              {t(changed ? "letters.replayCorrected" : "letters.replay")}
            </Button>
            <Button kind="danger" busy={discard.isPending} onClick={() => discard.mutate()}>
              <Trash2 size={14} aria-hidden />
              {t("letters.discard")}
            </Button>
          </div>
          <p className="text-xs text-dim">{t("letters.advice")}</p>
        </>
      ) : (
        <Json value={letter.document} />
      )}
      <h3 className="text-xs font-medium text-dim">{t("letters.headers")}</h3>
      <Json value={letter.headers} />
    </div>
  );
}
