/** Requests that are large, many, and never whole. */
import { type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, it } from "vitest";
import { outcomeOf } from "../testing/agentClient.ts";
import { TestAgent } from "../testing/testAgent.ts";

let tester: TestAgent;
beforeEach(async () => {
  tester = new TestAgent();
  await tester.start();
});
afterEach(() => tester.close());

it.each(["/wardline.agent.v1.AgentService/Check", "/wardline.agent.v1.AgentService/Check?and=more"])(
  "keeps a bounded share of memory for requests that arrive, and has it again when they are over: %s",
  async (path) => {
    const session = connect("http://agent", { createConnection: () => connectSocket(tester.options.socketPath) });
    let refused = 0;
    const begin = (): ClientHttp2Stream => {
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.on("error", () => {});
      stream.on("response", (headers) => {
        if (headers["grpc-status"] === String(Code.ResourceExhausted)) refused += 1;
      });
      // Twenty MiB are announced, and a little comes.
      stream.write(Buffer.from([0, 1, 0x40, 0, 0, 0x0a, 0x01]));
      return stream;
    };
    try {
      const streams = Array.from({ length: 40 }, begin);
      await expect.poll(() => refused).toBe(35);
      const { agent } = tester.connect();
      expect(await outcomeOf(agent.getStatus({}))).toBe("ok");
      await expect(agent.check({ state: { files: [] } })).rejects.toMatchObject({ code: Code.ResourceExhausted });
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
      await expect
        .poll(() => outcomeOf(agent.check({ state: { files: [{ path: "a.yaml", text: "one" }] } })))
        .toBe("ok");
      // Those that came whole took nothing away.
      for (let each = 0; each < 20; each++) await agent.check({ state: { files: [{ path: "a.yaml", text: "one" }] } });
    } finally {
      session.destroy();
    }
  },
);

it("reads a large request only where one is needed", async () => {
  const { agent } = tester.connect();
  const megabytes = "x".repeat(2 * 1024 * 1024);
  expect(await outcomeOf(agent.check({ state: { files: [{ path: "a.yaml", text: megabytes }] } }))).toBe("ok");
  await expect(agent.rollback({ generation: 1n, reason: megabytes })).rejects.toMatchObject({
    code: Code.ResourceExhausted,
  });
});
