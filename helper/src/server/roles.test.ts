import { execFile, spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { AnomalyService } from "@wardline/api/wardline/agent/v1/anomaly";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import { Role } from "@wardline/api/wardline/v1/host";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../agent/clock.ts";
import { otherUserProblem } from "../testing/otherUser.ts";
import { TestAgent } from "../testing/testAgent.ts";
import { RoleResolver } from "./roles.ts";

const GROUP = `root:x:0:
wardline:x:61001:vera,opal
wardline-operators:x:61002:opal
wardline-admins:x:61003:
broken
wardline-admins:x:not-a-number:vera
`;
const PASSWD = `root:x:0:0::/root:/bin/sh
vera:x:61011:61011::/:/bin/false
opal:x:61012:61012::/:/bin/false
ada:x:61013:61003::/:/bin/false
mallory:x:61014:61014::/:/bin/false
`;

let test: TestAgent;
let groupPath: string;
let passwdPath: string;

beforeEach(() => {
  test = new TestAgent();
  groupPath = join(test.directory, "group");
  passwdPath = join(test.directory, "passwd");
  writeFileSync(groupPath, GROUP);
  writeFileSync(passwdPath, PASSWD);
});
afterEach(() => test.close());

describe("RoleResolver", () => {
  it("knows members, primary groups, root, and its own user; everybody else has no role", () => {
    const resolver = new RoleResolver({ groupPath, passwdPath, agentUserId: 61_050, nowMs: () => 0 });
    const resolve = (userId: number, groupId = userId) => resolver.resolve({ processId: 1, userId, groupId });
    expect(resolve(0)).toEqual({ actor: "root (0)", role: Role.ADMIN });
    expect(resolve(61_050)).toEqual({ actor: "unknown (61050)", role: Role.ADMIN });
    expect(resolve(61_011)).toEqual({ actor: "vera (61011)", role: Role.VIEWER });
    expect(resolve(61_012)).toEqual({ actor: "opal (61012)", role: Role.OPERATOR });
    expect(resolve(61_013, 61_003)).toEqual({ actor: "ada (61013)", role: Role.ADMIN });
    expect(resolve(61_014)).toEqual({ actor: "mallory (61014)", role: Role.UNSPECIFIED });
    expect(resolver.resolve(null).role).toBe(Role.UNSPECIFIED);
  });

  it("notices within seconds that somebody was removed", () => {
    let nowMs = 0;
    const resolver = new RoleResolver({ groupPath, passwdPath, agentUserId: 0, nowMs: () => nowMs });
    const vera = { processId: 1, userId: 61_011, groupId: 61_011 };
    expect(resolver.resolve(vera).role).toBe(Role.VIEWER);
    writeFileSync(groupPath, GROUP.replace("vera,", ""));
    expect(resolver.resolve(vera).role).toBe(Role.VIEWER);
    nowMs = 5_000;
    expect(resolver.resolve(vera).role).toBe(Role.UNSPECIFIED);
  });
});

const problem = otherUserProblem();
const probe = fileURLToPath(new URL("../testing/roleProbe.ts", import.meta.url));

/** Not synchronous: the agent that answers lives in this process. */
async function callAs(userId: number): Promise<unknown> {
  const identity = [`--reuid=${userId}`, `--regid=${userId}`, "--clear-groups"];
  const command = [...identity, process.execPath, "--no-warnings", probe, test.options.socketPath];
  // The compile cache of root is out of reach for that user.
  const { stdout } = await promisify(execFile)("setpriv", command, { env: { PATH: process.env.PATH ?? "" } });
  return JSON.parse(stdout);
}

describe.skipIf(problem)(`real users over the real socket${problem ? ` (${problem})` : ""}`, () => {
  beforeEach(async () => {
    // The cluster's store waits on real time.
    await test.start({ groupPath, passwdPath, clock: systemClock });
    // The doors of the file system are opened, so that only the agent itself decides.
    chmodSync(test.directory, 0o755);
    chmodSync(test.options.socketPath, 0o666);
  });

  it("leave connections to others, however many one of them opens", async () => {
    const script = `
      const { connect } = require("node:net");
      let open = 0;
      for (let each = 0; each < 300; each++)
        connect(process.argv[1]).on("error", () => {}).on("connect", () => (open += 1)).on("close", () => (open -= 1));
      setInterval(() => console.log(open), 50);`;
    const identity = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    const hoarder = spawn("setpriv", [...identity, process.execPath, "-e", script, test.options.socketPath], {
      env: { PATH: process.env.PATH ?? "" },
    });
    try {
      let open = 0;
      hoarder.stdout.on("data", (text) => (open = Number(String(text).trim().split("\n").at(-1))));
      await expect.poll(() => open, { timeout: 10_000 }).toBe(128);
      expect((await test.connect().agent.getStatus({})).status?.problems).toEqual([]);
    } finally {
      hoarder.kill("SIGKILL");
    }
  });

  const denied = "PERMISSION_DENIED";
  // Past the role check an empty apply and an endless reason are refused for what they are.
  const reached = "INVALID_ARGUMENT";
  // Of the cluster: what only an administrator may do, what an operator may as well, and what anybody with a role may.
  const forAdmins = [
    ...["initCluster", "createJoinToken", "joinCluster", "leaveCluster", "removeMember", "resignLeadership"],
    ...["testStore", "setStore", "issueCertificate"],
  ];
  const forOperators = [
    ...["writeDocuments", "rollbackDocuments", "confirmSet", "registerService", "deregisterService", "pushNotes"],
  ];
  const forAll = [
    ...["getCluster", "watchCluster", "listDocuments", "getDocument", "listDocumentHistory", "watchDocuments"],
    ...["listSets", "listServices", "resolve", "watchEndpoints", "watchNotes"],
  ];
  const all = [...forAdmins, ...forOperators, ...forAll].sort();
  // Of detection: who changes how it works, who judges what it found, and who looks at it.
  const judging = ["giveFeedback", "train"];
  const changing = ["configure", ...judging];
  const allAnomalies = [...changing, "getFinding", "getModel", "listFindings", "watchFindings"].sort();
  // Of the mesh: who decides how faults are dealt with, who changes peers and approves, and who looks.
  const healing = ["configureHealing", "resetHealingKnowledge"];
  const acting = ["addPeer", ...healing, "decideHealing", "removePeer"].sort();
  const allMesh = [...acting, "getMesh", "watchMesh"].sort();
  const none = {
    anomalies: allAnomalies,
    mesh: allMesh,
    ...{ status: denied, apply: denied, release: denied, health: denied, cluster: all },
    records: [denied, denied],
  };
  const records = ["ok", "ok"];

  it("has a place for every method of the cluster, of detection and of the mesh", () => {
    expect(ClusterService.methods.map(({ localName }) => localName).sort()).toEqual(all);
    expect(AnomalyService.methods.map(({ localName }) => localName).sort()).toEqual(allAnomalies);
    expect(MeshService.methods.map(({ localName }) => localName).sort()).toEqual(allMesh);
  });

  it.each([
    ["nobody", 65_534, { actor: null, ...none }],
    ["mallory", 61_014, { actor: null, ...none }],
    [
      "vera",
      61_011,
      {
        ...{ actor: "vera (61011)", status: "ok", apply: denied, release: denied, health: "ok" },
        cluster: [...forAdmins, ...forOperators].sort(),
        anomalies: changing,
        mesh: acting,
        records,
      },
    ],
    [
      "opal",
      61_012,
      {
        actor: "opal (61012)",
        status: "ok",
        apply: reached,
        release: denied,
        health: "ok",
        cluster: forAdmins.toSorted(),
        anomalies: ["configure"],
        mesh: healing,
        records,
      },
    ],
    [
      "root",
      0,
      {
        actor: "root (0)",
        status: "ok",
        apply: reached,
        release: reached,
        health: "ok",
        cluster: [],
        anomalies: [],
        mesh: [],
        records,
      },
    ],
  ])("%s", async (_name, userId, expected) => {
    const answer = (await callAs(userId)) as { cluster: string[]; anomalies: string[]; mesh: string[] };
    const { cluster, anomalies, mesh } = answer;
    const sorted = { cluster: cluster.toSorted(), anomalies: anomalies.toSorted(), mesh: mesh.toSorted() };
    expect({ ...answer, ...sorted }).toEqual(expected);
  });
});
