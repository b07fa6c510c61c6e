// The first page: who are you?

import { ArrowRight } from "lucide-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import markUrl from "./mark.svg";
import {
  askSignInKind,
  clerkSession,
  type LocalUser,
  localSession,
  rememberedUser,
  type Session,
  type SignInKind,
  tokenSession,
} from "./session.js";

export function SignIn({ onSession }: { onSession: (session: Session) => void }) {
  const [kind, setKind] = useState<SignInKind | null>(null);
  const [error, setError] = useState<string | null>(null);
  const isStarted = useRef(false);

  const enter = (session: Promise<Session>) =>
    session.then(onSession, (cause: unknown) => {
      setError(cause instanceof Error ? cause.message : String(cause));
    });

  // biome-ignore lint/correctness/useExhaustiveDependencies: once
  useEffect(() => {
    if (isStarted.current) return;
    isStarted.current = true;
    askSignInKind().then(
      (asked) => {
        const remembered = asked.kind === "local" ? rememberedUser() : null;
        if (remembered) void enter(localSession(remembered));
        setKind(remembered ? null : asked);
      },
      () => setError("The service cannot be reached. Is ./local-dev/up running?"),
    );
  }, []);

  return (
    <main className="sign-in">
      <div className="sign-in-art" aria-hidden />
      <div className="sign-in-panel">
        <img src={markUrl} alt="" width={44} height={44} />
        <h1>Jam Storage</h1>
        <p className="sign-in-lead">Images, videos and audio files, stored safely and easy to find.</p>
        {kind?.kind === "local" && <LocalForm onUser={(user) => void enter(localSession(user))} />}
        {kind?.kind === "token" && <TokenForm onToken={(token) => onSession(tokenSession(token))} />}
        {kind?.kind === "clerk" && (
          <ClerkPanel start={(element) => void enter(clerkSession(kind.publishableKey, element))} />
        )}
        {error && (
          <p role="alert" className="sign-in-error">
            {error}
          </p>
        )}
      </div>
    </main>
  );
}

function LocalForm({ onUser }: { onUser: (user: LocalUser) => void }) {
  const [user, setUser] = useState("user_local");
  const [admin, setAdmin] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onUser({ user, admin });
  };
  return (
    <form onSubmit={submit} className="sign-in-form">
      <div className="jam-field">
        <label htmlFor="user">User</label>
        <input
          id="user"
          className="jam-input"
          value={user}
          pattern="[A-Za-z0-9_\-]{1,64}"
          title="1 to 64 letters, digits, _ or -"
          autoComplete="username"
          required
          onChange={(event) => setUser(event.target.value)}
        />
      </div>
      <label className="check">
        <input type="checkbox" checked={admin} onChange={(event) => setAdmin(event.target.checked)} />
        Administrator
      </label>
      <button type="submit" className="jam-button" data-kind="primary">
        Sign in <ArrowRight aria-hidden size={16} />
      </button>
      <p className="sign-in-note">
        This is a local installation: any name works, and each name has a storage of its own.
      </p>
    </form>
  );
}

function TokenForm({ onToken }: { onToken: (token: string) => void }) {
  const [token, setToken] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onToken(token.trim());
  };
  return (
    <form onSubmit={submit} className="sign-in-form">
      <div className="jam-field">
        <label htmlFor="token">Session token of your issuer</label>
        <textarea
          id="token"
          className="jam-input"
          rows={4}
          value={token}
          required
          onChange={(event) => setToken(event.target.value)}
        />
      </div>
      <button type="submit" className="jam-button" data-kind="primary">
        Sign in <ArrowRight aria-hidden size={16} />
      </button>
    </form>
  );
}

function ClerkPanel({ start }: { start: (element: HTMLElement) => void }) {
  const panel = useRef<HTMLDivElement>(null);
  const isStarted = useRef(false);
  useEffect(() => {
    if (panel.current === null || isStarted.current) return;
    isStarted.current = true;
    start(panel.current);
  }, [start]);
  return <div ref={panel} />;
}
