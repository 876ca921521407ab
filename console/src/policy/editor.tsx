/**
 * CodeMirror in a shadow root. There its style sheets are adopted (CSSOM), not written as <style> elements, which the page's
 * Content Security Policy would refuse; the colours come in as custom properties. Loaded only where somebody edits.
 */
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { EditorState, type Extension, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  placeholder as placeholderText,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useEffectEvent, useRef } from "react";
import type { Mark } from "./marks.ts";
import { yaml } from "./yaml.ts";

export interface EditorProps {
  readonly label: string;
  readonly language: "sql" | "yaml";
  /** What it begins with. */
  readonly value: string;
  /** Another number: `value` takes the place of what is there. Else the editor's own text goes ahead of the page's. */
  readonly revision?: number;
  readonly placeholder?: string;
  /** Places to underline. */
  readonly marks?: readonly Mark[];
  /** Goes there: line and column from 1; a new object goes again. */
  readonly goTo?: { readonly line: number; readonly column: number } | null;
  readonly tall?: boolean;
  onChange(value: string): void;
  /** Ctrl+Enter, Cmd+Enter; with the text as it is at that moment, which the page may not have drawn yet. */
  onRun?(text: string): void;
}

const setMarks = StateEffect.define<readonly Mark[]>();

const markField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(decorations, transaction) {
    let next = decorations.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(setMarks)) continue;
      const { doc } = transaction.state;
      next = Decoration.set(
        effect.value.flatMap((mark) => {
          if (mark.line < 1 || mark.line > doc.lines) return [];
          const line = doc.line(mark.line);
          const from = Math.min(line.to, line.from + Math.max(0, mark.column - 1));
          const to = Math.min(
            line.to,
            Math.max(from + 1, from + (mark.length ?? wordLength(line.text, from - line.from))),
          );
          const range =
            to > from
              ? [Decoration.mark({ class: "cm-fault", attributes: { title: mark.text } }).range(from, to)]
              : [];
          return [Decoration.line({ class: "cm-fault-line" }).range(line.from), ...range];
        }),
        true,
      );
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function wordLength(text: string, from: number): number {
  return Math.max(1, /^[^\s,:]+/.exec(text.slice(from))?.[0].length ?? 1);
}

const highlight = HighlightStyle.define([
  {
    tag: [tags.keyword, tags.definitionKeyword, tags.modifier, tags.operatorKeyword],
    color: "var(--sql-keyword)",
  },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--sql-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--sql-number)" },
  {
    tag: [tags.comment, tags.lineComment, tags.blockComment],
    color: "var(--sql-comment)",
    fontStyle: "italic",
  },
  { tag: [tags.propertyName, tags.attributeName], color: "var(--sql-parameter)" },
  { tag: tags.typeName, color: "var(--sql-parameter)" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", fontSize: "13px", color: "var(--ink)", background: "var(--surface)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--ink)", padding: "10px 0" },
  ".cm-line": { padding: "0 12px 0 8px" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--accent-soft)",
  },
  ".cm-gutters": { background: "var(--surface)", color: "var(--ink-3)", border: "none", paddingLeft: "6px" },
  ".cm-activeLine": { background: "transparent" },
  "&.cm-focused .cm-activeLine": { background: "var(--sunken)" },
  ".cm-placeholder": { color: "var(--ink-3)" },
  ".cm-matchingBracket": { background: "var(--accent-soft)", color: "inherit" },
  ".cm-specialChar": { color: "var(--deny)", background: "var(--deny-soft)" },
  ".cm-fault": { textDecoration: "underline wavy var(--deny)", textUnderlineOffset: "3px" },
  ".cm-fault-line": { background: "var(--deny-soft)" },
});

/** Characters that reorder or hide are shown as what they are, as everywhere in the console. */
const hidden = highlightSpecialChars({
  addSpecialChars: /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff\ufff9-\ufffc]/g,
  render(code, _description, fallback) {
    const span = document.createElement("span");
    span.className = "cm-specialChar";
    span.textContent = code < 32 ? fallback : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    span.setAttribute("aria-label", span.textContent);
    return span;
  },
});

/**
 * What is typed is put in by the editor itself. Left to the browser, it would keep the look of what it replaces in a style
 * attribute, which the page's Content Security Policy reports.
 */
const typing = EditorView.domEventHandlers({
  beforeinput(event, view) {
    if (event.inputType !== "insertText" || event.data === null || event.isComposing || view.composing)
      return false;
    event.preventDefault();
    view.dispatch(view.state.replaceSelection(event.data), { scrollIntoView: true, userEvent: "input.type" });
    return true;
  },
});

const languages: Readonly<Record<EditorProps["language"], () => Extension>> = {
  sql: () => sql({ dialect: PostgreSQL }),
  yaml: () => StreamLanguage.define(yaml),
};

export default function Editor(props: EditorProps) {
  const { label, language, value, revision = 0, placeholder = "", marks, goTo, tall = false } = props;
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const change = useEffectEvent((text: string) => props.onChange(text));
  const run = useEffectEvent((text: string) => {
    props.onRun?.(text);
    return props.onRun !== undefined;
  });
  const given = useEffectEvent(() => value);

  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    const editor = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: given(),
        extensions: [
          keymap.of([{ key: "Mod-Enter", run: ({ state }) => run(state.doc.toString()) }]),
          keymap.of([...defaultKeymap, ...historyKeymap]),
          history(),
          drawSelection(),
          bracketMatching(),
          highlightActiveLine(),
          hidden,
          typing,
          language === "yaml" ? lineNumbers() : [],
          languages[language](),
          syntaxHighlighting(highlight),
          theme,
          markField,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({
            "aria-label": label,
            tabindex: "0",
            spellcheck: "false",
            autocapitalize: "off",
          }),
          placeholderText(placeholder),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) change(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, [language, label, placeholder]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new revision is what asks for it
  useEffect(() => {
    const editor = view.current;
    const text = given();
    if (editor === null || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [revision]);
  useEffect(() => {
    view.current?.dispatch({ effects: setMarks.of(marks ?? []) });
  }, [marks]);
  useEffect(() => {
    const editor = view.current;
    if (editor === null || goTo == null) return;
    const { doc } = editor.state;
    const line = doc.line(Math.min(doc.lines, Math.max(1, goTo.line)));
    const place = Math.min(line.to, line.from + Math.max(0, goTo.column - 1));
    editor.dispatch({
      selection: { anchor: place },
      effects: EditorView.scrollIntoView(place, { y: "center" }),
    });
    editor.focus();
  }, [goTo]);

  return <div ref={host} className={`editor${tall ? " tall" : ""}`} />;
}
