/** The tab's title: "(2) Live · Postern", with the number of approvals that wait for this person. */
import { useEffect } from "react";

let page = "";
let waiting = 0;

function write(): void {
  document.title = `${waiting > 0 ? `(${waiting}) ` : ""}${page === "" ? "" : `${page} · `}Postern`;
}

export function useTitle(title: string): void {
  useEffect(() => {
    page = title;
    write();
  }, [title]);
}

/** `count`: approvals that wait for a decision. */
export function useTitleBadge(count: number): void {
  useEffect(() => {
    waiting = count;
    write();
  }, [count]);
}
