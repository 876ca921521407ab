/** The CEL environment of conditions: declared facts, an allow-list of functions, and two of our own. */
import { BlockList, isIP } from "node:net";
import { Environment } from "@marcbachmann/cel-js";
import { maxConditionDepth, maxConditionNodes } from "../limits.ts";
import { glob } from "../schema/columns.ts";
import { actorTypes, claimedTypes, factTypes } from "./facts.ts";
import { ActorView, ClaimedView, EstimateView, PrincipalView, SessionView, StatementView } from "./views.ts";

/** Functions that conditions may call. All take time linear in what they are given. */
export const functionNames: readonly string[] = [
  "all",
  "bool",
  "contains",
  "double",
  "duration",
  "dyn",
  "endsWith",
  "exists",
  "exists_one",
  "filter",
  "getDate",
  "getDayOfMonth",
  "getDayOfWeek",
  "getDayOfYear",
  "getFullYear",
  "getHours",
  "getMilliseconds",
  "getMinutes",
  "getMonth",
  "getSeconds",
  "glob",
  "has",
  "inNetwork",
  "indexOf",
  "int",
  "lastIndexOf",
  "lowerAscii",
  "map",
  "size",
  "split",
  "startsWith",
  "string",
  "substring",
  "timestamp",
  "trim",
  "upperAscii",
];

/** Those of them that walk a list with an expression of its own. */
export const loops: readonly string[] = ["all", "exists", "exists_one", "filter", "map"];

/** An IPv4-mapped IPv6 address is the IPv4 address it holds: clients of a dual-stack listener come so. */
function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped?.[1] ?? address;
}

/** A network in CIDR form; null when it is none. */
export function parseNetwork(text: string): ((address: string) => boolean) | null {
  const match = /^([0-9a-fA-F:.]{2,45})\/(\d{1,3})$/.exec(text);
  const [, base = "", digits = ""] = match ?? [];
  const version = isIP(base);
  const bits = Number(digits);
  if (version === 0 || bits > (version === 4 ? 32 : 128)) return null;
  const family = version === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(base, bits, family);
  return (address) => {
    const plain = plainAddress(address);
    return isIP(plain) === version && list.check(plain, family);
  };
}

/** Results by text: conditions name a handful of networks and patterns (literals only, checked at load). */
function remembered<Value>(make: (text: string) => Value): (text: string) => Value {
  const known = new Map<string, Value>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) {
      value = make(text);
      if (known.size < 10_000) known.set(text, value);
    }
    return value;
  };
}

const network = remembered(parseNetwork);
const pattern = remembered(glob);

/** Facts with their types; nothing else exists for a condition. */
export const environment = new Environment({
  unlistedVariablesAreDyn: false,
  enableOptionalTypes: false,
  limits: { maxAstNodes: maxConditionNodes, maxDepth: maxConditionDepth, maxCallArguments: 8 },
})
  .registerType("Actor", { ctor: ActorView, fields: { ...actorTypes } })
  .registerType("Claimed", { ctor: ClaimedView, fields: { ...claimedTypes } })
  .registerType("Principal", { ctor: PrincipalView, fields: { ...factTypes.principal } })
  .registerType("Session", { ctor: SessionView, fields: { ...factTypes.session } })
  .registerType("Statement", { ctor: StatementView, fields: { ...factTypes.statement } })
  .registerType("Estimate", { ctor: EstimateView, fields: { ...factTypes.estimate } })
  .registerVariable("principal", "Principal")
  .registerVariable("session", "Session")
  .registerVariable("statement", "Statement")
  .registerVariable("estimate", "Estimate")
  .registerVariable("now", "google.protobuf.Timestamp")
  .registerFunction("string.glob(string): bool", (name: string, text: string) => pattern(text)(name))
  .registerFunction("string.inNetwork(string): bool", (address: string, text: string) => {
    const contains = network(text);
    if (contains === null) throw new Error("not a network");
    return contains(address);
  });

/** Whether a literal argument of a function of times is one that it takes: else every statement would fail on it. */
export function takesTime(name: string, text: string): boolean {
  const call = name.startsWith("get") ? `now.${name}` : name;
  try {
    environment.evaluate(`${call}(${JSON.stringify(text)})`, { now: new Date(0) });
    return true;
  } catch {
    return false;
  }
}
