/** Short messages that come and go, read out by screen readers. */
import { Toast } from "@base-ui/react/toast";
import { X } from "lucide-react";
import { useTexts } from "../i18n";
import { words } from "./basics";

export const toasts = Toast.createToastManager();

export function useTell() {
  const { t } = useTexts();
  return {
    done: (text: string) => toasts.add({ title: text }),
    failed: (error: unknown) =>
      toasts.add({ title: words(error, t("error.unreachable")), type: "error", timeout: 8_000 }),
  };
}

export function Toasts() {
  const { toasts: shown } = Toast.useToastManager();
  const { t } = useTexts();
  return (
    <Toast.Portal>
      <Toast.Viewport className="fixed right-4 bottom-4 z-50 flex w-80 max-w-[calc(100vw-2rem)] flex-col gap-2">
        {shown.map((toast) => (
          <Toast.Root
            key={toast.id}
            toast={toast}
            className={`flex items-start justify-between gap-2 rounded-md border bg-surface px-3 py-2 text-sm shadow-lg ${toast.type === "error" ? "border-bad text-bad" : "border-strong"}`}
          >
            <Toast.Title />
            <Toast.Close aria-label={t("close")} className="rounded p-0.5 text-dim hover:bg-raised">
              <X size={14} aria-hidden />
            </Toast.Close>
          </Toast.Root>
        ))}
      </Toast.Viewport>
    </Toast.Portal>
  );
}
