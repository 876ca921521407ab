/** The keys. */
import { Key } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";

const keys: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    "Approvals",
    [
      ["j", "next"],
      ["k", "previous"],
      ["Enter", "open"],
      ["a", "approve"],
      ["d", "deny"],
      ["p", "preview the effect"],
    ],
  ],
  [
    "Live",
    [
      ["Space", "pause and go on"],
      ["/", "filter"],
    ],
  ],
  ["Everywhere", [["?", "this list"]]],
];

export function Help({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      {keys.map(([where, list]) => (
        <section key={where} className="key-list">
          <h3>{where}</h3>
          <dl>
            {list.map(([key, what]) => (
              <div key={key}>
                <dt>
                  <Key>{key}</Key>
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}
