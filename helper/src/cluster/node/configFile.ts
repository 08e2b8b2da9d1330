/**
 * `<state>/cluster/config.json`: what a member keeps on its own disk to find the cluster again. Mode 0600, replaced as a
 * whole. That it is there is what makes a host a member; it is the last thing that a join writes and the first that a
 * leave removes.
 */
import { readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { StoreConfigurationSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { Failure } from "@wardline/domain/errors";
import { isErrno, replaceFile, syncDirectory, toWriteFailure } from "../../files/atomicFile.ts";
import { makeDirectory } from "../../files/directory.ts";
import type { ClusterConfiguration } from "../ports.ts";
import { checkLabelName, checkMemberName, readPeerAddress } from "../service/fields.ts";
import { readStore } from "../service/storeRequest.ts";

/** What this node knows of itself and of the others between two starts. */
export interface NodeConfiguration extends ClusterConfiguration {
  /** Empty until the cluster's record was read once: a store that holds another cluster of that name is noticed by it. */
  readonly clusterId: string;
}

export type ConfigurationRead =
  | { readonly kind: "absent" }
  | { readonly kind: "read"; readonly configuration: NodeConfiguration }
  /** `problem` is a sentence for people. */
  | { readonly kind: "damaged"; readonly problem: string };

const FORMAT = 1;
/** 10,000 known members with their names and addresses. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_KNOWN_MEMBERS = 10_000;

class DamagedError extends Error {}

function fail(what: string): never {
  throw new DamagedError(what);
}

export class ConfigurationFile {
  readonly #path: string;

  /** @param directory `<state>/cluster` */
  constructor(directory: string) {
    this.#path = join(directory, "config.json");
  }

  async read(): Promise<ConfigurationRead> {
    try {
      if ((await stat(this.#path)).size > MAX_FILE_BYTES) fail("it is larger than any valid one");
      return { kind: "read", configuration: decodeConfiguration(await readFile(this.#path, "utf8")) };
    } catch (error) {
      if (isErrno(error, "ENOENT")) return { kind: "absent" };
      const reason = error instanceof Error ? error.message : String(error);
      const problem = `${this.#path} cannot be used (${reason}): this host takes no part in its cluster and enforces what it enforced last.`;
      return { kind: "damaged", problem };
    }
  }

  /** On disk when it returns. Throws `Failure` (DISK_FULL, INTERNAL); then the former file still counts. */
  async write(configuration: NodeConfiguration): Promise<void> {
    try {
      makeDirectory(dirname(this.#path), 0o700);
      await replaceFile(this.#path, encodeConfiguration(configuration));
    } catch (error) {
      throw toWriteFailure(error, "the configuration of the cluster");
    }
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
    await syncDirectory(dirname(this.#path)).catch(() => undefined);
  }
}

export function encodeConfiguration(configuration: NodeConfiguration): string {
  const { store, knownMembers, ...rest } = configuration;
  const known = knownMembers.slice(0, MAX_KNOWN_MEMBERS).map(({ name, peerAddress, candidate, spiffeId }) => {
    return { name, peerAddress, candidate, spiffeId };
  });
  const document = { format: FORMAT, ...rest, store: toJson(StoreConfigurationSchema, store), knownMembers: known };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Throws when anything in it is not what an agent writes. */
export function decodeConfiguration(text: string): NodeConfiguration {
  const fields = record(parse(text), "the file");
  if (fields.format !== FORMAT) fail(`it has the format ${String(fields.format).slice(0, 20)}, not ${FORMAT}`);
  const leaseMs = fields.leaseMs;
  if (typeof leaseMs !== "number" || !(leaseMs >= 1_000 && leaseMs <= 3_600_000)) return fail("leaseMs is no lease");
  const known = fields.knownMembers;
  if (!Array.isArray(known) || known.length > MAX_KNOWN_MEMBERS) return fail("knownMembers is not a list");
  const clusterName = string(fields.clusterName, "clusterName");
  const memberName = string(fields.memberName, "memberName");
  const peerAddress = string(fields.peerAddress, "peerAddress");
  checked(() => checkLabelName(clusterName, "clusterName"));
  checked(() => checkMemberName(memberName));
  checked(() => readPeerAddress(peerAddress));
  return {
    clusterName,
    memberName,
    peerAddress,
    leaseMs,
    trustDomain: string(fields.trustDomain, "trustDomain"),
    clusterId: string(fields.clusterId, "clusterId"),
    candidate: flag(fields.candidate, "candidate"),
    store: decodeStore(fields.store),
    knownMembers: known.map(decodeMember),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return fail("it is not JSON");
  }
}

function checked(check: () => unknown): void {
  try {
    check();
  } catch (error) {
    fail(error instanceof Failure ? error.message : String(error));
  }
}

function decodeStore(value: unknown) {
  const store = checkedValue(() => fromJson(StoreConfigurationSchema, value as JsonValue));
  return store.kind === StoreKind.EMBEDDED ? store : checkedValue(() => readStore(store));
}

function checkedValue<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return fail(`store: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function decodeMember(value: unknown): ClusterConfiguration["knownMembers"][number] {
  const fields = record(value, "a known member");
  return {
    name: string(fields.name, "the name of a known member"),
    peerAddress: string(fields.peerAddress, "the address of a known member"),
    spiffeId: string(fields.spiffeId, "the identity of a known member"),
    candidate: flag(fields.candidate, "candidate of a known member"),
  };
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(`${what} is not an object`);
  return value as Readonly<Record<string, unknown>>;
}

function string(value: unknown, what: string): string {
  return typeof value === "string" && value.length <= 2_048 ? value : fail(`${what} is not a text`);
}

function flag(value: unknown, what: string): boolean {
  return typeof value === "boolean" ? value : fail(`${what} is neither true nor false`);
}
