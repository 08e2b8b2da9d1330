import { MessageChannel } from "node:worker_threads";
import { Code, ConnectError, type ConnectRouter, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { afterEach, describe, expect, it } from "vitest";
import { BridgeClient } from "./bridge-client.ts";
import { serveBridge } from "./bridge-server.ts";
import { type BridgePort, readRequestFrame, readResponseFrame } from "./frames.ts";

let end: () => void = () => {};
afterEach(() => end());

function join(routes: (router: ConnectRouter) => void) {
  const { port1, port2 } = new MessageChannel();
  const wrap = <Frame>(port: typeof port1): BridgePort<Frame> => ({
    post: (frame) => port.postMessage(frame),
    onFrame: (listener) => void port.on("message", listener),
  });
  serveBridge(wrap(port2), routes, () => {});
  const bridge = new BridgeClient(wrap(port1));
  end = () => {
    port1.close();
    port2.close();
  };
  // Node's Request does not know the scheme `app`.
  const baseUrl = "http://wardline";
  const transport = createConnectTransport({
    baseUrl,
    fetch: (input, init) => {
      const request = new Request(input, init);
      return bridge.fetch(request.url.slice(baseUrl.length), request);
    },
  });
  return { transport, bridge };
}

describe("the bridge", () => {
  it("carries a call and its answer", async () => {
    const { transport } = join((router) =>
      router.service(HostService, { getSession: () => ({ version: "7", shell: "electron" }) }),
    );
    const answer = await createClient(HostService, transport).getSession({});
    expect(answer).toMatchObject({ version: "7", shell: "electron" });
  });

  it("carries errors with their code", async () => {
    const { transport } = join((router) =>
      router.service(HostService, {
        getSession: () => {
          throw new ConnectError("no", Code.FailedPrecondition);
        },
      }),
    );
    const call = createClient(HostService, transport).getSession({});
    await expect(call).rejects.toMatchObject({ code: Code.FailedPrecondition, rawMessage: "no" });
  });

  it("streams, and ends the stream on the other side when the page leaves", async () => {
    let ended = false;
    const { transport } = join((router) =>
      router.service(HostService, {
        async *watchHosts(_request, context) {
          try {
            for (let sequence = 1n; !context.signal.aborted; sequence++) {
              yield { sequence };
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
          } finally {
            ended = true;
          }
        },
      }),
    );
    const seen: bigint[] = [];
    const page = new AbortController();
    const watch = async () => {
      const client = createClient(HostService, transport);
      for await (const message of client.watchHosts({}, { signal: page.signal })) {
        seen.push(message.sequence);
        if (seen.length === 3) page.abort();
      }
    };
    await expect(watch()).rejects.toMatchObject({ code: Code.Canceled });
    expect(seen).toEqual([1n, 2n, 3n]);
    await expect.poll(() => ended).toBe(true);
  });

  it("holds a fast stream back while the page does not read", async () => {
    let made = 0;
    const { transport } = join((router) =>
      router.service(FlowService, {
        async *watchFlows() {
          for (; made < 1000; made++) yield { sequence: BigInt(made) };
        },
      }),
    );
    const messages = createClient(FlowService, transport).watchFlows({})[Symbol.asyncIterator]();
    await messages.next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(made).toBeLessThan(100);
    let count = 1;
    while (!(await messages.next()).done) count++;
    expect(count).toBe(1000);
  });

  it("fails open calls when the backend has gone, and later ones at once", async () => {
    const { transport, bridge } = join((router) =>
      router.service(HostService, { getSession: () => new Promise(() => {}) }),
    );
    const client = createClient(HostService, transport);
    const open = client.getSession({});
    const failed = expect(open).rejects.toThrow("the backend has ended");
    await new Promise((resolve) => setTimeout(resolve, 10));
    bridge.fail(new Error("the backend has ended"));
    await failed;
    await expect(client.getSession({})).rejects.toThrow("the backend has ended");
  });

  it("answers an unknown method and drops what is no frame", async () => {
    const { bridge } = join(() => {});
    const answer = await bridge.fetch("/nothing", new Request("http://x/nothing", { method: "POST", body: "{}" }));
    expect(answer.status).toBe(404);
    for (const value of [
      null,
      1,
      "request",
      {},
      { type: "request", id: "1" },
      { type: "request", id: 1, method: "POST" },
    ]) {
      expect(readRequestFrame(value)).toBeNull();
      expect(readResponseFrame(value)).toBeNull();
    }
    expect(readResponseFrame({ type: "chunk", id: 1, data: "text" })).toBeNull();
  });
});
