// A dialog over the page. The browser keeps the focus inside and closes it on Escape.

"use client";

import { X } from "lucide-react";
import { type KeyboardEventHandler, type ReactNode, useEffect, useRef } from "react";

export interface ModalProps {
  title: string;
  onClose: () => void;
  className?: string;
  /** Beside the title. */
  actions?: ReactNode;
  onKeyDown?: KeyboardEventHandler;
  children: ReactNode;
}

/** Open as long as it exists: `onClose` has to take it away. */
export function Modal({ title, onClose, className = "", actions, onKeyDown, children }: ModalProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`jam-modal ${className}`}
      aria-label={title}
      onClose={onClose}
      onKeyDown={onKeyDown}
    >
      <header className="jam-modal-head">
        <h2 title={title}>{title}</h2>
        <div className="jam-modal-actions">
          {actions}
          <button
            type="button"
            className="jam-icon-button"
            aria-label="Close"
            onClick={() => dialog.current?.close()}
          >
            <X aria-hidden size={20} />
          </button>
        </div>
      </header>
      {children}
    </dialog>
  );
}
