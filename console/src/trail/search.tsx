/** The query bar: one line, with suggestions for names and values of filters (WAI-ARIA combobox with a listbox). */
import { type KeyboardEvent, type RefObject, useEffect, useId, useState } from "react";
import { visible } from "../lib/text.ts";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { type Query, readQuery, writeQuery } from "./query.ts";
import { type Known, replaceToken, type Suggestion, suggest } from "./suggest.ts";

interface SearchProps {
  readonly query: Query;
  readonly known: Known;
  readonly input: RefObject<HTMLInputElement | null>;
  onSearch(query: Query): void;
}

export function SearchBar({ query, known, input, onSearch }: SearchProps) {
  const written = writeQuery(query);
  const [line, setLine] = useState(written);
  const [caret, setCaret] = useState(0);
  const [open, setOpen] = useState(false);
  const [picked, setPicked] = useState(-1);
  const listId = useId();
  useEffect(() => setLine(written), [written]);
  const { problems } = readQuery(line);
  const options = open ? suggest(line, caret, known) : [];
  const shown = options.length > 0;
  const active = picked >= 0 && picked < options.length ? picked : -1;

  const submit = (text: string) => {
    const read = readQuery(text);
    setOpen(false);
    setPicked(-1);
    if (read.problems.length === 0) onSearch(read.query);
  };
  const take = (option: Suggestion) => {
    const next = replaceToken(line, caret, option.insert);
    setLine(next.line);
    setCaret(next.caret);
    setPicked(-1);
    const field = input.current;
    field?.focus();
    requestAnimationFrame(() => field?.setSelectionRange(next.caret, next.caret));
    if (option.whole) submit(next.line);
  };
  const press = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.nativeEvent.isComposing) return;
    switch (event.key) {
      case "ArrowDown":
      case "ArrowUp": {
        event.preventDefault();
        setOpen(true);
        if (!shown) return;
        const step = event.key === "ArrowDown" ? 1 : -1;
        setPicked((active + step + options.length + (active < 0 && step < 0 ? 1 : 0)) % options.length);
        return;
      }
      case "Enter": {
        event.preventDefault();
        const option = options[active];
        if (option === undefined) submit(line);
        else take(option);
        return;
      }
      case "Escape":
        if (shown) event.preventDefault();
        setOpen(false);
        setPicked(-1);
        if (!shown) input.current?.blur();
        return;
    }
  };

  return (
    <form
      className="trail-search"
      onSubmit={(event) => {
        event.preventDefault();
        submit(line);
      }}
    >
      <div className="trail-bar">
        <Icon name="search" />
        <input
          ref={input}
          className="trail-input"
          type="text"
          role="combobox"
          aria-label="Search the trail"
          aria-expanded={shown}
          aria-controls={listId}
          aria-autocomplete="list"
          aria-activedescendant={active < 0 ? undefined : `${listId}-${active}`}
          aria-invalid={problems.length > 0}
          aria-describedby={problems.length > 0 ? `${listId}-problems` : undefined}
          placeholder="subject:agent-7 table:customers verdict:deny since:1h words"
          autoComplete="off"
          autoCapitalize="off"
          autoCorrect="off"
          spellCheck={false}
          enterKeyHint="search"
          maxLength={4000}
          value={line}
          onChange={(event) => {
            setLine(event.target.value);
            setCaret(event.target.selectionStart ?? event.target.value.length);
            setOpen(true);
            setPicked(-1);
          }}
          onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? 0)}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={press}
        />
        {line === "" ? (
          <kbd>/</kbd>
        ) : (
          <button
            type="button"
            className="trail-clear"
            aria-label="Clear the search"
            onClick={() => {
              setLine("");
              submit("");
              input.current?.focus();
            }}
          >
            <Icon name="cross" size={14} />
          </button>
        )}
      </div>
      <Button type="submit" look="primary">
        Search
      </Button>
      <div id={listId} className="trail-options" role="listbox" aria-label="Suggestions" hidden={!shown}>
        {options.map((option, at) => (
          <div
            tabIndex={-1}
            key={option.insert}
            id={`${listId}-${at}`}
            role="option"
            aria-selected={at === active}
            onPointerDown={(event) => {
              event.preventDefault();
              take(option);
            }}
          >
            <span className="mono">{visible(option.label)}</span>
            <span className="faint">{option.help}</span>
          </div>
        ))}
      </div>
      {problems.length === 0 ? null : (
        <p className="trail-problems" id={`${listId}-problems`} role="alert">
          {problems.map(visible).join(" ")}
        </p>
      )}
    </form>
  );
}
