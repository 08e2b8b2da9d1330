import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { setImmediate, setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LinkSessions } from "./linkSessions.ts";

/** More than a goodbye needs to arrive and to be dealt with. */
const MOST_TURNS = 12;

let server: Http2Server;
let url = "";
const open = new Set<ServerHttp2Session>();
let uncaught: unknown[] = [];
let listeners: NodeJS.UncaughtExceptionListener[] = [];
const note = (error: unknown) => void uncaught.push(error);

beforeEach(async () => {
  server = createServer();
  server.on("session", (session) => void open.add(session));
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200 });
    stream.end("x");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  uncaught = [];
  listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", note);
});
afterEach(() => {
  process.off("uncaughtException", note);
  for (const listener of listeners) process.on("uncaughtException", listener);
  server.close();
});

async function ask(sessions: LinkSessions): Promise<void> {
  const stream = await sessions.request("GET", "/", {}, {});
  // The other end may refuse it.
  await new Promise((resolve) =>
    stream
      .on("error", () => {})
      .on("close", resolve)
      .resume(),
  );
}

function sayGoodbye(): void {
  for (const session of open) session.close();
  open.clear();
}

it.each<[string, (sessions: LinkSessions) => unknown]>([
  ["a call", ask],
  ["the end of the link", (sessions) => sessions.abort()],
])("a goodbye of the other end and %s at the same moment end no process", async (_what, act) => {
  for (let turns = 0; turns < MOST_TURNS; turns += 1) {
    const sessions = new LinkSessions(url, {}, {});
    await ask(sessions);
    sayGoodbye();
    for (let turn = 0; turn < turns; turn += 1) await setImmediate();
    await act(sessions);
    sessions.abort();
    await setTimeout(20);
  }
  expect(uncaught).toEqual([]);
});
