import { Duplex } from "node:stream";
import { expect, it } from "vitest";
import { http2Link } from "./http2-link.ts";

const LIMIT_MS = 60_000;

/** Sends the same bytes for ever, as fast as they are read. */
function endless(bytes: Buffer): Duplex {
  return new Duplex({
    read() {
      setImmediate(() => this.destroyed || this.push(bytes));
    },
    write: (_chunk, _encoding, done) => done(),
  });
}

it("fails, and lets everything else run, where bytes come that begin no protocol", { timeout: LIMIT_MS }, async () => {
  for (const bytes of [Buffer.alloc(65_536, 0x0a), Buffer.from("SSH-2.0-nothing\r\n"), Buffer.alloc(9)]) {
    const link = http2Link(endless(bytes));
    await expect(link.client.handshake({}, { timeoutMs: 2_000 })).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 10));
    link.close();
  }
});

it("fails where the stream is closed while the session begins, and after it was closed here", async () => {
  const link = http2Link(endless(Buffer.alloc(0)));
  const call = link.client.handshake({});
  link.close();
  await expect(call).rejects.toThrow();
  await expect(link.client.handshake({})).rejects.toThrow(/ended/);
});

it("fails where the other side hangs up at once", async () => {
  const link = http2Link(
    new Duplex({
      read() {
        this.push(null);
      },
      write: (_chunk, _encoding, done) => done(),
    }),
  );
  await expect(link.client.handshake({}, { timeoutMs: 2_000 })).rejects.toThrow();
  link.close();
});
