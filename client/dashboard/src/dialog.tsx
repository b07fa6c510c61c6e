// A dialog over the page. The browser keeps the focus inside and closes it on Escape.

import { X } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";

interface DialogProps {
  title: string;
  onClose: () => void;
  /** For content that needs room. */
  wide?: boolean;
  children: ReactNode;
}

export function Dialog({ title, onClose, wide = false, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      data-wide={wide || undefined}
      aria-label={title}
      onClose={onClose}
    >
      <header>
        <h2>{title}</h2>
        <button
          type="button"
          className="jam-icon-button"
          aria-label="Close"
          onClick={() => dialog.current?.close()}
        >
          <X aria-hidden size={20} />
        </button>
      </header>
      <div className="dialog-body">{children}</div>
    </dialog>
  );
}
