// Who is at the page, and where their tokens come from: the local issuer, Clerk, or a token that they bring.

import type { GetToken } from "@jam-storage/client";

/** How this installation lets people in. */
export type SignInKind = { kind: "local" } | { kind: "clerk"; publishableKey: string } | { kind: "token" };

/** A person who is signed in. */
export interface Session {
  readonly userId: string;
  /** Whether their token says so; the service decides. */
  readonly isAdmin: boolean;
  readonly getToken: GetToken;
  readonly signOut: () => void;
}

interface Clerk {
  load(): Promise<void>;
  mountSignIn(element: HTMLElement): void;
  addListener(listener: (state: { session?: unknown }) => void): void;
  signOut(): Promise<void>;
  session?: { getToken(options?: { skipCache?: boolean }): Promise<string | null> } | null;
}

/** Who signed in on this device as a local user. */
export interface LocalUser {
  user: string;
  admin: boolean;
}

const LOCAL_USER = "jam-local-user";
/** A token is replaced this long before it expires. */
const MARGIN_MS = 60_000;

/** Asks how to sign in. A page that is served without the local router expects Clerk on it. */
export async function askSignInKind(): Promise<SignInKind> {
  const response = await fetch("/local/sign-in");
  if (!response.ok) return { kind: "token" };
  return (await response.json()) as SignInKind;
}

/** The local user of an earlier visit. */
export function rememberedUser(): LocalUser | null {
  try {
    return JSON.parse(localStorage.getItem(LOCAL_USER) ?? "null") as LocalUser | null;
  } catch {
    return null;
  }
}

/** Signs in as a local user. */
export async function localSession({ user, admin }: LocalUser): Promise<Session> {
  let token = await issueLocalToken({ user, admin });
  localStorage.setItem(LOCAL_USER, JSON.stringify({ user, admin }));
  return {
    userId: user,
    isAdmin: admin,
    async getToken({ skipCache }) {
      if (skipCache || expiresAt(token) - MARGIN_MS < Date.now())
        token = await issueLocalToken({ user, admin });
      return token;
    },
    signOut() {
      localStorage.removeItem(LOCAL_USER);
      location.assign("/");
    },
  };
}

async function issueLocalToken({ user, admin }: LocalUser): Promise<string> {
  const response = await fetch("/local/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user, admin, azp: location.origin }),
  });
  const answer = (await response.json()) as { token?: string; error?: string };
  if (answer.token === undefined) throw new Error(answer.error ?? "The local issuer does not answer.");
  return answer.token;
}

/** A session with a token that a person brought; it ends with the token. */
export function tokenSession(token: string): Session {
  return { ...claimsOf(token), getToken: () => token, signOut: () => location.assign("/") };
}

/** Loads Clerk from the address in its publishable key, and shows its sign-in until somebody is in. */
export async function clerkSession(publishableKey: string, element: HTMLElement): Promise<Session> {
  const clerk = await loadClerk(publishableKey);
  await clerk.load();
  if (!clerk.session) {
    clerk.mountSignIn(element);
    await new Promise<void>((resolve) => clerk.addListener(({ session }) => session && resolve()));
  }
  const token = (await clerk.session?.getToken()) ?? "";
  return {
    ...claimsOf(token),
    getToken: async ({ skipCache }) => (await clerk.session?.getToken({ skipCache })) ?? null,
    signOut: () => void clerk.signOut().then(() => location.assign("/")),
  };
}

async function loadClerk(publishableKey: string): Promise<Clerk> {
  // pk_test_ and the address, base64, ended by a dollar sign.
  const address = atob(publishableKey.split("_")[2] ?? "").replace(/\$$/, "");
  const script = document.createElement("script");
  script.src = `https://${address}/npm/@clerk/clerk-js@5/dist/clerk.browser.js`;
  script.crossOrigin = "anonymous";
  script.dataset.clerkPublishableKey = publishableKey;
  await new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = () => reject(new Error("Clerk cannot be reached. Check the connection and try again."));
    document.head.append(script);
  });
  const { Clerk: clerk } = window as unknown as { Clerk?: Clerk };
  if (clerk === undefined) throw new Error("Clerk did not start.");
  return clerk;
}

function claimsOf(token: string): { userId: string; isAdmin: boolean } {
  const claims = payload(token);
  const metadata = claims.metadata as { role?: string } | undefined;
  return { userId: String(claims.sub ?? "you"), isAdmin: metadata?.role === "admin" };
}

function expiresAt(token: string): number {
  return Number(payload(token).exp ?? 0) * 1000;
}

function payload(token: string): Record<string, unknown> {
  const encoded = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
  try {
    return JSON.parse(atob(encoded)) as Record<string, unknown>;
  } catch {
    return {};
  }
}
