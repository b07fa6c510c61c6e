// Starts the page.

import "@fontsource-variable/inter";
import "@jam-storage/react/styles.css";
import "./styles/page.css";
import "./styles/shell.css";
import "./styles/library.css";
import "./styles/admin.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.js";
import { applyTheme, storedTheme } from "./theme.js";

applyTheme(storedTheme());
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
