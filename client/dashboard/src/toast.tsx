// Short messages about what was done, with a way to undo it.

import type { JamError } from "@jam-storage/client";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";

interface Toast {
  readonly key: number;
  readonly text: string;
  readonly isError: boolean;
  readonly action: { label: string; run: () => void } | null;
}

interface Notify {
  /** Says that something was done. */
  say(text: string, action?: { label: string; run: () => void }): void;
  /** Says why something was not; for `catch`. */
  fail(error: unknown): void;
}

const SHOWN_MS = 6_000;
const Context = createContext<Notify | null>(null);

export function useNotify(): Notify {
  const notify = useContext(Context);
  if (notify === null) throw new Error("<Toasts> is missing");
  return notify;
}

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const nextKey = useRef(1);
  const list = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: shown again, it is above a dialog that was opened since
  useLayoutEffect(() => {
    list.current?.hidePopover();
    list.current?.showPopover();
  }, [toasts]);
  const remove = useCallback(
    (key: number) => setToasts((all) => all.filter((toast) => toast.key !== key)),
    [],
  );
  const show = useCallback(
    (toast: Omit<Toast, "key">) => {
      const key = nextKey.current++;
      setToasts((all) => [...all.slice(-2), { ...toast, key }]);
      setTimeout(() => remove(key), SHOWN_MS);
    },
    [remove],
  );
  const notify = useMemo<Notify>(
    () => ({
      say: (text, action) => show({ text, isError: false, action: action ?? null }),
      fail: (error) => show({ text: (error as JamError).message, isError: true, action: null }),
    }),
    [show],
  );
  return (
    <Context value={notify}>
      {children}
      <div className="toasts" role="status" ref={list} popover="manual">
        {toasts.map((toast) => (
          <div key={toast.key} className="toast" data-error={toast.isError || undefined}>
            <span>{toast.text}</span>
            {toast.action && (
              <button
                type="button"
                onClick={() => {
                  toast.action?.run();
                  remove(toast.key);
                }}
              >
                {toast.action.label}
              </button>
            )}
          </div>
        ))}
      </div>
    </Context>
  );
}
