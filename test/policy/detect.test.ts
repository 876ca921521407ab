import { describe, expect, test } from "vitest";
import { detectionOf, patternFault } from "../../src/gateway/analyst/detection.ts";
import { builtinKinds } from "../../src/masking/index.ts";
import { detectKinds, loadPolicy, PolicyError } from "../../src/policy/index.ts";

const load = (...texts: string[]) =>
  loadPolicy(
    texts.map((text, i) => ({ file: `${i}.yaml`, text: `version: 1\n${text}` })),
    { checkPattern: patternFault },
  );

function problems(...texts: string[]): string[] {
  try {
    load(...texts);
    return [];
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return error.problems.map(({ file, line, key, what }) => `${file}:${line} ${key}: ${what}`);
  }
}

test("the kinds are those that masking knows", () => {
  expect([...detectKinds].sort()).toEqual([...builtinKinds].sort());
});

describe("detect", () => {
  test("kinds and patterns with what to do, and the defaults", () => {
    expect(load("rules: []").detect).toBeNull();
    const policy = load(`detect:
  kinds: { card: mask, phone: alert }
  patterns: [{ name: staff.number, pattern: 'EMP-\\d{6}', action: mask }]
`);
    expect(policy.detect).toEqual({
      rules: [
        { kind: "card", pattern: null, action: "mask" },
        { kind: "phone", pattern: null, action: "alert" },
        { kind: "staff.number", pattern: "EMP-\\d{6}", action: "mask" },
      ],
      mask: { kind: "redact" },
      rows: 200,
      confidence: 0.6,
    });
    const settings = detectionOf(policy);
    expect(detectionOf(policy)).toBe(settings);
    const text = Buffer.from("it is EMP-123456.");
    const matcher = settings?.rules[2]?.pattern;
    expect(matcher?.(text, 0, text.length)).toBe(true);
    expect(matcher?.(text, 0, 8)).toBe(false);
    expect(settings).toMatchObject({ sampleRows: 200, threshold: 0.6, mask: { kind: "redact" } });
  });

  test("mask, rows and confidence", () => {
    const { detect } = load(
      "detect: { kinds: { iban: mask }, mask: { keep: { last: 4 } }, rows: 50, confidence: 1 }",
    );
    expect(detect).toMatchObject({ mask: { kind: "keep", first: 0, last: 4 }, rows: 50, confidence: 1 });
  });

  test("where masking only observes, what is found is only told", () => {
    const { detect } = load("masking: observe\ndetect: { kinds: { iban: mask, jwt: alert } }");
    expect(detect?.rules.map(({ action }) => action)).toEqual(["alert", "alert"]);
  });

  test.each([
    ["detect: { kinds: { emial: mask } }", /emial/],
    ["detect: { kinds: { email: hide } }", /is "hide"/],
    ["detect: {}", /looks for nothing/],
    ["detect: { kinds: {} }", /looks for nothing/],
    ["detect: { kinds: { email: mask }, confidence: 0 }", /is 0/],
    ["detect: { kinds: { email: mask }, rows: 0 }", /is 0/],
    ["detect: { patterns: [{ name: email, pattern: a, action: mask }] }", /another kind is called "email"/],
    ["detect: { patterns: [{ name: a, action: mask }] }", /has no pattern/],
    [
      "detect: { patterns: [{ name: a, pattern: 'x', action: mask }, { name: a, pattern: 'y', action: mask }] }",
      /"a"/,
    ],
    ["detect: { patterns: [{ name: a, pattern: '(?=x)', action: mask }] }", /./],
    ["detect: { patterns: [{ name: a, pattern: 'x*', action: mask }] }", /matches the empty text/],
  ])("%s is refused with its place", (text, what) => {
    const found = problems(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^0\.yaml:2 /);
    expect(found[0]).toMatch(what);
  });

  test("one file only", () => {
    const text = "detect: { kinds: { email: mask } }";
    expect(problems(text, text)).toEqual(["1.yaml:2 detect: another file has this section (0.yaml)"]);
  });
});
