/**
 * What members say of their habits and movements, and what the leader makes of it, as it lies in the store: JSON with a
 * version. Everything read is judged and bounded: another member may have written it, though only under its own name.
 */
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { DetectorKind, type Finding, FindingSchema } from "@wardline/api/wardline/v1/anomaly";
import { FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import type { GroupBaseline, HostSummary } from "@wardline/domain/anomaly";

/** Of one key. */
export const MAX_BYTES = 64 * 1024;
const MAX_FEATURES = 500;
const MAX_MOVEMENTS = 50;
const MAX_EVIDENCE = 8;
const MAX_CHAINS = 500;
const MAX_CHAIN = 50;
/** Movements of longer ago are no longer put together with others. */
export const MOVEMENT_KEPT_MS = 7 * 86_400_000;
const FEATURE = /^[a-z0-9_.:/-]{1,100}$/i;
const ID = /^[A-Za-z0-9._:/-]{1,200}$/;
const GROUP = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const VERSION = 1;

type Features = HostSummary["features"];

export function isGroupName(name: string): boolean {
  return GROUP.test(name);
}

/** Throws when it has more than a key may have. */
export function encodeSummary({ windows, features }: HostSummary): Uint8Array {
  return encode({ windows, features });
}

/** `host` is the member under whose name it lies, whatever it says itself. `null` = it counts for nothing. */
export function decodeSummary(value: Uint8Array, host: string): HostSummary | null {
  const content = decode(value);
  const windows = content?.windows;
  const features = readFeatures(content?.features);
  if (!features || typeof windows !== "number" || !Number.isSafeInteger(windows) || windows <= 0) return null;
  return { host, windows, features };
}

export function encodeGroup(group: GroupBaseline): Uint8Array {
  return encode({ ...group });
}

export function decodeGroup(value: Uint8Array): GroupBaseline | null {
  const content = decode(value);
  const { group, hosts } = content ?? {};
  const features = readFeatures(content?.features);
  if (!features || typeof group !== "string" || !isGroupName(group)) return null;
  return typeof hosts === "number" && Number.isSafeInteger(hosts) && hosts > 0 ? { group, hosts, features } : null;
}

/** What others need to put a movement together; as many of the newest as a key may have. */
export function encodeMovements(findings: readonly Finding[], nowMs: number): Uint8Array | null {
  const short = findings
    .filter(({ lastAt }) => (lastAt ? timestampMs(lastAt) : 0) > nowMs - MOVEMENT_KEPT_MS)
    .slice(0, MAX_MOVEMENTS)
    .map((finding) => toJson(FindingSchema, shortened(finding)));
  while (short.length > 0) {
    try {
      return encode({ findings: short });
    } catch {
      short.pop();
    }
  }
  return null;
}

function shortened(finding: Finding): Finding {
  const { id, host, detector, severity, state, beganAt, lastAt, remote, port, direction } = finding;
  const evidence = finding.evidence.slice(0, MAX_EVIDENCE).map((record) =>
    create(FlowRecordSchema, {
      ...{ direction: record.direction, protocol: record.protocol, destinationPort: record.destinationPort },
      ...{ sourceAddress: record.sourceAddress, destinationAddress: record.destinationAddress },
    }),
  );
  const times = { ...(beganAt ? { beganAt } : {}), ...(lastAt ? { lastAt } : {}) };
  return create(FindingSchema, { id, host, detector, severity, state, remote, port, direction, evidence, ...times });
}

/** Movements of the member under whose name they lie. */
export function decodeMovements(value: Uint8Array, host: string): Finding[] {
  const findings = decode(value)?.findings;
  if (!Array.isArray(findings)) return [];
  return findings.slice(0, MAX_MOVEMENTS).flatMap((json) => {
    try {
      const finding = fromJson(FindingSchema, json as JsonValue, { ignoreUnknownFields: true });
      if (!ID.test(finding.id) || finding.detector !== DetectorKind.LATERAL_MOVEMENT) return [];
      finding.evidence = finding.evidence.slice(0, MAX_EVIDENCE);
      finding.host = host;
      return [finding];
    } catch {
      return [];
    }
  });
}

/** Ids of findings in the order of the movement, by chain. As many as a key may have. */
export function encodeChains(chains: readonly (readonly string[])[]): Uint8Array {
  const kept = chains.slice(-MAX_CHAINS).map((ids) => ids.slice(0, MAX_CHAIN));
  for (;;) {
    try {
      return encode({ chains: kept });
    } catch {
      kept.shift();
    }
  }
}

export function decodeChains(value: Uint8Array): string[][] {
  const chains = decode(value)?.chains;
  if (!Array.isArray(chains)) return [];
  return chains.slice(0, MAX_CHAINS).flatMap((ids: unknown) => {
    if (!Array.isArray(ids)) return [];
    const known = ids.filter((id): id is string => typeof id === "string" && ID.test(id)).slice(0, MAX_CHAIN);
    return known.length > 1 ? [known] : [];
  });
}

function readFeatures(value: unknown): Features | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value).slice(0, MAX_FEATURES);
  const features = entries.flatMap(([key, each]) => {
    const { median, spread } = (each ?? {}) as Record<string, unknown>;
    const isWhole = FEATURE.test(key) && isAmount(median) && isAmount(spread);
    return isWhole ? [[key, { median, spread }] as const] : [];
  });
  return Object.fromEntries(features);
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

function encode(content: object): Uint8Array {
  const bytes = Buffer.from(JSON.stringify({ version: VERSION, ...content }));
  if (bytes.length > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
  return bytes;
}

function decode(value: Uint8Array): Record<string, unknown> | null {
  if (value.length > MAX_BYTES) return null;
  try {
    const content: unknown = JSON.parse(Buffer.from(value).toString("utf8"));
    if (typeof content !== "object" || content === null) return null;
    return (content as Record<string, unknown>).version === VERSION ? (content as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
