/** The floor for any proxy in Node: bytes from one socket to the other, nothing looked at. `node bench/pipe.ts PORT UPSTREAM_PORT` */
import net from "node:net";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
net
  .createServer({ noDelay: true }, (client) => {
    const server = net.connect({ port: upstreamPort ?? 0, host: "127.0.0.1", noDelay: true });
    client.on("data", (chunk) => void server.write(chunk));
    server.on("data", (chunk) => void client.write(chunk));
    const end = () => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("close", end).on("error", end);
  })
  .listen(port, "127.0.0.1");
