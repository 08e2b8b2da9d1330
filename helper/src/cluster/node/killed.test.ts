/** A real agent, ended by SIGKILL in the middle of becoming a cluster, and of writing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { freePort } from "@wardline/domain/testing/machine";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type AgentClient, connectAgent, outcomeOf } from "../../testing/agentClient.ts";
import { AGENT_FROM_SOURCE, AgentProcess } from "../../testing/agentProcess.ts";

let directory: string;
let agent: AgentProcess | null;
let client: AgentClient | null;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-killed-"));
  agent = null;
  client = null;
});
afterEach(async () => {
  client?.close();
  await agent?.end("SIGTERM");
  rmSync(directory, { recursive: true });
});

async function start(): Promise<AgentClient["cluster"]> {
  const socket = join(directory, "agent.sock");
  const options = ["--socket", socket, "--state-dir", join(directory, "state"), "--host-name", "a"];
  agent = await AgentProcess.start(AGENT_FROM_SOURCE, [...options, "--backend", "observe", "--log-level", "fatal"]);
  client = connectAgent(socket);
  return client.cluster;
}

async function kill(): Promise<void> {
  client?.close();
  await agent?.end("SIGKILL");
}

const text = (name: string) =>
  `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${name}}\nspec: {addresses: [10.0.0.1]}\n`;

it("an agent that is killed while it makes a cluster makes it when asked again; after a write nothing is lost", async () => {
  const peerAddress = `127.0.0.1:${await freePort()}`;
  let cluster = await start();
  const call = outcomeOf(cluster.initCluster({ clusterName: "prod", peerAddress }));
  await setTimeout(60);
  await kill();
  await call;
  cluster = await start();
  const { status } = await cluster.getCluster({});
  if (status?.clusterName === "") await cluster.initCluster({ clusterName: "prod", peerAddress });
  // The lease of the agent that was killed runs on in its store for as long as it was granted.
  const isLed = async () => (await cluster.getCluster({})).status?.members.some(({ isLeader }) => isLeader);
  await expect.poll(isLed, { timeout: 60_000, interval: 200 }).toBe(true);
  const { status: made } = await cluster.getCluster({});
  expect(made).toMatchObject({ clusterName: "prod", trustDomain: "prod.wardline", problems: [] });
  expect(made?.members).toHaveLength(1);
  await cluster.writeDocuments({ mode: 1, writes: [{ text: text("a") }] });
  await kill();
  cluster = await start();
  const { documents, head } = await cluster.listDocuments({ withTexts: true });
  expect([documents[0]?.text, head?.setNumber]).toEqual([text("a"), 1n]);
});
