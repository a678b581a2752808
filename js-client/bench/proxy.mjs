/**
 * A proxy that delays: what comes goes on half a round trip later, in both directions.
 *
 * node proxy.mjs HOST PORT ROUND_TRIP_MS; prints its own port. It is a process of its own, so that
 * its work does not count as that of whoever is measured.
 */
import net from "node:net";

const [host, port, roundTrip] = process.argv.slice(2);
const delayMs = Number(roundTrip) / 2;
/** So many bytes may be on their way; a wire of 10 Gbit/s holds no more in that time. */
const WINDOW_BYTES = 32 * 2 ** 20;

function forward(from, to) {
  let onTheirWay = 0;
  from.on("data", (chunk) => {
    onTheirWay += chunk.byteLength;
    if (onTheirWay > WINDOW_BYTES) from.pause();
    setTimeout(() => {
      onTheirWay -= chunk.byteLength;
      if (onTheirWay <= WINDOW_BYTES) from.resume();
      if (!to.destroyed) to.write(chunk);
    }, delayMs);
  });
  from.on("end", () => setTimeout(() => to.end(), delayMs));
  from.on("error", () => to.destroy());
  from.on("close", () => setTimeout(() => to.destroy(), delayMs));
}

const proxy = net.createServer({ noDelay: true }, (client) => {
  const server = net.connect({ host, port: Number(port), noDelay: true });
  forward(client, server);
  forward(server, client);
});
proxy.listen(0, "127.0.0.1", () => console.log(proxy.address().port));
