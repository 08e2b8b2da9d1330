/**
 * The JSON of `batctl`, judged: one reader for each list. What is not as any release has it is an error, never a guess. Fields that
 * nobody here needs are left out; flags (`best`, `active`) are there only when they hold.
 */
import { BatctlError } from "./batctlCommand.ts";

type Fields = Readonly<Record<string, unknown>>;

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const MAX_TQ = 255;
const MAX_TEXT_LENGTH = 64;

function wrong(what: string): BatctlError {
  return new BatctlError("garbage", `${what} is not as any known release of batctl has it`);
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrong(what);
}

function listOf(value: unknown, what: string): readonly Fields[] {
  if (!Array.isArray(value)) throw wrong(what);
  return value.map((each) => fieldsOf(each, what));
}

function mac(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === "string" && MAC.test(value)) return value.toLowerCase();
  throw wrong(name);
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === "string" && value.length <= MAX_TEXT_LENGTH && /^[\x20-\x7e]*$/.test(value)) return value;
  throw wrong(name);
}

function count(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrong(name);
}

/** `null` where the field is left out. */
function optional<T>(fields: Fields, name: string, read: (fields: Fields, name: string) => T): T | null {
  return fields[name] === undefined ? null : read(fields, name);
}

/** Printed only when it holds. */
function flag(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (value === undefined || typeof value === "boolean") return value === true;
  throw wrong(name);
}

/** 0 to 1: an estimate of how well packets get through, from originator messages. Not a loss. */
function quality(fields: Fields): number | null {
  const tq = optional(fields, "tq", count);
  if (tq !== null && tq > MAX_TQ) throw wrong("tq");
  return tq === null ? null : tq / MAX_TQ;
}

function throughput(fields: Fields): bigint | null {
  const kilobits = optional(fields, "throughput", count);
  return kilobits === null ? null : BigInt(kilobits) * 1_000n;
}

export const ALGORITHMS = ["BATMAN_IV", "BATMAN_V"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export interface MeshReply {
  readonly algorithm: Algorithm;
  readonly version: string;
  /** Of the interface that makes its originator messages: how others name this node. `null` = it has none. */
  readonly originator: string | null;
  readonly meshAddress: string;
  readonly gatewayMode: "off" | "client" | "server" | null;
  readonly originatorIntervalMs: number | null;
}

export function readMesh(value: unknown): MeshReply {
  const fields = fieldsOf(value, "mesh_json");
  const algorithm = ALGORITHMS.find((each) => each === fields.algo_name);
  if (algorithm === undefined) throw wrong("algo_name");
  const mode = optional(fields, "gw_mode", text);
  if (mode !== null && mode !== "off" && mode !== "client" && mode !== "server") throw wrong("gw_mode");
  return {
    algorithm,
    version: optional(fields, "version", text) ?? "unknown",
    originator: optional(fields, "hard_address", mac),
    meshAddress: mac(fields, "mesh_address"),
    gatewayMode: mode,
    originatorIntervalMs: optional(fields, "orig_interval", count),
  };
}

interface OnInterface {
  /** `null` before batman-adv 2021.2: then the index tells. */
  readonly interfaceName: string | null;
  readonly interfaceIndex: number | null;
  /** Age of the last message heard; not a latency. */
  readonly lastSeenMs: number;
}

function onInterface(fields: Fields): OnInterface {
  return {
    interfaceName: optional(fields, "hard_ifname", text),
    interfaceIndex: optional(fields, "hard_ifindex", count),
    lastSeenMs: count(fields, "last_seen_msecs"),
  };
}

export interface OriginatorReply extends OnInterface {
  readonly originator: string;
  readonly nextHop: string;
  readonly best: boolean;
  readonly quality: number | null;
  readonly throughputBitsPerSecond: bigint | null;
}

/** Each has what its algorithm measures: one without is no entry of that algorithm. */
export function readOriginators(value: unknown, algorithm: Algorithm): readonly OriginatorReply[] {
  return listOf(value, "originators_json").map((fields) => {
    const reply = {
      originator: mac(fields, "orig_address"),
      nextHop: mac(fields, "neigh_address"),
      best: flag(fields, "best"),
      quality: quality(fields),
      throughputBitsPerSecond: throughput(fields),
      ...onInterface(fields),
    };
    if ((algorithm === "BATMAN_IV" ? reply.quality : reply.throughputBitsPerSecond) === null)
      throw wrong("originators_json");
    return reply;
  });
}

export interface NeighborReply extends OnInterface {
  readonly address: string;
  readonly throughputBitsPerSecond: bigint | null;
}

export function readNeighbors(value: unknown): readonly NeighborReply[] {
  return listOf(value, "neighbors_json").map((fields) => ({
    address: mac(fields, "neigh_address"),
    throughputBitsPerSecond: throughput(fields),
    ...onInterface(fields),
  }));
}

export interface HardInterfaceReply {
  readonly interfaceName: string | null;
  readonly interfaceIndex: number | null;
  readonly active: boolean;
}

export function readHardInterfaces(value: unknown): readonly HardInterfaceReply[] {
  return listOf(value, "hardifs_json").map((fields) => ({
    interfaceName: optional(fields, "hard_ifname", text),
    interfaceIndex: optional(fields, "hard_ifindex", count),
    active: flag(fields, "active"),
  }));
}

export interface GatewayReply {
  readonly originator: string;
  readonly router: string;
  readonly best: boolean;
  readonly quality: number | null;
  readonly upBitsPerSecond: bigint | null;
  readonly downBitsPerSecond: bigint | null;
}

export function readGateways(value: unknown): readonly GatewayReply[] {
  return listOf(value, "gateways_json").map((fields) => ({
    originator: mac(fields, "orig_address"),
    router: mac(fields, "router"),
    best: flag(fields, "best"),
    quality: quality(fields),
    upBitsPerSecond: bandwidth(fields, "bandwidth_up"),
    downBitsPerSecond: bandwidth(fields, "bandwidth_down"),
  }));
}

/** Printed in tenths of a megabit. */
function bandwidth(fields: Fields, name: string): bigint | null {
  const tenths = optional(fields, name, count);
  return tenths === null ? null : BigInt(tenths) * 100_000n;
}
