/** What came back: how it ended, the columns with where they come from and which were masked, and digests of the rows. */
import { bytes, count } from "../lib/text.ts";
import { MaskedBadge, StatusBadge } from "../ui/badge.tsx";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { Fact } from "./chain.tsx";
import { statusOf } from "./fromRecord.ts";
import { at, number, objects, text } from "./record.ts";
import { took } from "./took.ts";
import type { Json } from "./types.ts";

interface ResultCardProps {
  readonly outcome: Json | null;
  /** Columns that the decision masks. */
  readonly masked: readonly string[];
}

export function ResultCard({ outcome, masked }: ResultCardProps) {
  if (outcome === null)
    return (
      <section className="card" aria-label="Result">
        <header className="card-head">
          <h2>Result</h2>
        </header>
        <p className="card-body faint">No outcome is on the record yet.</p>
      </section>
    );
  const columns = objects(outcome, "result.columns");
  const cells = at(outcome, "result.masked_cells");
  const counts: readonly unknown[] = Array.isArray(cells) ? cells : [];
  const rows = number(outcome, "result.rows");
  const size = number(outcome, "result.bytes");
  const changed = number(outcome, "rows_affected");
  const complete = at(outcome, "result.complete");
  return (
    <section className="card" aria-label="Result">
      <header className="card-head">
        <h2>Result</h2>
        <MaskedBadge columns={masked} />
        <StatusBadge
          status={statusOf(text(outcome, "status")) ?? "unknown"}
          sqlstate={text(outcome, "sqlstate")}
        />
      </header>
      <div className="numbers">
        {rows === null ? null : <Figure value={count(rows)} name={rows === 1 ? "row" : "rows"} />}
        {changed === null ? null : (
          <Figure value={count(changed)} name={changed === 1 ? "row changed" : "rows changed"} />
        )}
        {size === null ? null : <Figure value={bytes(size)} name="delivered" />}
        <Figure value={took(number(outcome, "duration_us"))} name="in all" />
        <Figure value={took(number(outcome, "first_row_us"))} name="to the first row" />
      </div>
      {columns.length === 0 ? null : (
        <div className="table-wrap">
          <table className="table">
            <caption className="visually-hidden">Columns of the result</caption>
            <thead>
              <tr>
                <th scope="col">Column</th>
                <th scope="col">Type</th>
                <th scope="col">Comes from</th>
                <th scope="col">Masked</th>
              </tr>
            </thead>
            <tbody>
              {columns.slice(0, 200).map((column, index) => {
                const hidden = typeof counts[index] === "number" ? counts[index] : 0;
                return (
                  // biome-ignore lint/suspicious/noArrayIndexKey: columns may have equal names
                  <tr key={index}>
                    <td data-label="Column">
                      <strong>
                        <Text value={text(column, "name") ?? "?"} />
                      </strong>
                    </td>
                    <td data-label="Type" className="faint">
                      <Text value={text(column, "type") ?? "?"} />
                    </td>
                    <td data-label="Comes from">
                      <span className="mono">
                        {text(column, "origin") === null ? (
                          <span className="faint">computed</span>
                        ) : (
                          <Text value={text(column, "origin") ?? ""} />
                        )}
                      </span>
                    </td>
                    <td data-label="Masked">
                      {at(column, "masked") === true ? (
                        <span className="badge mask">
                          <Icon name="masked" size={12} />
                          {hidden === 0 ? "masked" : `${count(hidden)} cell${hidden === 1 ? "" : "s"}`}
                        </span>
                      ) : hidden > 0 ? (
                        <span className="badge mask">{count(hidden)} cells found and masked</span>
                      ) : (
                        <span className="faint">as it is</span>
                      )}
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      <dl className="facts card-body">
        <Fact name="Tag" value={text(outcome, "tag")} />
        <Fact
          name="Complete"
          value={
            typeof complete === "boolean"
              ? complete
                ? "yes, every row was delivered"
                : "no, it was cut off"
              : null
          }
        />
        <Fact name="Digest" value={text(outcome, "result.digests.delivered.value")} copy />
        <Fact name="Unmasked" value={text(outcome, "result.digests.source.value")} copy />
      </dl>
    </section>
  );
}

function Figure({ value, name }: { readonly value: string; readonly name: string }) {
  if (value === "") return null;
  return (
    <p className="number">
      <strong className="tabular">{value}</strong> <span className="faint">{name}</span>
    </p>
  );
}
