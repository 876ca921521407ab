import { PageFrame } from "../ui/page.tsx";
export default function Page() {
  return <PageFrame title="access">…</PageFrame>;
}
