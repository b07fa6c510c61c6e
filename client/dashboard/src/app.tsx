// The page: sign-in first, then the shell with the view that the address names.

import { createClient } from "@jam-storage/client";
import { StorageProvider } from "@jam-storage/react";
import { useMemo, useState } from "react";
import { Admin } from "./admin/admin.js";
import { Library } from "./library/library.js";
import { usePlace } from "./place.js";
import type { Session } from "./session.js";
import { Shell } from "./shell.js";
import { SignIn } from "./sign-in.js";
import { Toasts } from "./toast.js";

export function App() {
  const [session, setSession] = useState<Session | null>(null);
  return session === null ? <SignIn onSession={setSession} /> : <SignedIn session={session} />;
}

function SignedIn({ session }: { session: Session }) {
  const client = useMemo(() => createClient({ getToken: session.getToken }), [session]);
  const [place] = usePlace();
  return (
    <StorageProvider client={client} instant>
      <Toasts>
        <Shell session={session}>
          {place.view === "admin" && place.user === null ? (
            <Admin />
          ) : (
            <Library key={`${place.view} ${place.user}`} />
          )}
        </Shell>
      </Toasts>
    </StorageProvider>
  );
}
