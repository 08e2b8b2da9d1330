/** The way to an agent through a real sshd: HTTP/2 on a Unix socket behind it. */

import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync } from "node:fs";
import { createServer, type Http2Server } from "node:http2";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AgentService } from "@wardline/api/wardline/agent/v1/agent";
import { ErrorCode } from "@wardline/domain/errors";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessTo, failureOf, newPerson, type Person } from "../ssh/testing/person.ts";
import { type RealSshd, sshdProblem, startSshd, TEST_USER_ID } from "../ssh/testing/real-sshd.ts";
import type { AgentLink } from "./dialer.ts";
import { SshDialer } from "./ssh-dialer.ts";

const problem = sshdProblem();

describe.skipIf(problem !== null)(`the agent behind SSH${problem ? ` (${problem})` : ""}`, () => {
  let person: Person;
  let sshd: RealSshd;
  let server: Http2Server;
  let directory: string;
  const links: AgentLink[] = [];

  beforeAll(async () => {
    person = newPerson();
    sshd = await startSshd({ authorizedKeys: [person.publicKey] });
    person.knows(sshd);
    directory = join(sshd.dir, "agent");
    mkdirSync(directory, { mode: 0o755 });
    server = await fakeAgent(join(directory, "agent.sock"));
  });
  afterEach(() => {
    for (const link of links.splice(0)) link.close();
  });
  afterAll(async () => {
    server?.close();
    await sshd?.stop();
    person?.remove();
  });

  async function dial(path = join(directory, "agent.sock")): Promise<AgentLink> {
    const access = accessTo(sshd, { agentSocket: path });
    const link = await new SshDialer({ connector: person.connector(), hostId: "host-1", access: () => access }).dial();
    links.push(link);
    return link;
  }

  it("answers, and each dial is a login of its own", async () => {
    const before = logins(sshd);
    const [first, second] = [await dial(), await dial()];
    expect((await first.client.handshake({ apiMin: 1, apiMax: 1 })).agentVersion).toBe("9.9.9");
    expect((await second.client.handshake({ apiMin: 1, apiMax: 1 })).agentVersion).toBe("9.9.9");
    expect(logins(sshd) - before).toBe(2);
    expect(first.session?.summary.port).toBe(sshd.port);
  });

  it("ends with its SSH connection, and the connection with it", async () => {
    const [lost, closed] = [await dial(), await dial()];
    lost.session!.close();
    await expect(lost.client.handshake({})).rejects.toThrow();
    closed.close();
    expect(closed.session!.ended.aborted).toBe(true);
    await expect(closed.client.handshake({})).rejects.toThrow();
  });

  it("does not contact a socket that is not root's, or lies where others may write", async () => {
    const others = join(sshd.dir, "others");
    mkdirSync(others, { mode: 0o755 });
    const path = join(others, "agent.sock");
    const impostor = await fakeAgent(path);
    await dial(path);
    chmodSync(others, 0o777);
    expect((await failureOf(dial(path))).message).toMatch(/may be written by others.*impostor/);
    chmodSync(others, 0o1777);
    await dial(path);
    chmodSync(others, 0o755);
    chownSync(path, TEST_USER_ID, TEST_USER_ID);
    const failure = await failureOf(dial(path));
    expect(failure.code).toBe(ErrorCode.PERMISSION_DENIED);
    expect(failure.message).toMatch(/belongs to user 61234.*impostor/);
    for (const link of links.splice(0)) link.close();
    impostor.close();
  });

  it("names what is missing, and leaves no login behind", async () => {
    const failure = await failureOf(dial(join(directory, "missing.sock")));
    expect(failure.code).toBe(ErrorCode.AGENT_MISSING);
    const gone = new AbortController();
    gone.abort();
    const access = accessTo(sshd);
    const dialer = new SshDialer({ connector: person.connector(), hostId: "host-1", access: () => access });
    expect((await failureOf(dialer.dial({ signal: gone.signal }))).code).toBe(ErrorCode.CANCELED);
  });
});

function logins(sshd: RealSshd): number {
  return sshd.log().split("Accepted publickey").length;
}

async function fakeAgent(path: string): Promise<Http2Server> {
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(AgentService, { handshake: () => ({ agentVersion: "9.9.9", apiMin: 1, apiMax: 1 }) }),
  });
  const server = createServer(handler);
  server.listen(path);
  await once(server, "listening");
  chmodSync(path, 0o777);
  return server;
}
