// A question or a form over the page.

import { Modal } from "@jam-storage/react";
import type { ReactNode } from "react";

interface DialogProps {
  title: string;
  onClose: () => void;
  /** For content that needs room. */
  wide?: boolean;
  children: ReactNode;
}

export function Dialog({ title, onClose, wide = false, children }: DialogProps) {
  return (
    <Modal title={title} onClose={onClose} className={wide ? "dialog dialog-wide" : "dialog"}>
      <div className="dialog-body">{children}</div>
    </Modal>
  );
}
