/** Messages in the forms that their receivers understand. What strangers have named stands only where nothing is read as markup. Pure. */
import type { WebhookEvent, WebhookSettings } from "../settings.ts";
import { factsOf, type Summary, titleOf, whoOf } from "./words.ts";

export interface Message {
  readonly event: WebhookEvent;
  /** One, or several of one principal. */
  readonly approvals: readonly [Summary, ...Summary[]];
  /** How many more were not listed. */
  readonly more: number;
}

/** The body of a webhook's POST. `id` names the delivery, `time` is ISO 8601. */
export function bodyOf(shape: WebhookSettings["shape"], message: Message, id: string, time: string): string {
  switch (shape) {
    case "generic":
      return written(generic(message, id, time));
    case "slack":
      return written(slack(message));
    case "teams":
      return written(teams(message));
  }
}

/** A text that was shortened may end in half a surrogate pair, at which many parsers stop (RFC 8259 section 8.2). */
function written(body: object): string {
  return JSON.stringify(body, (_name, value: unknown) =>
    typeof value === "string" ? value.toWellFormed() : value,
  );
}

function generic({ event, approvals, more }: Message, id: string, time: string) {
  return { type: `approval.${event}`, version: 1, id, time, approvals, more };
}

function headline({ event, approvals, more }: Message): string {
  const count = approvals.length + more;
  if (count === 1) return titleOf(event, approvals[0]);
  if (event === "expired") return `${count} more requests are over`;
  return event === "access"
    ? `${count} more requests for access`
    : `${count} more statements wait for approval`;
}

/** The page of one approval, or the list of them. */
function linkOf({ approvals }: Message): string | null {
  const { url, id } = approvals[0];
  if (url === null || approvals.length === 1) return url;
  return url.slice(0, url.length - id.length - 1);
}

/** Nothing that a stranger has named becomes a link by itself. */
function inert(text: string): string {
  return text.replaceAll("://", "[:]//");
}

function sqlOf({ statements }: Summary): string {
  return inert(statements.map(({ sql, command }) => sql ?? `${command} …`).join(";\n"));
}

/**
 * Block Kit (https://docs.slack.dev/reference/block-kit/blocks/rich-text-block): in a rich_text block texts are not parsed, so that no
 * name can make a link, a mention or an end of the code.
 */
function slack(message: Message) {
  const title = headline(message);
  const link = linkOf(message);
  const blocks: object[] = [{ type: "header", text: { type: "plain_text", text: title, emoji: false } }];
  for (const summary of message.approvals) {
    const elements: object[] = [
      {
        type: "rich_text_section",
        elements: factsOf(summary).flatMap(([name, value]) => [
          { type: "text", text: `${name}: `, style: { bold: true } },
          { type: "text", text: `${inert(value).slice(0, 500)}\n` },
        ]),
      },
    ];
    const sql = sqlOf(summary);
    if (sql !== "")
      elements.push({
        type: "rich_text_preformatted",
        elements: [{ type: "text", text: sql.slice(0, 2500) }],
      });
    blocks.push({ type: "rich_text", elements });
  }
  if (link !== null)
    blocks.push({
      type: "actions",
      elements: [
        { type: "button", text: { type: "plain_text", text: "Open in Postern", emoji: false }, url: link },
      ],
    });
  // Shown in notifications, and read as markup there: &, < and > are all that is special.
  const who = inert(whoOf(message.approvals[0]));
  const escaped = (text: string) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return { text: escaped(`${title}: ${who}`), blocks };
}

/** An adaptive card 1.4 (https://adaptivecards.io/explorer/RichTextBlock.html): in the runs of a RichTextBlock nothing is Markdown. */
function teams(message: Message) {
  const title = headline(message);
  const link = linkOf(message);
  const body: object[] = [{ type: "TextBlock", text: title, weight: "Bolder", size: "Medium", wrap: true }];
  for (const summary of message.approvals) {
    for (const [name, value] of factsOf(summary))
      body.push({
        type: "RichTextBlock",
        inlines: [
          { type: "TextRun", text: `${name}: `, weight: "Bolder" },
          { type: "TextRun", text: inert(value).slice(0, 500) },
        ],
      });
    const sql = sqlOf(summary);
    if (sql !== "")
      body.push({
        type: "RichTextBlock",
        inlines: [{ type: "TextRun", text: sql.slice(0, 2500), fontType: "Monospace" }],
      });
  }
  return {
    type: "message",
    attachments: [
      {
        contentType: "application/vnd.microsoft.card.adaptive",
        contentUrl: null,
        content: {
          $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
          type: "AdaptiveCard",
          version: "1.4",
          body,
          actions: link === null ? [] : [{ type: "Action.OpenUrl", title: "Open in Postern", url: link }],
        },
      },
    ],
  };
}
