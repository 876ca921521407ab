/** Takes a stream's bytes in the pieces that are asked for, until it is handed on. */
import type { Socket } from "node:net";

/** The other side has left, or has been told: there is nothing more to say. */
export class GoneError extends Error {
  override readonly name = "GoneError";
}

export class ByteReader {
  private chunks: Buffer = Buffer.alloc(0);
  private ended = false;
  private wake: () => void = () => {};
  private readonly socket: Socket;
  private readonly onData = (chunk: Buffer): void => {
    this.chunks = Buffer.concat([this.chunks, chunk]);
    this.wake();
  };
  private readonly onEnd = (): void => {
    this.ended = true;
    this.wake();
  };

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", this.onData);
    socket.on("end", this.onEnd);
    socket.on("close", this.onEnd);
  }

  /** Bytes that came and were not taken yet. */
  get buffered(): number {
    return this.chunks.length;
  }

  /** Throws GoneError when the stream ends before. */
  async take(length: number): Promise<Buffer> {
    while (this.chunks.length < length) {
      if (this.ended) throw new GoneError("the connection was closed");
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const taken = this.chunks.subarray(0, length);
    this.chunks = this.chunks.subarray(length);
    return taken;
  }

  /** Listens no more; what comes is somebody else's. */
  release(): void {
    this.socket.pause();
    this.socket.off("data", this.onData);
    this.socket.off("end", this.onEnd);
    this.socket.off("close", this.onEnd);
  }

  /** From here on everything goes to `to`, first what has come already. */
  handOver(from: Socket, to: Socket): void {
    this.release();
    if (this.chunks.length > 0) to.write(this.chunks);
    from.pipe(to);
    from.on("error", () => to.destroy());
  }
}
