/** Ways into a cluster that are none, and two hosts that want one name. */
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { inOrder } from "@wardline/domain/testing";
import { failureFromConnectError } from "@wardline/domain/wire";
import { describe, expect } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import { outcomeOf } from "../../testing/agentClient.ts";
import { type ClusterAgent, ClusterAgents, etcdStoreAt } from "../../testing/clusterAgents.ts";
import { etcdProblem } from "../../testing/etcdLab.ts";

const problem = etcdProblem();

describe.skipIf(problem)(`joining${problem ? ` (${problem})` : ""}`, () => {
  let lab: ClusterAgents;
  let a: ClusterAgent;
  let b: ClusterAgent;
  const step = inOrder({
    begin: async () => {
      lab = new ClusterAgents();
      const store = etcdStoreAt((await lab.plainEtcd()).endpoints);
      a = await lab.add("a");
      const lease = durationFromMs(6_000);
      await a.cluster.initCluster({ clusterName: "prod", peerAddress: a.peerAddress, store, lease });
      b = await lab.add("b");
    },
    end: () => lab.close(),
  });

  const tryJoin = (agent: ClusterAgent, token: string) =>
    outcomeOf(agent.cluster.joinCluster({ token, peerAddress: agent.peerAddress }));
  const newToken = async (request = {}) => (await a.cluster.createJoinToken(request)).token;

  step("takes nothing that is no token, and leaves the host alone", async () => {
    const token = await newToken();
    expect(await tryJoin(b, "hello")).toBe("TOKEN_INVALID");
    expect(await tryJoin(b, token.slice(0, -10))).toBe("TOKEN_INVALID");
    expect(await tryJoin(b, await newToken({ memberName: "c" }))).toBe("TOKEN_INVALID");
    const content = JSON.parse(Buffer.from(token.slice(4), "base64url").toString());
    const forged = (change: object) =>
      `wl1.${Buffer.from(JSON.stringify({ ...content, ...change })).toString("base64url")}`;
    expect(await tryJoin(b, forged({ s: Buffer.alloc(32).toString("base64url") }))).toBe("TOKEN_INVALID");
    // Somebody else's authority: nothing is sent to who answers there.
    const wrongRoot = await b.cluster
      .joinCluster({ token: forged({ r: Buffer.alloc(32).toString("base64url") }), peerAddress: b.peerAddress })
      .catch(failureFromConnectError);
    expect(wrongRoot).toMatchObject({ message: expect.stringContaining("Nothing was sent to it") });
    expect(await b.status()).toMatchObject({ clusterName: "", problems: [] });
    expect(existsSync(join(b.stateDir, "cluster", "config.json"))).toBe(false);
    const audited = await b.audited();
    expect(audited).toContainEqual(expect.stringMatching(/^root \(0\) cluster.join refused: TOKEN_INVALID/));
    expect(audited).toContainEqual(expect.stringMatching(/^root \(0\) cluster.join failed: IDENTITY_REFUSED/));
    expect(await a.audited()).toContainEqual(
      expect.stringMatching(/cluster.join-refused automatic: b: from 127.0.0.1/),
    );
    expect(audited.join()).not.toContain(content.s);
  });

  step("takes a token whose time is over no more", async () => {
    const late = { ...systemClock, wallMs: () => systemClock.wallMs() + 3_600_000 };
    const token = await newToken({ expiresIn: durationFromMs(60_000) });
    await a.stop();
    await a.start({ clock: late });
    await a.until(({ currentTerm }) => currentTerm?.leader === "a" && currentTerm.endedAt === undefined);
    expect(await tryJoin(b, token)).toBe("TOKEN_INVALID");
    await a.restart();
    await a.until(({ currentTerm }) => currentTerm?.leader === "a" && currentTerm.endedAt === undefined);
  });

  step("lets a host in once a token, and keeps its key on disk until it is in", async () => {
    const token = await newToken();
    expect(await tryJoin(b, token)).toBe("ok");
    const c = await lab.add("c");
    expect(await tryJoin(c, token)).toBe("TOKEN_INVALID");
    expect(await tryJoin(b, await newToken())).toBe("ALREADY_EXISTS");
    const cluster = join(c.stateDir, "cluster");
    const again = await newToken();
    const kept = join(cluster, "joining.json");
    const { tokenDigest } = JSON.parse(readFileSync(kept, "utf8"));
    expect(tokenDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(await tryJoin(c, again)).toBe("ok");
    expect(existsSync(kept)).toBe(false);
  });

  step("repeats a join whose answer was lost, with the key that is on disk", async () => {
    const d = await lab.add("d");
    const token = await newToken();
    // Nothing listens where the answer goes to: the agent dies after the cluster has let it in.
    const { keyOfAttempt, joinAs } = await attempt(d, token);
    await joinAs();
    expect((await a.status()).members.map(({ record }) => record?.name)).toContain("d");
    expect(await d.status()).toMatchObject({ clusterName: "" });
    expect(JSON.parse(readFileSync(keyOfAttempt, "utf8")).keyPem).toContain("PRIVATE KEY");
    expect(await tryJoin(d, token)).toBe("ok");
    expect(await d.status()).toMatchObject({ clusterName: "prod" });
  });

  step("refuses a second host of a name, and one that took its disk says whose name it is", async () => {
    const twin = await lab.add("b");
    const refused = twin.cluster.joinCluster({ token: await newToken(), peerAddress: twin.peerAddress });
    expect(failureFromConnectError(await refused.catch((error: unknown) => error))).toMatchObject({
      message: expect.stringContaining("has a member called b already"),
    });
    expect(await twin.status()).toMatchObject({ clusterName: "" });
    await twin.stop();
    // The whole identity, copied: the machine was cloned.
    for (const name of ["config.json", "identity.json"]) {
      const text = readFileSync(join(b.stateDir, "cluster", name), "utf8");
      writeFileSync(join(twin.stateDir, "cluster", name), text.replace(b.peerAddress, twin.peerAddress), {
        mode: 0o600,
      });
    }
    await twin.start();
    const { problems } = await twin.until((status) =>
      status.problems.some((each) => /another process|holds/.test(each)),
    );
    expect(problems.join("\n")).toMatch(/\bb\b/);
    await a.until((status) => status.problems.some((each) => /\bb\b/.test(each)));
    await twin.stop();
    rmSync(twin.stateDir, { recursive: true });
  });

  step("makes no token while the cluster is in the embedded store of one host", async () => {
    const solo = await lab.add("solo");
    await solo.cluster.initCluster({ clusterName: "solo", peerAddress: solo.peerAddress });
    const failure = failureFromConnectError(await solo.cluster.createJoinToken({}).catch((error: unknown) => error));
    expect(failure).toMatchObject({ message: expect.stringContaining("embedded store of one host") });
  });
});

/** A join that ends as one does whose agent is killed right after the cluster has answered. */
async function attempt(agent: ClusterAgent, token: string) {
  const { createHash } = await import("node:crypto");
  const { mkdirSync } = await import("node:fs");
  const { joinCluster } = await import("../peers/joinClient.ts");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const directory = join(agent.stateDir, "cluster");
  mkdirSync(directory, { recursive: true });
  const keyOfAttempt = join(directory, "joining.json");
  const keyPem = privateKey.export({ type: "pkcs8", format: "pem" });
  const tokenDigest = createHash("sha256").update(token).digest("hex");
  writeFileSync(keyOfAttempt, JSON.stringify({ tokenDigest, keyPem }));
  const { name: memberName, peerAddress } = agent;
  const joinAs = () => joinCluster({ token, memberName, peerAddress, wallMs: Date.now, privateKey });
  return { keyOfAttempt, joinAs };
}
