/** What a picture is made of: the texts of the draft, what each host enforces, and the flows of the window. */
import { createHash } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { type PictureBasis, PictureGrouping as WireGrouping } from "@wardline/api/wardline/console/v1/picture";
import { BackendKind, Emergency } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { createPolicyReader, type PolicyWorld, type ReadResult, withoutExpired } from "@wardline/domain/policy";
import { type AccessModel, createAccessModel } from "@wardline/domain/policy/access";
import { defaultKeys, type EnforcedAt, type PictureGrouping } from "@wardline/domain/policy/picture";
import { mapPooled } from "../async/pool.ts";
import { type HostRegistry, hostNameOf, labelOf, type ManagedHost } from "../hosts/managed-host.ts";
import { underQuarantines } from "../hosts/quarantine.ts";
import { requireWorkspaceBounds } from "../policies/limits.ts";
import type { Workspace } from "../policies/workspace.ts";
import { workspacePath } from "../policies/workspace-path.ts";
import type { Clock } from "../ports.ts";
import type { VersionsTable } from "../store/versions-table.ts";

export interface BasisPorts {
  readonly workspace: Workspace;
  readonly registry: HostRegistry;
  readonly versions: VersionsTable;
  readonly clock: Clock;
}

/** A model holds until a policy of it ends, or a host says something else of its quarantines. */
interface KeptModel {
  /** As its files say, whatever has expired. */
  readonly read: PolicyWorld;
  readonly model: AccessModel;
  readonly quarantines: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

interface PolicyText {
  readonly path: string;
  readonly text: string;
}

const MAX_KEYS = 8;
const MAX_KEY_LENGTH = 317;
const DAY_MS = 86_400_000;
const MAX_WINDOW_MS = 730 * DAY_MS;
const HOSTS_AT_ONCE = 32;
/** Different states that are enforced somewhere; of hosts beyond, the picture says that it does not know. */
const MAX_STATES = 6;
const MAX_KEPT = 8;
const MAX_CLAIMS = 1_000;

export interface HostEnforced {
  readonly host: ManagedHost;
  readonly stateDigest: string;
  readonly generation: bigint;
  /** Why nobody knows; empty when it is known. */
  readonly problem: string;
  readonly observes: boolean;
  readonly at: EnforcedAt;
}

export interface Window {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** Prepared worlds by what they are made of: one edit asks for many pictures of nearly the same. */
export class PictureBases {
  readonly #ports: BasisPorts;
  readonly #reader = createPolicyReader();
  readonly #models = new Map<string, KeptModel>();
  /** Names of models by host and by what the host calls its state. */
  readonly #contents = new Map<string, string>();

  constructor(ports: BasisPorts) {
    this.#ports = ports;
  }

  /** @throws Failure POLICY_INVALID, TOO_LARGE, INVALID_ARGUMENT */
  draft(basis: PictureBasis): { readonly model: AccessModel; readonly stateDigest: string } {
    const { workspace } = this.#ports;
    const texts = new Map(workspace.snapshot().files.map(({ path, text }) => [path, text]));
    for (const { path, text } of basis.files) texts.set(workspacePath(path), text);
    const files = [...texts].map(([path, text]) => ({ path, text })).sort((a, b) => (a.path < b.path ? -1 : 1));
    requireWorkspaceBounds(
      files.length,
      files.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0),
    );
    const stateDigest = digestOf(files);
    return { model: this.#model(`draft ${stateDigest}`, () => requireSound(this.#reader.read(files))), stateDigest };
  }

  /** What every host enforces, asked only where it is not known here. Never fails: who cannot be asked is unknown. */
  async enforced(signal: AbortSignal): Promise<readonly HostEnforced[]> {
    const { hosts } = this.#ports.registry;
    const counts = new Map<string, number>();
    for (const host of hosts) {
      const digest = host.connection.state.status?.enforced?.stateDigest ?? "";
      if (digest !== "") counts.set(digest, (counts.get(digest) ?? 0) + 1);
    }
    const usual = [...counts].sort(([, left], [, right]) => right - left).slice(0, MAX_STATES);
    const shown = new Set(usual.map(([digest]) => digest));
    return mapPooled(hosts, HOSTS_AT_ONCE, async (host) => {
      if (signal.aborted) return unknownHost(host, "It was not asked.");
      const digest = host.connection.state.status?.enforced?.stateDigest ?? "";
      if (digest === "" || shown.has(digest)) return this.#enforcedBy(host);
      return unknownHost(host, `More than ${MAX_STATES} different states are enforced in this fleet.`);
    });
  }

  async #enforcedBy(host: ManagedHost): Promise<HostEnforced> {
    const { status } = host.connection.state;
    const generation = status?.enforced;
    if (!status?.info) return unknownHost(host, "It could not be reached yet.");
    const shared = { host, generation: generation?.number ?? 0n, problem: "", observes: false };
    if (status.emergency === Emergency.CLOSED) {
      const brake = "Its emergency brake is closed: nothing passes there, whatever its policies say.";
      return { ...unknownHost(host, brake), stateDigest: generation?.stateDigest ?? "", generation: shared.generation };
    }
    if (!generation || generation.number === 0n) return { ...shared, stateDigest: "", at: { kind: "nothing" } };
    const { stateDigest } = generation;
    const canOnlyObserve = status.info.backend === BackendKind.OBSERVE;
    if (!status.attached && !canOnlyObserve) {
      const loose = "Its programs are not attached, so nothing decides there.";
      return { ...unknownHost(host, loose), stateDigest, generation: shared.generation };
    }
    // In observe mode, and while its emergency brake is open, a host lets everything through, whatever its policies say.
    if (canOnlyObserve || generation.mode === EnforcementMode.OBSERVE || status.emergency === Emergency.OPEN) {
      return { ...shared, stateDigest, observes: true, at: { kind: "nothing" } };
    }
    try {
      const model = await this.#modelOf(host, stateDigest);
      return { ...shared, stateDigest, at: { kind: "world", model } };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return { ...unknownHost(host, error.message), stateDigest, generation: shared.generation };
    }
  }

  async #modelOf(host: ManagedHost, stateDigest: string): Promise<AccessModel> {
    const { versions } = this.#ports;
    if (versions.find(stateDigest)) {
      return this.#model(`enforced ${stateDigest}`, () => requireSound(this.#reader.read(versions.files(stateDigest))));
    }
    // What a host says of its state is known by its content: the name that the host gives it is not believed.
    const claim = `${host.id} ${stateDigest}`;
    const content = this.#contents.get(claim);
    const known = content === undefined ? undefined : this.#models.get(content);
    if (content !== undefined && known) return this.#model(content, () => known.read);
    const { files } = await host.enforced.fetch();
    const name = `fetched ${digestOf(files)}`;
    if (this.#contents.size >= MAX_CLAIMS) this.#contents.clear();
    this.#contents.set(claim, name);
    return this.#model(name, () => requireSound(this.#reader.read(files)));
  }

  /** Quarantines hold whatever the policies say, and time takes policies away. */
  #model(name: string, read: () => PolicyWorld): AccessModel {
    const { clock, registry } = this.#ports;
    const nowMs = clock.nowMs();
    const quarantines = quarantinesOf(registry);
    let kept = this.#models.get(name);
    this.#models.delete(name);
    if (!kept || kept.quarantines !== quarantines || nowMs < kept.fromMs || nowMs >= kept.untilMs) {
      const world = kept?.read ?? read();
      kept = {
        read: world,
        model: createAccessModel(underQuarantines(withoutExpired(world, nowMs), registry)),
        quarantines,
        fromMs: nowMs,
        untilMs: nextEndMs(world, nowMs),
      };
    }
    this.#models.set(name, kept);
    for (const oldest of this.#models.keys()) {
      if (this.#models.size <= MAX_KEPT) break;
      this.#models.delete(oldest);
    }
    return kept.model;
  }
}

function quarantinesOf({ hosts }: HostRegistry): string {
  const texts = hosts.flatMap((host) => {
    const own = host.connection.state.status?.quarantines ?? [];
    return own.length === 0
      ? []
      : [`${host.id} ${JSON.stringify(own, (_, value) => (typeof value === "bigint" ? `${value}` : value))}`];
  });
  return texts.join();
}

/** When the next policy ends. */
function nextEndMs({ policies }: PolicyWorld, nowMs: number): number {
  const ends = policies.flatMap(({ expiresAtUnixMs }) => expiresAtUnixMs ?? []).filter((endMs) => endMs > nowMs);
  return ends.reduce((next, endMs) => Math.min(next, endMs), Number.POSITIVE_INFINITY);
}

/** When a host that is away was last heard: what it enforces is its last word. `null` = it is there, or was never heard. */
export function awaySinceMs({ connection }: ManagedHost): number | null {
  const { reachability, status, lastHeardAtMs } = connection.state;
  if (reachability === Reachability.CONNECTED || !status?.info || lastHeardAtMs <= 0) return null;
  return lastHeardAtMs;
}

function unknownHost(host: ManagedHost, problem: string): HostEnforced {
  return { host, stateDigest: "", generation: 0n, problem, observes: false, at: { kind: "unknown" } };
}

function digestOf(files: readonly PolicyText[]): string {
  const hash = createHash("sha256");
  for (const { path, text } of files) hash.update(`${path.length}:${path}${text.length}:${text}`);
  return hash.digest("hex");
}

function requireSound(reading: ReadResult): PolicyWorld {
  if (reading.ok) return reading.world;
  throw new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: "The policies have errors, so there is no picture of them yet.",
    hint: "Correct them first; each error says where it is.",
    diagnostics: reading.diagnostics.filter(({ severity }) => severity === "error").slice(0, 100),
  });
}

/** By the name that documents know a host by; a name that no host of this console has is unknown. */
export function enforcedByName(hosts: readonly HostEnforced[]): (hostName: string) => EnforcedAt {
  const byName = new Map<string, EnforcedAt>();
  for (const { host, at } of hosts) {
    for (const name of [hostNameOf(host), labelOf(host)]) {
      const other = byName.get(name);
      byName.set(name, other && other !== at ? { kind: "unknown" } : at);
    }
  }
  return (hostName) => byName.get(hostName) ?? { kind: "unknown" };
}

/** @throws Failure INVALID_ARGUMENT */
export function groupingOf({ grouping, labelKeys }: PictureBasis, world: PolicyWorld): PictureGrouping {
  switch (grouping) {
    case WireGrouping.NAMESPACE:
      return { by: "namespace" };
    case WireGrouping.HOST:
      return { by: "host" };
    case WireGrouping.ENDPOINT:
      return { by: "endpoint" };
    default:
      break;
  }
  if (labelKeys.length > MAX_KEYS || labelKeys.some((key) => key === "" || key.length > MAX_KEY_LENGTH)) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `A picture is grouped by up to ${MAX_KEYS} label keys of up to ${MAX_KEY_LENGTH} characters.`,
    });
  }
  const keys = labelKeys.length > 0 ? [...new Set(labelKeys)] : defaultKeys(world);
  return keys.length === 0 ? { by: "namespace" } : { by: "labels", keys };
}

/** @throws Failure INVALID_ARGUMENT */
export function windowOf({ since, until }: PictureBasis, nowMs: number): Window {
  const untilMs = until ? timestampMs(until) : nowMs;
  const sinceMs = since ? timestampMs(since) : untilMs - DAY_MS;
  if (sinceMs < untilMs && untilMs - sinceMs <= MAX_WINDOW_MS) return { sinceMs, untilMs };
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "The window of time ends before it begins, or is longer than two years.",
  });
}
