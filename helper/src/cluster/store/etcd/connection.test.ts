import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Maintenance } from "@wardline/api/etcdserverpb/rpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CuttableLink } from "../../../testing/cuttableLink.ts";
import { EtcdLab, etcdProblem } from "../../../testing/etcdLab.ts";
import { Connection, NotConnectedError } from "./connection.ts";

const problem = etcdProblem();

describe.skipIf(problem !== null)(`a connection to etcd${problem ? ` (${problem})` : ""}`, () => {
  let lab: EtcdLab;
  const opened: Connection[] = [];
  const open = (url: string) => {
    const connection = new Connection(url, {});
    opened.push(connection);
    const transport = createGrpcTransport({ baseUrl: connection.authority, sessionManager: connection });
    return { connection, client: createClient(Maintenance, transport) };
  };

  beforeAll(async () => {
    lab = await EtcdLab.start();
  });
  afterAll(async () => {
    for (const connection of opened) connection.close();
    await lab?.close();
  });

  it("outlives a pause of this process that is longer than the answer to a ping may take", async () => {
    const { connection, client } = open(lab.endpoints[0]!);
    await client.status({});
    connection.check();
    // Holds everything up for longer than the answer may take. After an immediate come timers, and only then what arrived.
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
        resolve();
      });
    });
    await sleep(600);
    expect(connection.isOpen).toBe(true);
    await client.status({});
  });

  it("is given up when a ping is not answered, and made anew for the next call", async () => {
    const link = await CuttableLink.open(lab.endpoints[0]!);
    try {
      const { connection, client } = open(link.url);
      await client.status({});
      link.cut();
      const call = client.status({}).catch((error: unknown) => error);
      connection.check();
      expect(await call).toMatchObject({ rawMessage: "no answer to a ping for 1500 ms" });
      expect(connection.isOpen).toBe(false);
      link.mend();
      expect((await client.status({})).version).not.toBe("");
    } finally {
      await link.close();
    }
  });

  it("says that nothing was sent where nobody listens, and once it is closed", async () => {
    const { client } = open("http://127.0.0.1:1");
    const refused = await client.status({}).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(NotConnectedError);
    expect(await client.status({}).catch((error: Error) => error.message)).toContain("ECONNREFUSED");
    const { connection, client: late } = open(lab.endpoints[0]!);
    connection.close();
    expect(await late.status({}).catch((error: unknown) => error)).toBeInstanceOf(NotConnectedError);
  });
});
