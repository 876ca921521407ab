/** Reading a verb's arguments. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

/** Wrong usage: exit code 2, with the verb's usage shown. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly usage: string;
  constructor(message: string, usage: string) {
    super(message);
    this.usage = usage;
  }
}

const help = { type: "boolean", short: "h" } as const;
/** `-c FILE`, which most verbs take. */
export const configOption = { config: { type: "string", short: "c", default: "postern.yaml" } } as const;

/**
 * Parses options and positionals strictly. null: help was asked for and has been printed.
 * Throws UsageError for anything unknown, and when there are not from `least` to `most` positionals.
 */
export function readArgs<const Options extends ParseArgsOptionsConfig>(
  args: string[],
  usage: string,
  options: Options,
  positionals: { readonly least: number; readonly most: number } = { least: 0, most: 0 },
) {
  let parsed: ReturnType<typeof parse<Options>>;
  try {
    parsed = parse(args, options);
  } catch (error) {
    // What Node adds is about arguments that begin with a dash: few of ours do.
    const [said = "wrong arguments"] = error instanceof Error ? error.message.split(". To specify") : [];
    throw new UsageError(said, usage);
  }
  if ((parsed.values as { help?: boolean }).help === true) {
    process.stdout.write(usage);
    return null;
  }
  if (parsed.positionals.length < positionals.least) throw new UsageError("an argument is missing", usage);
  const extra = parsed.positionals[positionals.most];
  if (extra !== undefined) throw new UsageError(`unexpected argument ${JSON.stringify(extra)}`, usage);
  return parsed;
}

function parse<const Options extends ParseArgsOptionsConfig>(args: string[], options: Options) {
  return parseArgs({ args, options: { ...options, help }, allowPositionals: true, strict: true });
}

/** What stands for the first argument among `verbs`; null: help was asked for and has been printed. Throws UsageError. */
export function chooseVerb<Verb>(
  name: string | undefined,
  verbs: Readonly<Record<string, Verb>>,
  usage: string,
): Verb | null {
  if (name === "--help" || name === "-h") {
    process.stdout.write(usage);
    return null;
  }
  const verb = name !== undefined && Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb === undefined)
    throw new UsageError(
      name === undefined ? "a verb is missing" : `there is no verb ${JSON.stringify(name)}`,
      usage,
    );
  return verb;
}
