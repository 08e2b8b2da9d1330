/**
 * What the daemon answers, in one form for all of its releases. Which of the three ways of speaking it has is told by what it lists
 * and by shapes, never by its version: distributions build it as `unknown`. Fields that are not known are left where they are.
 */
import { canonicalMeshKey, yggdrasilAddress, yggdrasilSubnet } from "@wardline/domain/mesh";
import { canonicalAddress } from "@wardline/domain/policy";
import { AdminError } from "./adminSocket.ts";
import { amount, count, type Fields, flag, list, optional, record, text, words, wrongShape } from "./shapes.ts";

/** The first release that spoke so. */
export type Generation = "0.4.0" | "0.4.5" | "0.5";

export interface Abilities {
  readonly generation: Generation;
  /** Lower-case names. */
  readonly commands: ReadonlySet<string>;
}

export interface SelfReply {
  readonly key: string;
  readonly address: string;
  readonly subnet: string;
  readonly version: string;
}

export interface PeerReply {
  /** Empty = down, and not known. */
  readonly key: string;
  readonly address: string;
  /** As the daemon has it; empty where it does not say. */
  readonly remote: string;
  readonly up: boolean;
  /** `null` = this generation does not say. */
  readonly inbound: boolean | null;
  readonly port: number | null;
  readonly latencyMs: number | null;
  readonly cost: number | null;
  readonly bytesReceived: number | null;
  readonly bytesSent: number | null;
  readonly uptimeMs: number | null;
  readonly lastError: string;
  readonly lastErrorAgeMs: number | null;
  /** It tells how fast it sends. */
  readonly hasRates: boolean;
}

export interface PathReply {
  readonly key: string;
  /** From here; empty where the generation counts them from elsewhere. */
  readonly ports: readonly number[];
}

export interface TreeReply {
  readonly key: string;
  readonly parentKey: string;
}

export interface TunReply {
  /** Empty = it has none. */
  readonly name: string;
  readonly mtuBytes: number | null;
}

const NS_PER_MS = 1e6;
const MAX_TEXT = 300;
const MAX_VERSION = 64;
const MAX_COMMANDS = 1_000;

/** How arguments are given: beside the name, or in an object of their own. */
export function requestOf(
  generation: Generation,
  name: string,
  values: Readonly<Record<string, string>> = {},
): Readonly<Record<string, unknown>> {
  return generation === "0.4.0" ? { ...values, request: name } : { request: name, arguments: values };
}

/** What is inside of an answer. Throws {@link AdminError}: "refusal" with the daemon's words, or "shape". */
export function unpack(answer: unknown): Fields {
  const outer = record(answer, "its answer");
  if (outer.status === "success") return record(outer.response, "what it answers");
  if (outer.status !== "error") throw wrongShape("the status of its answer");
  const inner = typeof outer.response === "object" && outer.response !== null ? (outer.response as Fields) : {};
  const reason = typeof outer.error === "string" ? outer.error : inner.error;
  throw new AdminError("refusal", words(typeof reason === "string" ? reason.slice(0, 10_000) : "no reason", MAX_TEXT));
}

export function readAbilities(response: Fields): Abilities {
  const listed = response.list;
  const isOld = !Array.isArray(listed);
  const names = isOld
    ? Object.keys(record(listed, "its list of commands"))
    : listed.slice(0, MAX_COMMANDS).map((entry) => text(record(entry, "a command").command, "the name of a command"));
  const commands = new Set(names.slice(0, MAX_COMMANDS).map((name) => name.toLowerCase()));
  if (!commands.has("getself") || !commands.has("getpeers")) throw wrongShape("its list of commands");
  if (isOld) return { generation: "0.4.0", commands };
  if (commands.has("gettree")) return { generation: "0.5", commands };
  if (commands.has("getdht")) return { generation: "0.4.5", commands };
  throw wrongShape("its list of commands");
}

export function readSelf(response: Fields, generation: Generation): SelfReply {
  let fields = response;
  let named: string | null = null;
  if (generation === "0.4.0") {
    const [first, ...others] = Object.entries(record(response.self, "what it says of itself"));
    if (first === undefined || others.length > 0) throw wrongShape("what it says of itself");
    [named, fields] = [first[0], record(first[1], "what it says of itself")];
  }
  const key = keyOf(fields.key, "its own key");
  const address = yggdrasilAddress(key)!;
  const subnet = yggdrasilSubnet(key)!;
  agree(named ?? text(fields.address, "its own address"), address, "its own address");
  agree(text(fields.subnet, "its own subnet"), subnet, "its own subnet");
  const version = words(optional(fields.build_version, "its version", text) ?? "", MAX_VERSION);
  return { key, address, subnet, version };
}

export function readPeers(response: Fields, generation: Generation): readonly PeerReply[] {
  return entriesOf(response.peers, generation, "its list of peers").map(([named, fields]) => {
    return generation === "0.5" ? newPeer(fields) : oldPeer(fields, named);
  });
}

/** Only peers that are up are listed; counters are there since 0.4.3. */
function oldPeer(fields: Fields, named: string | null): PeerReply {
  const key = keyOf(fields.key, "the key of a peer");
  const address = yggdrasilAddress(key)!;
  agree(named ?? text(fields.address, "the address of a peer"), address, "the address of a peer");
  return {
    ...{ key, address, up: true, inbound: null, ...figures(fields, null) },
    remote: optional(fields.remote, "where a peer is", text) ?? "",
    ...{ lastError: "", lastErrorAgeMs: null },
  };
}

/** Those that are down are listed as well. Fields that are zero or empty are left out. */
function newPeer(fields: Fields): PeerReply {
  const up = flag(fields.up, "the state of a peer");
  const inbound = optional(fields.inbound, "the direction of a peer", flag) ?? false;
  const isNamed = fields.key !== "" && fields.key !== undefined;
  if (up && !isNamed) throw wrongShape("the key of a peer");
  const key = isNamed ? keyOf(fields.key, "the key of a peer") : "";
  const address = key === "" ? "" : yggdrasilAddress(key)!;
  const said = optional(fields.address, "the address of a peer", text);
  if (said !== null && said !== "") agree(said, address, "the address of a peer");
  const errorAge = optional(fields.last_error_time, "the age of an error", amount);
  return {
    ...{ key, address, up, inbound, ...figures(fields, up ? 0 : null) },
    remote: optional(fields.remote, "where a peer is", text) ?? "",
    lastError: words(optional(fields.last_error, "the error of a peer", longText) ?? "", MAX_TEXT),
    lastErrorAgeMs: errorAge === null ? null : errorAge / NS_PER_MS,
  };
}

/** @param absent what a counter is that was left out: zero where zeros are left out, otherwise not measured */
function figures(fields: Fields, absent: number | null) {
  // Nanoseconds under both of its names.
  const latency = optional(fields.latency ?? fields.latency_ms, "the latency of a peer", amount);
  const uptime = optional(fields.uptime, "the uptime of a peer", amount);
  return {
    port: optional(fields.port, "the port of a peer", count),
    latencyMs: latency === null || latency === 0 ? null : latency / NS_PER_MS,
    cost: optional(fields.cost, "the cost of a peer", count),
    bytesReceived: optional(fields.bytes_recvd, "the bytes of a peer", count) ?? absent,
    bytesSent: optional(fields.bytes_sent, "the bytes of a peer", count) ?? absent,
    uptimeMs: uptime === null ? absent : uptime * 1_000,
    hasRates: fields.rate_recvd !== undefined || fields.rate_sent !== undefined,
  };
}

export function readPaths(response: Fields, generation: Generation): readonly PathReply[] {
  return entriesOf(response.paths, generation, "its list of paths").map(([, fields]) => {
    const key = keyOf(fields.key, "the key of a path");
    // Since 0.5 a path is counted from the root of the tree.
    const ports = generation === "0.5" ? [] : list(fields.path ?? [], "a path").slice(0, 256);
    return { key, ports: ports.map((port) => count(port, "a port of a path")) };
  });
}

export function readTree(response: Fields): readonly TreeReply[] {
  return list(response.tree, "its tree").map((entry) => {
    const { key, parent } = record(entry, "an entry of its tree");
    return { key: keyOf(key, "the key of its tree"), parentKey: keyOf(parent, "a parent of its tree") };
  });
}

export function readTun(response: Fields, generation: Generation): TunReply {
  if (generation === "0.4.0") {
    const [name, fields] = Object.entries(response).find(([, value]) => typeof value === "object") ?? [];
    if (name === undefined) return { name: "", mtuBytes: null };
    return { name: words(name, 15), mtuBytes: optional(record(fields, "its interface").mtu, "the MTU", count) };
  }
  if (!flag(response.enabled, "its interface")) return { name: "", mtuBytes: null };
  const name = optional(response.name, "the name of its interface", text) ?? "";
  return { name: words(name, 15), mtuBytes: optional(response.mtu, "the MTU", count) };
}

/** A map by address until 0.4.4, a list since. An empty one of Go may be null. */
function entriesOf(
  value: unknown,
  generation: Generation,
  what: string,
): readonly (readonly [string | null, Fields])[] {
  if (value === null) return [];
  if (generation !== "0.4.0") return list(value, what).map((entry) => [null, record(entry, what)]);
  return Object.entries(record(value, what)).map(([named, entry]) => [named, record(entry, what)]);
}

function keyOf(value: unknown, what: string): string {
  const key = typeof value === "string" ? canonicalMeshKey(value) : null;
  if (key === null) throw wrongShape(what);
  return key;
}

/** A node is its key: an address that does not follow from it was made up. */
function agree(said: string, derived: string, what: string): void {
  if ((canonicalAddress(said) ?? said.toLowerCase()) !== derived)
    throw new AdminError("shape", `${what} does not belong to the key it is told with`);
}

function longText(value: unknown, what: string): string {
  return text(value, what, 65_536);
}
