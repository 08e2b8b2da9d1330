/**
 * Whether the simulator says what the kernel then does (B14). Real traffic is recorded while nothing is enforced; the
 * simulator predicts what a candidate would deny of it; the candidate is applied in observe mode and the same traffic is
 * made again. What the kernel reports as "would be denied" and what was predicted have to be the same set.
 */
import { execFileSync } from "node:child_process";
import { compile, PROTOCOL, readPolicyFiles } from "@wardline/domain/policy";
import { type RecordedFlow, Simulation } from "@wardline/domain/policy/simulate";
import { EbpfEnforcer } from "@wardline/helper/enforce/ebpf/ebpfEnforcer";
import type { FlowEvent } from "@wardline/helper/enforce/enforcer";
import { handProgram } from "@wardline/helper/testing/handProgram";
import {
  HOST_ADDRESS,
  KernelLab,
  kernelLabProblem,
  PEER_ADDRESS,
  readBpfObject,
} from "@wardline/helper/testing/kernelLab";
import { labOptions } from "./lib/edge.ts";
import { HOST_DOCUMENT } from "./lib/filters.ts";
import { fromEnvironment } from "./lib/measuring.ts";
import { buildNative, runAt } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";

/** Services asked for in each family and direction. */
const SERVICES = fromEnvironment("SERVICES", 300);
const LISTENING = fromEnvironment("LISTENING", 20);
const FIRST_PORT = 7000;
const SILENT = { 4: "10.77.0.200", 6: "fd77::200" } as const;

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`audit: left out, ${problem}`);
  process.exit(0);
}

/** Allows some networks and port ranges of both families, and nothing else. */
const CANDIDATE = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: candidate, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Egress, Ingress]
  egress:
  - to: [{ipBlock: {cidr: 10.77.0.128/25}}]
    ports: [{protocol: UDP, port: 7010, endPort: 7123}, {protocol: UDP, port: 7200}]
  - to: [{ipBlock: {cidr: "fd77::/64", except: ["fd77::1/128"]}}]
    ports: [{protocol: UDP, port: 7050, endPort: 7077}]
  - to: [{ipBlock: {cidr: 10.77.0.1/32}}, {ipBlock: {cidr: "fd77::1/128"}}]
    ports: [{protocol: TCP, port: 7005, endPort: 7011}]
  ingress:
  - from: [{ipBlock: {cidr: 10.77.0.0/24}}]
    ports: [{protocol: UDP, port: 7003, endPort: 7009}, {protocol: TCP, port: 7001}]
  - from: [{ipBlock: {cidr: "fd77::1/128"}}]
    ports: [{protocol: TCP, port: 7002, endPort: 7006}]
`;

const reading = readPolicyFiles([
  { path: "candidate.yaml", text: CANDIDATE },
  { path: "host.yaml", text: HOST_DOCUMENT },
]);
if (!reading.ok) throw new Error(JSON.stringify(reading.diagnostics));
const { world } = reading;

const objectBytes = readBpfObject();
const lab = new KernelLab();
const binary = buildNative(lab.directory, "flows");
const { cgroupRoot, bpffsDir } = lab;
const enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes, ...labOptions(lab) });

/** What policy was asked: equal for every connection to one service. */
function questionOf({ direction, protocol, sourceAddress, destinationAddress, destinationPort }: FlowEvent): string {
  return `${direction} ${protocol} ${sourceAddress} ${destinationAddress} ${destinationPort}`;
}

function addSilentNeighbours(): void {
  const ip = (side: string, ...args: string[]): string =>
    execFileSync("ip", ["-n", `${lab.name}-${side}`, ...args]).toString();
  const hardware = /link\/ether (\S+)/.exec(ip("peer", "link", "show", "eth0"))?.[1] ?? "";
  for (const address of Object.values(SILENT))
    ip("host", "neigh", "replace", address, "lladdr", hardware, "dev", "eth0");
}

const host = await lab.startSocketPeer("host");
const peer = await lab.startSocketPeer("peer");

async function listen(): Promise<void> {
  for (let port = FIRST_PORT; port < FIRST_PORT + LISTENING; port++)
    for (const side of [host, peer]) {
      await side.listenTcp(port);
      await side.listenUdp(port);
    }
}

/** The same connections each time, from new source ports. */
async function makeTraffic(): Promise<void> {
  for (const family of [4, 6] as const) {
    const count = `${SERVICES}`;
    await runAt(lab, { side: "host" }, [binary, SILENT[family], `${FIRST_PORT}`, count, count, "0"]);
    const own = `${LISTENING}`;
    await runAt(lab, { side: "peer" }, [binary, HOST_ADDRESS[family], `${FIRST_PORT}`, own, own, "0"]);
    for (let port = FIRST_PORT; port < FIRST_PORT + LISTENING; port++) {
      await host.connectTcp("out", PEER_ADDRESS[family], port);
      await host.disconnect("out");
      await peer.connectTcp("in", HOST_ADDRESS[family], port);
      await peer.disconnect("in");
    }
    lab.ping("host", PEER_ADDRESS[family]);
  }
}

function toRecorded(event: FlowEvent): RecordedFlow {
  const { kind, direction, protocol, sourceAddress, destinationAddress, destinationPort, verdict, enforced } = event;
  return {
    ...{ timeMs: null, kind, direction, protocol, sourceAddress, destinationAddress, port: destinationPort },
    ...{ verdict, enforced, subjectKey: "Host/bench", host: "bench" },
  };
}

/** Throws when the simulator has no answer. */
function isPredictedDenied(event: FlowEvent): boolean {
  const simulation = new Simulation({ candidate: world });
  simulation.add(toRecorded(event));
  const [group] = simulation.result().groups;
  const answer = group?.example.answer;
  if (!answer || answer.verdict === null) throw new Error(`no answer for ${questionOf(event)}: ${answer?.reason}`);
  return answer.verdict === "deny";
}

async function record(): Promise<FlowEvent[]> {
  const events: FlowEvent[] = [];
  const stopListening = enforcer.onEvents((more) => void events.push(...more));
  await makeTraffic();
  enforcer.drainEvents();
  stopListening();
  return events;
}

let recorded: FlowEvent[] = [];
let observed: FlowEvent[] = [];
let lost = 0n;
try {
  addSilentNeighbours();
  await listen();
  await enforcer.open();
  const everything = handProgram({ rules: [], otherwise: { ingress: "allow", egress: "allow" } });
  enforcer.activate(await enforcer.prepare(everything, 1), { mode: "enforce", fallbackAfterMs: null });
  recorded = (await record()).filter(({ kind }) => kind === "start");
  enforcer.activate(await enforcer.prepare(compile(world, "bench"), 2), { mode: "observe", fallbackAfterMs: null });
  observed = (await record()).filter(({ kind }) => kind !== "end");
  const { ringFull, rateLimited } = enforcer.losses();
  lost = ringFull + rateLimited;
} finally {
  await enforcer.release();
  await lab.close();
}

const questions = new Map(recorded.map((event) => [questionOf(event), event]));
const predicted = new Set([...questions].filter(([, event]) => isPredictedDenied(event)).map(([question]) => question));
const denied = new Set(observed.filter(({ kind }) => kind === "deny").map(questionOf));
const asked = new Set(observed.map(questionOf));
const onlyPredicted = [...predicted].filter((question) => !denied.has(question));
const onlyObserved = [...denied].filter((question) => !predicted.has(question));
const enforcedAny = observed.some(({ enforced }) => enforced === "deny");
if (questions.size < SERVICES) throw new Error(`only ${questions.size} services were recorded`);

publish("audit", {
  what: "What the simulator predicts that a candidate denies of recorded traffic, and what the kernel reports in observe mode for the same traffic.",
  method: `UDP, TCP and pings of both families and directions; ${recorded.length} connections recorded to ${questions.size} services, made again under the candidate in observe mode.`,
  passLine: "identical sets",
  servicesRecorded: questions.size,
  servicesObserved: asked.size,
  predictedDenied: predicted.size,
  observedDenied: denied.size,
  identical: onlyPredicted.length === 0 && onlyObserved.length === 0,
  onlyPredicted: onlyPredicted.slice(0, 20),
  onlyObserved: onlyObserved.slice(0, 20),
  eventsLost: Number(lost),
  anythingDropped: enforcedAny,
  protocols: [...new Set(recorded.map(({ protocol }) => protocol))].map(
    (number) => Object.entries(PROTOCOL).find(([, value]) => value === number)?.[0] ?? `${number}`,
  ),
});
