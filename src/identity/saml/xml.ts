/**
 * A strict reader for the small part of XML 1.0 that SAML messages use. It knows no document type, no entity but the five
 * predefined ones, no processing instruction, no CDATA; where two readers of the same bytes could disagree it refuses.
 */
import { IdentityError } from "../errors.ts";

export interface XmlAttribute {
  /** "" for attributes without a prefix (Namespaces in XML 1.0, section 6.2). */
  readonly namespace: string;
  readonly name: string;
  readonly value: string;
}

export interface XmlElement {
  readonly namespace: string;
  readonly name: string;
  readonly attributes: readonly XmlAttribute[];
  readonly children: readonly XmlElement[];
  /** The character data directly inside, joined. */
  readonly text: string;
}

export interface XmlLimits {
  readonly maxElements: number;
  /** Comments are read over; in a message they are refused, because parsers cut texts at them in different ways. */
  readonly comments: "refuse" | "skip";
}

export const messageLimits: XmlLimits = { maxElements: 4000, comments: "refuse" };
/** Metadata of a federation hold many providers. */
export const metadataLimits: XmlLimits = { maxElements: 100_000, comments: "skip" };

const maxDepth = 32;
const maxAttributes = 64;
const xmlNamespace = "http://www.w3.org/XML/1998/namespace";
const xmlnsNamespace = "http://www.w3.org/2000/xmlns/";

/** ASCII names only: SAML, XML Signature and the metadata schemas need no others. */
const namePattern = /[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?/y;
const spacePattern = /[ \t\r\n]+/y;
const declarationPattern =
  /<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([A-Za-z0-9._-]+)"|'([A-Za-z0-9._-]+)'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>/y;
const entities: ReadonlyMap<string, string> = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["amp", "&"],
  ["quot", '"'],
  ["apos", "'"],
]);

interface OpenElement {
  readonly qualified: string;
  readonly scope: ReadonlyMap<string, string>;
  readonly namespace: string;
  readonly name: string;
  readonly attributes: readonly XmlAttribute[];
  readonly children: XmlElement[];
  text: string;
}

/** Reads a whole document. Throws IdentityError TOKEN_MALFORMED with a cause that repeats nothing of the text. */
export function readXml(text: string, limits: XmlLimits): XmlElement {
  if (!text.isWellFormed()) throw malformed("not well-formed Unicode");
  if (forbiddenCharacter(text)) throw malformed("a character that XML does not allow");
  let at = 0;
  let elements = 0;
  const open: OpenElement[] = [];
  let root: XmlElement | null = null;

  function match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at = pattern.lastIndex;
    return found;
  }

  function readName(): string {
    const found = match(namePattern)?.[0];
    if (found === undefined) throw malformed("a name was expected");
    return found;
  }

  function startTag(): void {
    at += 1;
    elements += 1;
    if (elements > limits.maxElements) throw malformed(`more than ${limits.maxElements} elements`);
    if (open.length >= maxDepth) throw malformed("nested too deeply");
    if (root !== null) throw malformed("more than one root element");
    const qualified = readName();
    const raw = new Map<string, string>();
    let empty = false;
    for (;;) {
      const spaced = match(spacePattern) !== null;
      if (text[at] === ">") {
        at += 1;
        break;
      }
      if (text.startsWith("/>", at)) {
        at += 2;
        empty = true;
        break;
      }
      if (!spaced) throw malformed("attributes are not separated");
      const name = readName();
      match(spacePattern);
      if (text[at] !== "=") throw malformed("an attribute without a value");
      at += 1;
      match(spacePattern);
      const quote = text[at];
      if (quote !== '"' && quote !== "'") throw malformed("an attribute value is not quoted");
      const end = text.indexOf(quote, at + 1);
      if (end < 0) throw malformed("an attribute value does not end");
      const value = text.slice(at + 1, end);
      if (value.includes("<")) throw malformed("an attribute value holds <");
      if (raw.has(name)) throw malformed("an attribute is given twice");
      if (raw.size >= maxAttributes) throw malformed("too many attributes");
      // XML 1.0 section 3.3.3: white space in a value reads as spaces.
      raw.set(name, decode(value.replaceAll(/\r\n?/g, "\n").replaceAll(/[\t\n]/g, " ")));
      at = end + 1;
    }
    const element = resolve(qualified, raw, open.at(-1)?.scope ?? new Map([["xml", xmlNamespace]]));
    if (empty) close(element);
    else open.push(element);
  }

  function close(element: OpenElement): void {
    const done: XmlElement = {
      namespace: element.namespace,
      name: element.name,
      attributes: element.attributes,
      children: element.children,
      text: element.text,
    };
    const parent = open.at(-1);
    if (parent === undefined) root = done;
    else parent.children.push(done);
  }

  function endTag(): void {
    at += 2;
    const name = readName();
    match(spacePattern);
    if (text[at] !== ">") throw malformed("an end tag does not end");
    at += 1;
    const element = open.pop();
    if (element === undefined || element.qualified !== name) throw malformed("an end tag has no start");
    close(element);
  }

  const declaration = match(declarationPattern);
  const encoding = declaration?.[1] ?? declaration?.[2];
  if (encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(encoding))
    throw malformed("the encoding is not UTF-8");
  while (at < text.length) {
    if (text[at] !== "<") {
      const next = text.indexOf("<", at);
      const end = next < 0 ? text.length : next;
      const data = text.slice(at, end).replaceAll(/\r\n?/g, "\n");
      at = end;
      const inside = open.at(-1);
      if (inside !== undefined) {
        if (data.includes("]]>")) throw malformed("]]> in character data");
        inside.text += decode(data);
      } else if (data.trim() !== "") throw malformed("text outside of the root element");
    } else if (text.startsWith("</", at)) endTag();
    else if (text.startsWith("<!--", at)) {
      if (limits.comments === "refuse") throw malformed("a comment");
      const end = text.indexOf("-->", at + 4);
      if (end < 0) throw malformed("a comment does not end");
      at = end + 3;
    } else if (text.startsWith("<!DOCTYPE", at)) throw malformed("a document type declaration");
    else if (text.startsWith("<!", at)) throw malformed("a markup declaration");
    else if (text.startsWith("<?", at)) throw malformed("a processing instruction");
    else startTag();
  }
  if (open.length > 0 || root === null) throw malformed("the document is not complete");
  return root;
}

/** Namespaces in XML 1.0: prefixes are looked up, what is declared nowhere is an error. */
function resolve(
  qualified: string,
  raw: ReadonlyMap<string, string>,
  outer: ReadonlyMap<string, string>,
): OpenElement {
  let scope = outer;
  for (const [name, value] of raw) {
    if (name !== "xmlns" && !name.startsWith("xmlns:")) continue;
    const prefix = name === "xmlns" ? "" : name.slice("xmlns:".length);
    if (prefix === "xml" || prefix === "xmlns" || value === xmlNamespace || value === xmlnsNamespace)
      throw malformed("a reserved namespace");
    if (prefix !== "" && value === "") throw malformed("a prefix without a namespace");
    if (scope === outer) scope = new Map(outer);
    (scope as Map<string, string>).set(prefix, value);
  }
  const split = (name: string, bare: string): { namespace: string; name: string } => {
    const colon = name.indexOf(":");
    if (colon < 0) return { namespace: bare, name };
    const namespace = scope.get(name.slice(0, colon));
    if (namespace === undefined) throw malformed("an undeclared prefix");
    return { namespace, name: name.slice(colon + 1) };
  };
  const attributes: XmlAttribute[] = [];
  const seen = new Set<string>();
  for (const [name, value] of raw) {
    if (name === "xmlns" || name.startsWith("xmlns:")) continue;
    const resolved = split(name, "");
    const key = `${resolved.namespace} ${resolved.name}`;
    if (seen.has(key)) throw malformed("an attribute is given twice");
    seen.add(key);
    attributes.push({ ...resolved, value });
  }
  return { qualified, scope, ...split(qualified, scope.get("") ?? ""), attributes, children: [], text: "" };
}

/** Character references and the predefined entities (XML 1.0 sections 4.1 and 4.6). */
function decode(text: string): string {
  if (!text.includes("&")) return text;
  return text.replaceAll(/&([^;&]{0,16});?/g, (whole: string, name: string) => {
    if (!whole.endsWith(";")) throw malformed("an entity reference does not end");
    const known = entities.get(name);
    if (known !== undefined) return known;
    const digits = /^#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}))$/.exec(name);
    if (digits === null) throw malformed("an entity that is not predefined");
    const code = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16);
    const legal = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    const character = legal ? String.fromCodePoint(code) : "\0";
    if (forbiddenCharacter(character)) throw malformed("a character that XML does not allow");
    return character;
  });
}

/** XML 1.0 section 2.2, Char. */
function forbiddenCharacter(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are not allowed.
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text);
}

function malformed(what: string): IdentityError {
  return new IdentityError("TOKEN_MALFORMED", `SAML: the XML cannot be taken: ${what}`);
}

/** The value of an attribute without a namespace; null when absent. */
export function attribute(element: XmlElement, name: string): string | null {
  return element.attributes.find((one) => one.name === name && one.namespace === "")?.value ?? null;
}

/** The child elements of this name. */
export function childrenOf(element: XmlElement, namespace: string, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.namespace === namespace && child.name === name);
}

/** Every element below, itself included, of this name in whatever namespace. */
export function descendants(element: XmlElement, name: string): readonly XmlElement[] {
  const found = element.name === name ? [element] : [];
  return [...found, ...element.children.flatMap((child) => descendants(child, name))];
}

/** Text for the content of an element or a double-quoted attribute. */
export function escapeXml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("\r", "&#13;")
    .replaceAll("\n", "&#10;")
    .replaceAll("\t", "&#9;");
}
