import { Media } from "./media";

export default function Page() {
  return <Media />;
}
