/**
 * What a member may say of what it sees: lists, texts and figures no longer and no larger than a member of ours would write
 * them. What is out of bounds is not measured; it is never turned into something else.
 */
import { durationMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import {
  type MeshGateway,
  type MeshIdentity,
  type MeshObservation,
  type MeshPeer,
  type MeshProbe,
  MeshProvider,
  type MeshProviderReport,
} from "@wardline/api/wardline/v1/mesh";
import { canonicalMeshKey, meshAddressOwner, shownUri, yggdrasilSubnet } from "@wardline/domain/mesh";

const MAX_PEERS = 1_000;
const MAX_GATEWAYS = 64;
const MAX_PROBES = 256;
const MAX_PROBLEMS = 32;
const MAX_CAPABILITIES = 32;
const MAX_WORD_LENGTH = 128;
const MAX_SENTENCE_LENGTH = 512;
const LAST_SECOND = 253_402_300_799n;
const PROVIDERS: readonly MeshProvider[] = [MeshProvider.YGGDRASIL, MeshProvider.BATMAN, MeshProvider.IP];

/** Changes the message. `host` is the member under whose name it lies. */
export function judgeObservation(observation: MeshObservation, host: string): void {
  observation.host = host;
  observation.sessionId = word(observation.sessionId);
  keepMoment(observation, "observedAt");
  // One report for each mesh: who says two things of one counts for the first.
  observation.providers = PROVIDERS.flatMap(
    (provider) => observation.providers.find((report) => report.provider === provider) ?? [],
  );
  for (const report of observation.providers) judgeReport(report);
  observation.probes = observation.probes.slice(0, MAX_PROBES);
  for (const probe of observation.probes) judgeProbe(probe);
  observation.problems = observation.problems.slice(0, MAX_PROBLEMS).map(sentence);
}

function judgeReport(report: MeshProviderReport): void {
  report.detail = sentence(report.detail);
  report.version = word(report.version);
  report.generation = word(report.generation);
  report.interfaceName = word(report.interfaceName);
  report.capabilities = report.capabilities.slice(0, MAX_CAPABILITIES).map(word);
  report.truncated ||= report.peers.length > MAX_PEERS || report.gateways.length > MAX_GATEWAYS;
  report.peers = report.peers.slice(0, MAX_PEERS);
  report.gateways = report.gateways.slice(0, MAX_GATEWAYS);
  report.routes = [];
  report.tree = [];
  keepMoment(report, "since");
  keepMoment(report, "measuredAt");
  if (report.self) judgeIdentity(report.self, report.provider);
  for (const peer of report.peers) judgePeer(peer);
  for (const gateway of report.gateways) judgeGateway(gateway);
}

/** An address that is not that of its key is nobody's. */
function judgeIdentity(identity: MeshIdentity, provider: MeshProvider): void {
  identity.key = word(identity.key);
  identity.address = word(identity.address);
  identity.subnet = word(identity.subnet);
  if (provider !== MeshProvider.YGGDRASIL) return;
  identity.key = canonicalMeshKey(identity.key) ?? "";
  if (meshAddressOwner(identity.key, identity.address) !== "node") identity.address = "";
  identity.subnet = identity.subnet === "" ? "" : (yggdrasilSubnet(identity.key) ?? "");
}

function judgePeer(peer: MeshPeer): void {
  peer.key = word(peer.key);
  peer.address = word(peer.address);
  peer.uri = peer.uri === "" ? "" : shownUri(sentence(peer.uri));
  peer.interfaceName = word(peer.interfaceName);
  peer.lastError = sentence(peer.lastError);
  keepAmount(peer, "latencyMs");
  keepShare(peer, "quality");
  for (const name of ["uptime", "lastHeardAge", "lastErrorAge"] as const) {
    const duration = peer[name];
    if (duration && !isAmount(durationMs(duration))) delete peer[name];
  }
}

function judgeGateway(gateway: MeshGateway): void {
  gateway.key = word(gateway.key);
  gateway.routerKey = word(gateway.routerKey);
  keepShare(gateway, "quality");
}

function judgeProbe(probe: MeshProbe): void {
  probe.targetHost = word(probe.targetHost);
  probe.address = word(probe.address);
  probe.problem = sentence(probe.problem);
  keepAmount(probe, "latencyMs");
  keepAmount(probe, "latencyP95Ms");
  keepShare(probe, "loss");
  keepMoment(probe, "lastAnswerAt");
}

/** Without signs that a terminal or a log would obey. */
const plain = (text: string) => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, " ");
const word = (text: string) => plain(text.slice(0, MAX_WORD_LENGTH));
const sentence = (text: string) => plain(text.slice(0, MAX_SENTENCE_LENGTH));

function isAmount(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}

function keepAmount<Name extends string>(message: { [name in Name]?: number | undefined }, name: Name): void {
  const value = message[name];
  if (value !== undefined && !isAmount(value)) delete message[name];
}

function keepShare<Name extends string>(message: { [name in Name]?: number | undefined }, name: Name): void {
  const value = message[name];
  if (value !== undefined && !(isAmount(value) && value <= 1)) delete message[name];
}

function keepMoment<Name extends string>(message: { [name in Name]?: Timestamp | undefined }, name: Name): void {
  const moment = message[name];
  if (!moment) return;
  const isMoment = moment.seconds >= 0n && moment.seconds <= LAST_SECOND && moment.nanos >= 0 && moment.nanos < 1e9;
  if (!isMoment) delete message[name];
}
