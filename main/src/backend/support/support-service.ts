/** Support bundles: collected, redacted and shown; what is downloaded is exactly what was shown. Nothing is sent anywhere. */
import { randomUUID } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { arch, platform, release } from "node:os";
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import * as wire from "@wardline/api/wardline/console/v1/support";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type HostRegistry, hostNameOf } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import type { Guard } from "../rpc/guard.ts";
import type { SettingsFiles } from "../settings/settings-files.ts";
import type { Store } from "../store/store.ts";
import { CONSOLE_BUILD, CONSOLE_VERSION } from "../version.ts";
import { type Redacted, Redactor } from "./redact.ts";
import { tarOf } from "./tar.ts";

const KEPT_MS = 600_000;
const MOST_PREVIEWS = 3;
const LOG_TAIL_BYTES = 256 * 1024;
const CHUNK_BYTES = 64 * 1024;
const COUNTED = ["files", "versions", "receipts", "rollouts", "jobs", "flows", "managed_hosts", "audit_entries"];

export interface SupportPorts {
  readonly registry: HostRegistry;
  readonly store: Store;
  readonly settings: SettingsFiles;
  readonly clock: Clock;
  readonly logPath: string;
  readonly userName: string;
  readonly hostName: string;
}

interface CollectedFile {
  readonly path: string;
  readonly about: string;
  readonly text: string;
}

interface Preview {
  readonly id: string;
  readonly madeAtMs: number;
  readonly files: readonly (CollectedFile & Pick<Redacted, "counts">)[];
  readonly archive: Buffer;
}

const NEVER_INCLUDED = [
  "Texts of policies and inventory, keys, tokens, passwords, answers, and the environment are never in it.",
  "Flow records and audit entries are not in it, only how many there are.",
];

export class SupportServiceImpl {
  readonly #ports: SupportPorts;
  readonly #previews = new Map<string, Preview>();

  constructor(ports: SupportPorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof wire.SupportService> {
    return {
      previewSupportBundle: guard.unary((request: wire.PreviewSupportBundleRequest) => this.preview(request)),
      getSupportFile: guard.unary((request: wire.GetSupportFileRequest) => this.file(request)),
      downloadSupportBundle: guard.stream((request: wire.DownloadSupportBundleRequest) => this.download(request)),
    };
  }

  preview({ plainAddresses }: wire.PreviewSupportBundleRequest): wire.PreviewSupportBundleResponse {
    const { clock, registry, userName, hostName } = this.#ports;
    const missing: string[] = [];
    const hosts = registry.hosts.flatMap((host) => [hostNameOf(host), host.id, host.record.alias]);
    const names = [...hosts.filter((name) => name !== "local"), userName, hostName];
    const redactor = new Redactor({ hasPlainAddresses: plainAddresses, names, secrets: secretsOfEnvironment() });
    const files = this.#collect(missing).map((file) => ({ ...file, ...redactor.redact(file.text) }));
    const madeAtMs = clock.nowMs();
    const preview = { id: randomUUID(), madeAtMs, files, archive: gzipSync(tarOf(files, madeAtMs)) };
    this.#keep(preview);
    return create(wire.PreviewSupportBundleResponseSchema, {
      previewId: preview.id,
      files: files.map(({ path, about, text, counts }) => ({
        ...{ path, about, sizeBytes: BigInt(Buffer.byteLength(text)) },
        redactions: [...counts].map(([kind, count]) => ({ kind, count })),
      })),
      madeAt: timestampFromMs(madeAtMs),
      fileName: `wardline-support-${new Date(madeAtMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}.tar.gz`,
      archiveBytes: BigInt(preview.archive.length),
      missing,
      neverIncluded: NEVER_INCLUDED,
    });
  }

  file({ previewId, path }: wire.GetSupportFileRequest): wire.GetSupportFileResponse {
    const file = this.#preview(previewId).files.find((candidate) => candidate.path === path);
    if (file) return create(wire.GetSupportFileResponseSchema, { text: file.text });
    throw new Failure({ code: ErrorCode.NOT_FOUND, message: "The bundle has no such file." });
  }

  async *download({
    previewId,
  }: wire.DownloadSupportBundleRequest): AsyncGenerator<wire.DownloadSupportBundleResponse> {
    const { archive } = this.#preview(previewId);
    for (let at = 0; at < archive.length; at += CHUNK_BYTES)
      yield create(wire.DownloadSupportBundleResponseSchema, { chunk: archive.subarray(at, at + CHUNK_BYTES) });
  }

  #keep(preview: Preview): void {
    this.#previews.set(preview.id, preview);
    for (const { id, madeAtMs } of [...this.#previews.values()])
      if (preview.madeAtMs - madeAtMs > KEPT_MS || this.#previews.size > MOST_PREVIEWS) this.#previews.delete(id);
  }

  #preview(id: string): Preview {
    const preview = this.#previews.get(id);
    if (preview && this.#ports.clock.nowMs() - preview.madeAtMs <= KEPT_MS) return preview;
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: "What was collected is no longer kept: previews last ten minutes.",
      hint: "Collect it again.",
    });
  }

  #collect(missing: string[]): CollectedFile[] {
    const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
    const files: CollectedFile[] = [];
    const add = (path: string, about: string, text: () => string) => {
      try {
        files.push({ path, about, text: text() });
      } catch (error) {
        missing.push(`${path} is not in it: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    add("versions.json", "versions of this console and machine", () => json(versions()));
    add("settings.json", "settings in force, and what is wrong with the file", () => json(this.#settings()));
    add("hosts.json", "how each host stands", () => json(this.#hosts()));
    add("statistics.json", "how much of everything there is", () => json(this.#statistics()));
    add("console.log", "the end of the console's log", () => tailOf(this.#ports.logPath));
    return files;
  }

  #settings() {
    const { values, facts, problems, isBroken, isSafeMode, lockedPath } = this.#ports.settings.snapshot();
    return {
      values,
      facts,
      problems: problems.map(({ code, source }) => ({ code, line: source.line })),
      isBroken,
      isSafeMode,
      lockedPath,
    };
  }

  #hosts() {
    return this.#ports.registry.hosts.map((host) => {
      const { reachability, problem, status, lastHeardAtMs } = host.connection.state;
      return {
        name: hostNameOf(host),
        isLocal: host.local,
        reachability: Reachability[reachability],
        problem: problem && { code: ErrorCode[problem.code], message: problem.message },
        lastHeardAt: lastHeardAtMs > 0 ? new Date(lastHeardAtMs).toISOString() : null,
        agentVersion: status?.info?.agentVersion ?? "",
        backend: status?.info ? BackendKind[status.info.backend] : "",
        generation: Number(status?.enforced?.number ?? 0n),
        isAttached: status?.attached ?? false,
        isPending: status?.pending !== undefined,
        problems: status?.problems ?? [],
      };
    });
  }

  #statistics() {
    const { store } = this.#ports;
    const rows: Record<string, number | string> = {};
    for (const table of COUNTED) {
      try {
        rows[table] = store.get<{ count: number }>(`SELECT count(*) AS count FROM ${table}`)?.count ?? 0;
      } catch {
        rows[table] = "no such table";
      }
    }
    const { rss, heapUsed } = process.memoryUsage();
    return { rows, residentBytes: rss, heapBytes: heapUsed, uptimeSeconds: Math.round(process.uptime()) };
  }
}

function versions() {
  return {
    ...{ wardline: CONSOLE_VERSION, build: CONSOLE_BUILD, node: process.version },
    ...{ platform: platform(), release: release(), arch: arch() },
  };
}

/** Values of variables that are named like secrets: none of them may be in a log that is given away. */
function secretsOfEnvironment(environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  return Object.entries(environment).flatMap(([name, value]) =>
    value && value.length >= 6 && /pass|secret|token|key|credential|auth/i.test(name) ? [value] : [],
  );
}

/** Whole lines. */
function tailOf(path: string): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    const text = buffer.toString("utf8");
    return size > buffer.length ? text.slice(text.indexOf("\n") + 1) : text;
  } finally {
    closeSync(file);
  }
}
