import type { Http2Server } from "node:http2";
import { create } from "@bufbuild/protobuf";
import {
  HealingAction,
  HealingKnowledgeSchema,
  HealingMode,
  HealingState,
  MeshFault,
  MeshProvider,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { timestampOf } from "@wardline/domain/wire";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeAgent } from "../../backend/testing/fake-agent.ts";
import { FakeMesh, meshKey, observationOf, peerOf, runOf } from "../../backend/testing/fake-mesh.ts";
import { InProcessCli } from "../testing/run-in-process.ts";

const WAIT = { timeout: 40_000 };
const cli = new InProcessCli();
const mesh = new FakeMesh(
  observationOf("alpha", 1, [
    peerOf(2),
    peerOf(3, { up: false, key: "", lastError: "refused \u001b[31m", uri: "tcp://192.0.2.3:1?password=secret" }),
  ]),
);
let server: Http2Server;
beforeAll(async () => {
  const agent = new FakeAgent();
  agent.mesh = mesh.routes;
  const [report] = mesh.observation.providers;
  report?.routes.push({
    $typeName: "wardline.v1.MeshRoute",
    ...{ destinationKey: meshKey(3), nextHopKey: meshKey(2), best: true, ports: [1n, 4n] },
  });
  server = await agent.serve(cli.socketPath);
});
afterAll(() => {
  server.close();
  cli.dispose();
});

it("tells how the meshes are, for people and for programs", async () => {
  const status = await cli.run("mesh", "status");
  expect(status).toMatchObject({ exitCode: 0, stderr: "" });
  expect(status.stdout).toMatch(/^1 of 2 nodes online, 1 links, 1 of 2 configured peers up\n/);
  expect(status.stdout).toMatch(/alpha +online +1\/1 +yggdrasil 0\.5/);
  // Figures that nobody measured are none.
  expect(status.stdout).toMatch(/yggdrasil +up +\S+ +4\.0 ms +– +– +– +–/);
  const { value } = await cli.json("mesh", "status");
  expect(value).toMatchObject({ topology: { links: [{ up: true }], summary: { nodes: 2 } } });
  expect((await cli.run("mesh", "status", "--host", "elsewhere")).exitCode).toBe(2);
});

it("lists peers and routes without secrets and without signs that act", async () => {
  const peers = await cli.run("mesh", "peers", "--host", "local");
  expect(peers.exitCode).toBe(0);
  expect(peers.stdout).toMatch(/alpha +yggdrasil +tls:\/\/192\.0\.2\.2:4443 +up +out configured +4\.0 ms +– +–/);
  expect(peers.stdout).toMatch(/tcp:\/\/192\.0\.2\.3:1 +down .*refused \\u\{1b\}\[31m/);
  expect(peers.stdout).not.toContain("secret");
  const routes = await cli.run("mesh", "routes");
  expect(routes.stdout).toMatch(/alpha +yggdrasil +0303[0-9a-f]+ +0202[0-9a-f]+ +best +– +1 4/);
});

it("finds ways, and says why there are no more", async () => {
  const found = await cli.run("mesh", "path", "alpha", meshKey(2));
  expect(found.exitCode).toBe(0);
  expect(found.stdout).toMatch(/^1\. alpha → yggdrasil\/0202/);
  expect(found.stderr).toContain("Every other way");
  expect((await cli.run("mesh", "path", "alpha", "nobody")).exitCode).toBe(2);
  expect((await cli.run("mesh", "path", "alpha", "alpha")).exitCode).toBe(2);
  expect((await cli.run("mesh", "path", "alpha", meshKey(2), "--mesh", "batman")).exitCode).toBe(1);
  const past = await cli.run("mesh", "path", "alpha", meshKey(2), "--at", "10m");
  expect(past).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("Nothing of the meshes is recorded yet") });
  const history = await cli.run("mesh", "history");
  expect(history).toMatchObject({ exitCode: 0, stdout: "No changes.\n" });
  expect((await cli.run("mesh", "history", "--at", "10m")).exitCode).toBe(2);
});

it("changes peers through the agent, and nothing with a dry run", async () => {
  const added = await cli.run("mesh", "peer", "add", "local", "tls://192.0.2.9:4443", "--dry-run", "--reason", "why");
  expect(added).toMatchObject({ exitCode: 0, stdout: "The daemon dials tls://192.0.2.9:4443.\n" });
  expect(added.stderr).toContain("Nothing was changed.");
  const request = { provider: MeshProvider.YGGDRASIL, uri: "tls://192.0.2.9:4443", dryRun: true, reason: "why" };
  expect(mesh.calls.at(-1)).toMatchObject({ name: "addPeer", request });
  expect((await cli.run("mesh", "peer", "add", "local", "http://192.0.2.9")).exitCode).toBe(2);
  const refusal = {
    code: ErrorCode.WOULD_LOCK_OUT,
    message: "It is the last peer.",
    hint: "Use --allow-cut-off.",
  };
  mesh.refusal = new Failure(refusal);
  const refused = await cli.run("mesh", "peer", "remove", "local", "tls://192.0.2.2:4443");
  expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("It is the last peer.") });
  expect(mesh.calls.at(-1)).toMatchObject({ request: { allowCutOff: false } });
  mesh.refusal = null;
  expect((await cli.run("mesh", "peer", "remove", "local", "tls://192.0.2.2:4443", "--allow-cut-off")).exitCode).toBe(
    0,
  );
  expect(mesh.calls.at(-1)).toMatchObject({ name: "removePeer", request: { allowCutOff: true } });
  process.env.WARDLINE_READ_ONLY = "1";
  const count = mesh.calls.length;
  try {
    const readOnly = await cli.run("mesh", "peer", "add", "local", "tls://192.0.2.9:4443");
    expect(readOnly).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("read-only") });
    expect(mesh.calls).toHaveLength(count);
  } finally {
    delete process.env.WARDLINE_READ_ONLY;
  }
});

it("shows runs of healing step by step, and takes what a person decides", async () => {
  const steps = [{ at: timestampOf(0), phase: 2, sentence: "The daemon ended.", evidence: ["socket: ECONNREFUSED"] }];
  const candidates = [{ action: HealingAction.RESTART_DAEMON, host: "alpha", blastRadius: "All peers of alpha." }];
  mesh.put(runOf("run-0001", { steps, candidates, hosts: ["alpha"], coordinator: "alpha" }));
  const list = await cli.run("mesh", "heal", "list", "--open");
  expect(list.exitCode).toBe(1);
  expect(list.stdout).toMatch(/run-0001 +daemon-down +waiting for approval +– +alpha +The daemon on web-1 ended\./);
  const shown = await cli.run("mesh", "heal", "show", "run-0");
  expect(shown.stdout).toContain("analyse: The daemon ended.\n    socket: ECONNREFUSED");
  expect(shown.stdout).toMatch(/1 +restart-daemon +alpha +never tried +All peers of alpha\./);
  const approved = await cli.run("mesh", "heal", "approve", "run-0001", "--candidate", "1", "--reason", "go");
  expect(approved).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("is now: executing") });
  expect(mesh.calls.at(-1)).toMatchObject({ request: { runId: "run-0001", candidate: 0, reason: "go" } });
  mesh.put(runOf("run-0001", { state: HealingState.HEALED, timeToRepair: { seconds: 7n }, endedAt: timestampOf(1) }));
  expect((await cli.run("mesh", "heal", "show", "run-0001")).stdout).toContain("healed and verified in 7.0 s");
  expect((await cli.run("mesh", "heal", "list", "--open")).stdout).toBe("No runs.\n");
  expect((await cli.run("mesh", "heal", "stop", "none")).exitCode).toBe(2);
});

it("shows and changes the settings of healing, and what worked", async () => {
  expect((await cli.run("mesh", "heal", "settings")).stdout).toMatch(/alpha +1 +suggest +5\.0 s +60 s +12 +none/);
  expect((await cli.run("mesh", "heal", "settings", "--mode", "act")).exitCode).toBe(2);
  const more = ["--hold", "10s", "--ask-before", "restart-daemon", "--actions-per-hour", "3"];
  const changed = await cli.run("mesh", "heal", "settings", "--host", "local", "--mode", "act", ...more);
  expect(changed.stdout).toMatch(/alpha +1 +act +10 s +60 s +3 +restart-daemon/);
  expect(mesh.settings.mode).toBe(HealingMode.ACT);
  mesh.knowledge = [
    create(HealingKnowledgeSchema, {
      ...{ fault: MeshFault.DAEMON_DOWN, action: HealingAction.RESTART_DAEMON, tried: 4, healed: 3 },
      medianTimeToRepair: { seconds: 8n },
    }),
  ];
  const knowledge = await cli.run("mesh", "heal", "knowledge");
  expect(knowledge.stdout).toMatch(/alpha +daemon-down +restart-daemon +4 +3 +75 % +8\.0 s/);
  expect((await cli.run("mesh", "heal", "reset-knowledge", "--host", "local")).exitCode).toBe(0);
  expect((await cli.run("mesh", "heal", "knowledge")).stdout).toBe("Nothing was tried yet.\n");
});

it("watches what changes", async () => {
  const watching = cli.start("mesh", "watch", "--json");
  await expect.poll(() => mesh.streams, WAIT).toBeGreaterThan(0);
  mesh.see(observationOf("alpha", 1, [peerOf(2, { up: false })]));
  mesh.put(runOf("run-0002", { state: HealingState.ESCALATED }));
  await expect.poll(() => watching.stdout(), WAIT).toContain("MESH_CHANGE_KIND_LINK_DOWN");
  await expect.poll(() => watching.stdout(), WAIT).toContain("run-0002");
  watching.interrupt();
  expect((await watching.ended).exitCode).toBe(0);
});
