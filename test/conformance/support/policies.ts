/** Policies for whole suites: none of them means to refuse anything that the suites do. */

/** A table of the labels' own, which no suite knows; see `protectedTable`. */
const labels = `labels:
  - { label: pii.email, columns: ["*.postern_people.people.email"], mask: partial }
  - { label: secret, columns: ["*.postern_people.people.password_hash"], access: none }
`;

export const policies: Readonly<Record<string, string>> = {
  /** Nothing can be refused or hidden. */
  "allow-all": "version: 1\ndefault: allow\nrules: []\n",
  /** Something could be refused: what is not understood is. */
  strict: `version: 1
default: allow
rules:
  - name: never
    when: 'principal.subject == "nobody"'
    then: deny
`,
  /** Columns are protected and masked in the database at hand, beside what the suites make. */
  labels: `version: 1\ndefault: allow\n${labels}rules: []\n`,
};

/** What the policy \`labels\` protects; made on both ways, so that catalogs are the same. */
export const protectedTable = [
  "create schema postern_people",
  "create table postern_people.people (id int, email text, password_hash text)",
  "insert into postern_people.people values (1, 'ann@example.com', 'c2VjcmV0')",
];
