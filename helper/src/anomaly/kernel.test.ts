/** A real agent on the real kernel: what a process of the lab does shows up as findings on the agent's socket. */
import { fileURLToPath } from "node:url";
import { DetectorKind, FeedbackKind, type Finding } from "@wardline/api/wardline/v1/anomaly";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AgentClient, connectAgent } from "../testing/agentClient.ts";
import { AgentLab } from "../testing/agentLab.ts";
import { AgentProcess } from "../testing/agentProcess.ts";
import { kernelLabProblem, PEER_ADDRESS } from "../testing/kernelLab.ts";
import type { SocketPeer } from "../testing/socketPeer.ts";

const problem = kernelLabProblem();
const MAIN = fileURLToPath(new URL("../testing/quickAnomalyAgentMain.ts", import.meta.url));
const WITHIN_A_MINUTE = { timeout: 60_000, interval: 250 };
const BEAT_MS = 1_700;
/** The detector takes what was there when it began to watch for a habit. */
const WATCHED_MS = 14_000;

describe.skipIf(problem)(`detection with real packets${problem ? ` (${problem})` : ""}`, { timeout: 240_000 }, () => {
  let lab: AgentLab;
  let host: SocketPeer;
  let client: AgentClient;
  const clients: AgentClient[] = [];

  beforeAll(async () => {
    lab = new AgentLab();
    await start();
    host = await lab.kernel.startSocketPeer("host");
    const peer = await lab.kernel.startSocketPeer("peer");
    await peer.listenTcp(8080);
    await peer.listenTcp(8443);
  }, 60_000);

  afterAll(async () => {
    await lab.agent?.end("SIGKILL");
    for (const each of clients) each.close();
    await lab.run("uninstall");
    await lab.close();
  }, 60_000);

  async function start(): Promise<void> {
    const options = [...lab.options, "--anomaly-learning-hours", "1"];
    lab.agent = await AgentProcess.start([process.execPath, "--no-warnings", MAIN], options);
    client = connectAgent(lab.socketPath);
    clients.push(client);
  }

  const findings = async (detector: DetectorKind): Promise<Finding[]> =>
    (await client.anomalies.listFindings({})).findings.filter((finding) => finding.detector === detector);

  it("finds a scan and a beacon within a minute, keeps them over kill -9, and hears what a person says", async () => {
    await host.connectTcp("first", PEER_ADDRESS[4], 8080);
    const watchedUntil = performance.now() + WATCHED_MS;
    const ports = Array.from({ length: 120 }, (_, index) => 2_000 + index);
    await Promise.all(ports.map((port) => host.connectTcp(`scan-${port}`, PEER_ADDRESS[4], port, 200)));
    await expect.poll(() => findings(DetectorKind.PORT_SCAN), WITHIN_A_MINUTE).toHaveLength(1);

    await new Promise((resolve) => setTimeout(resolve, Math.max(0, watchedUntil - performance.now())));
    let beats = 0;
    const beating = setInterval(() => {
      const name = `beat-${beats++}`;
      void host.connectTcp(name, PEER_ADDRESS[4], 8443).then(() => host.disconnect(name));
    }, BEAT_MS);
    try {
      await expect.poll(() => findings(DetectorKind.BEACON), WITHIN_A_MINUTE).toHaveLength(1);
    } finally {
      clearInterval(beating);
    }

    const [scan] = await findings(DetectorKind.PORT_SCAN);
    const [beacon] = await findings(DetectorKind.BEACON);
    expect(scan).toMatchObject({ host: "alpha", remote: PEER_ADDRESS[4] });
    expect(beacon).toMatchObject({ host: "alpha", remote: PEER_ADDRESS[4], port: 8443 });
    const { finding: whole } = await client.anomalies.getFinding({ id: scan?.id ?? "" });
    expect(whole?.evidence.length).toBeGreaterThan(10);
    expect(whole?.evidence.every(({ destinationAddress }) => destinationAddress === PEER_ADDRESS[4])).toBe(true);

    await lab.agent?.end("SIGKILL");
    await start();
    const before = [scan?.id, beacon?.id].sort();
    const kept = async () => [...(await findings(DetectorKind.PORT_SCAN)), ...(await findings(DetectorKind.BEACON))];
    await expect.poll(async () => (await kept()).map(({ id }) => id).sort(), WITHIN_A_MINUTE).toEqual(before);
    const { journal } = await client.records.getJournal({});
    await expect.poll(async () => (await client.anomalies.getModel({})).model?.problem, WITHIN_A_MINUTE).toBe("");
    expect(journal?.lastSequence).toBeGreaterThan(0n);
    await host.connectTcp("later", PEER_ADDRESS[4], 8080);
    const { journal: then } = await client.records.getJournal({});
    await expect
      .poll(async () => (await client.records.getJournal({})).journal?.lastSequence, WITHIN_A_MINUTE)
      .toBeGreaterThan(then?.lastSequence ?? 0n);
    expect((await kept()).map(({ id }) => id).sort()).toEqual(before);

    const said = { findingId: scan?.id ?? "", kind: FeedbackKind.NORMAL, reason: "our scanner" };
    expect((await client.anomalies.giveFeedback(said)).finding?.feedback[0]).toMatchObject({ reason: "our scanner" });
    const { entries } = await client.agent.listAudit({ limit: 2 });
    expect(entries.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
      "anomaly.feedback done",
      "anomaly.feedback started",
    ]);
  });
});
