/** A dialog at the side of the page. */
import { Dialog } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { useTexts } from "../i18n";

interface SheetProps {
  title: ReactNode;
  open: boolean;
  side?: "left" | "right";
  onClose(): void;
  children: ReactNode;
}

export function Sheet({ title, open, side = "right", onClose, children }: SheetProps) {
  const { t } = useTexts();
  const place = side === "right" ? "right-0 w-[34rem] border-l" : "left-0 w-64 border-r";
  return (
    <Dialog.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-30 bg-black/40" />
        <Dialog.Popup
          className={`fixed inset-y-0 z-40 flex max-w-full flex-col border-line bg-surface outline-none ${place}`}
        >
          <header className="flex items-center justify-between gap-3 border-b border-line px-4 py-3">
            <Dialog.Title className="min-w-0 truncate text-sm font-semibold">{title}</Dialog.Title>
            <Dialog.Close aria-label={t("close")} className="rounded p-1 text-dim hover:bg-raised">
              <X size={16} aria-hidden />
            </Dialog.Close>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto p-4">{children}</div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
