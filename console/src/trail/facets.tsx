/** Filters to click: what was decided, when, and the names that come up most. */
import { Link } from "../lib/router.tsx";
import { count } from "../lib/text.ts";
import type { StatsCount } from "../overview/stats.ts";
import { Text } from "../ui/text.tsx";
import { type Filter, type Query, trailLink } from "./query.ts";

/** `query` without its text form changed: one filter set or taken away. */
export function withFilter(query: Query, name: Filter, value: string | null): Query {
  const { [name]: _before, ...rest } = query;
  return value === null ? rest : { ...rest, [name]: value };
}

interface QuickProps {
  readonly query: Query;
  readonly name: Filter;
  readonly label: string;
  readonly options: readonly { readonly value: string; readonly label: string; readonly look?: string }[];
}

/** A row of links of which at most one holds; following the one that holds takes it away. */
export function Quick({ query, name, label, options }: QuickProps) {
  return (
    <ul className="quick" aria-label={label}>
      {options.map((option) => {
        const on = query[name] === option.value;
        return (
          <li key={option.value}>
            <Link
              className={`quick-link ${option.look ?? ""}`}
              aria-current={on ? "true" : undefined}
              to={trailLink(withFilter(query, name, on ? null : option.value))}
            >
              {option.label}
            </Link>
          </li>
        );
      })}
    </ul>
  );
}

/** Filters that are set, each with a way to take it away. */
export function SetFilters({ query }: { readonly query: Query }) {
  const set = Object.entries(query) as readonly [Filter, string][];
  const others = set.filter(
    ([name, value]) => !["verdict", "since"].includes(name) && !(name === "type" && value === "any"),
  );
  if (others.length === 0) return null;
  return (
    <ul className="set-filters" aria-label="Filters that are set">
      {others.map(([name, value]) => (
        <li key={name}>
          <Link to={trailLink(withFilter(query, name, null))} className="set-filter">
            <span className="visually-hidden">Take away</span>
            <span className="faint">{name === "text" ? "words" : name}</span>
            <span className="cut">
              <Text value={value} />
            </span>
            <span aria-hidden="true">×</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

interface FacetProps {
  readonly title: string;
  readonly name: Filter;
  readonly query: Query;
  readonly counts: readonly StatsCount[];
}

export function Facet({ title, name, query, counts }: FacetProps) {
  if (counts.length === 0) return null;
  return (
    <section className="facet" aria-label={title}>
      <h2>{title}</h2>
      <ul>
        {counts.slice(0, 8).map((one) => {
          const on = query[name] === one.name;
          return (
            <li key={one.name}>
              <Link
                className="facet-link"
                aria-current={on ? "true" : undefined}
                to={trailLink(withFilter(query, name, on ? null : one.name))}
              >
                <span className="cut">
                  <Text value={one.name} />
                </span>
                <span className="faint tabular">{count(one.count)}</span>
              </Link>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
