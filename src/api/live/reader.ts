/** One reader of the live stream: what it may see, and as much of it as it can take. */

/** Text that may wait for a reader; one that falls further behind is told so and dropped. */
const maxWaiting = 1024 * 1024;

export interface StreamReader {
  readonly stream: ReadableStream<Uint8Array>;
  /** Sends one event. Nothing once it has ended. */
  send(type: string, data: string, id?: number): void;
  /** Sends a comment, which keeps connections open. */
  beat(): void;
  /** Sends what waits, then ends. */
  end(): void;
  readonly ended: boolean;
}

/** `onEnd`: called once, whoever ended it. */
export function createReader(onEnd: () => void): StreamReader {
  const encoder = new TextEncoder();
  let waiting: string[] = [];
  let size = 0;
  let ended = false;
  let closing = false;
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  function finish(): void {
    if (ended) return;
    ended = true;
    waiting = [];
    onEnd();
  }

  function flush(): void {
    if (controller === null || ended) return;
    if (waiting.length > 0 && (controller.desiredSize ?? 0) > 0) {
      controller.enqueue(encoder.encode(waiting.join("")));
      waiting = [];
      size = 0;
    }
    if (closing && waiting.length === 0) {
      controller.close();
      finish();
    }
  }

  function put(text: string): void {
    if (ended || closing) return;
    if (size + text.length > maxWaiting) {
      const lost = waiting.length + 1;
      waiting = [`event: gap\ndata: ${JSON.stringify({ why: "slow", missed: lost })}\n\n`];
      closing = true;
    } else {
      waiting.push(text);
      size += text.length;
    }
    flush();
  }

  const stream = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull: flush,
      cancel: finish,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: 64 * 1024 }),
  );
  return {
    stream,
    send: (type, data, id) =>
      put(`event: ${type}\n${id === undefined ? "" : `id: ${id}\n`}data: ${data}\n\n`),
    beat: () => put(": still here\n\n"),
    end() {
      closing = true;
      flush();
    },
    get ended() {
      return ended;
    },
  };
}
