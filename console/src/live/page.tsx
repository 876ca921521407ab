import { PageFrame } from "../ui/page.tsx";
export default function Page() {
  return <PageFrame title="live">…</PageFrame>;
}
