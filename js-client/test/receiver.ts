/** Where webhooks are sent to by tests. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A receiver, and what it has got. */
export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly { readonly event: string }[];
}

/** Starts one on a free port. It takes everything. */
export async function startReceiver(): Promise<Receiver> {
  const received: { event: string }[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      received.push(JSON.parse(text) as { event: string });
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
