import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Media } from "./media";

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <Media />
  </StrictMode>,
);
