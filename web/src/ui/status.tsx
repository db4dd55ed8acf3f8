/** An order's status and a connection's, as badges that say it in words and not by colour alone. */
import { CircleDot, Plug, RefreshCw, Wifi } from "lucide-react";
import type { FeedState } from "../api/feed";
import type { Connection } from "../api/follow-order";
import { useTexts } from "../i18n";
import { Badge, type Tone } from "./basics";

const TONES: Record<string, Tone> = {
  COMPLETED: "ok",
  CANCELLED: "bad",
  COMPENSATING: "warn",
  PENDING: "neutral",
};

export function StatusBadge({ status, reason }: { status: string; reason?: string | null }) {
  const { of } = useTexts();
  return (
    <Badge tone={TONES[status] ?? "accent"}>
      {of("status", status)}
      {reason && <span className="font-normal">· {of("reason", reason)}</span>}
    </Badge>
  );
}

const CONNECTIONS: Record<Connection | FeedState, Tone> = {
  idle: "neutral",
  connecting: "neutral",
  live: "ok",
  fallback: "ok",
  reconnecting: "warn",
  ended: "neutral",
  unknown: "bad",
};

export function ConnectionBadge({ state }: { state: Connection | FeedState }) {
  const { t } = useTexts();
  const Icon = state === "reconnecting" ? RefreshCw : state === "ended" ? CircleDot : state === "unknown" ? Plug : Wifi;
  return (
    <span role="status" data-connection={state}>
      <Badge tone={CONNECTIONS[state]}>
        <Icon size={12} aria-hidden className={state === "reconnecting" ? "animate-spin" : ""} />
        {t(`connection.${state}`)}
      </Badge>
    </span>
  );
}
