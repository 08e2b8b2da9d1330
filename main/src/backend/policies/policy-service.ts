import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/policies";
import { createPolicyReader } from "@wardline/domain/policy";
import { toWireDiagnostic } from "@wardline/domain/wire";
import { mergeSignals } from "../async/signal.ts";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import type { FlowReplays } from "../replay/flow-replays.ts";
import { boundedReason, boundedTicket, type Guard, pageSize, safeNumber } from "../rpc/guard.ts";
import type { StoredVersion, VersionsTable } from "../store/versions-table.ts";
import { explain } from "./explain.ts";
import { importFiles, previewImport } from "./import-service.ts";
import { requireWorkspaceBounds } from "./limits.ts";
import { simulatePolicies } from "./simulate.ts";
import { summarizeDocuments, summarizeFiles } from "./summaries.ts";
import type { Workspace } from "./workspace.ts";
import { workspacePath } from "./workspace-path.ts";

/** How soon a change by another process (the command line) shows. */
const POLL_INTERVAL_MS = 500;
const MAX_VERSIONS = 1000;

export interface PolicyServicePorts {
  readonly workspace: Workspace;
  readonly versions: VersionsTable;
  readonly registry: HostRegistry;
  readonly replays: FlowReplays;
  readonly clock: Clock;
  readonly userName: string;
}

export class PolicyServiceImpl {
  readonly #ports: PolicyServicePorts;
  /** Keeps what it read: one check of an editor is much like the one before. */
  readonly #checkReader = createPolicyReader();

  constructor(ports: PolicyServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof wire.PolicyService> {
    const { workspace } = this.#ports;
    return {
      watchWorkspace: guard.stream((_request: wire.WatchWorkspaceRequest, signal) => this.watch(signal)),
      getFile: guard.unary((request: wire.GetFileRequest) => {
        const { path, text, revision } = workspace.file(request.path);
        return create(wire.GetFileResponseSchema, { path, text, revision: BigInt(revision) });
      }),
      saveFile: guard.unary((request: wire.SaveFileRequest) => this.save(request)),
      renameFile: guard.unary((request: wire.RenameFileRequest) => {
        workspace.file(request.path);
        workspace.recordBefore(this.#ports.userName, `renaming ${request.path}`);
        workspace.rename(request.path, request.newPath);
        return create(wire.RenameFileResponseSchema);
      }),
      deleteFile: guard.unary((request: wire.DeleteFileRequest) => {
        workspace.file(request.path);
        workspace.recordBefore(this.#ports.userName, `deleting ${request.path}`);
        workspace.delete(request.path, safeNumber(request.baseRevision, "The base revision"));
        return create(wire.DeleteFileResponseSchema);
      }),
      previewImport: guard.unary((request: wire.PreviewImportRequest) =>
        create(wire.PreviewImportResponseSchema, { files: previewImport(workspace, request.files) }),
      ),
      importFiles: guard.unary((request: wire.ImportFilesRequest) =>
        create(wire.ImportFilesResponseSchema, {
          files: importFiles(workspace, request.files, {
            author: this.#ports.userName,
            reason: boundedReason(request.reason),
            ticket: boundedTicket(request.ticket),
          }),
        }),
      ),
      check: guard.unary((request: wire.CheckRequest) => this.check(request)),
      simulatePolicies: guard.stream((request: wire.SimulatePoliciesRequest, signal) =>
        simulatePolicies(this.#ports, request, signal),
      ),
      explain: guard.unary((request: wire.ExplainRequest) => explain(this.#ports, request)),
      listVersions: guard.unary((request: wire.ListVersionsRequest) => this.listVersions(request)),
      getVersion: guard.unary((request: wire.GetVersionRequest) => this.getVersion(request)),
      restoreVersion: guard.unary((request: wire.RestoreVersionRequest) => {
        const version = workspace.restore(request.id, this.#ports.userName, boundedReason(request.reason));
        return create(wire.RestoreVersionResponseSchema, { version: toWireVersion(version) });
      }),
    };
  }

  /** The workspace at once, then after each change of a file or of the enforced state. */
  async *watch(signal: AbortSignal) {
    const { workspace, registry } = this.#ports;
    const { enforced } = registry.local;
    const merged = mergeSignals([workspace.changes, enforced.changes]);
    try {
      let shown = "";
      for (let sequence = 1n; !signal.aborted; ) {
        const seen = merged.changes.version;
        const snapshot = workspace.snapshot();
        const state = `${snapshot.revision} ${snapshot.readAtUnixMs} ${enforced.changes.version}`;
        if (state !== shown) {
          shown = state;
          yield create(wire.WatchWorkspaceResponseSchema, {
            sequence: sequence++,
            files: summarizeFiles(snapshot, enforced.latest),
            diagnostics: snapshot.reading.diagnostics.map(toWireDiagnostic),
            stateDigest: snapshot.stateDigest,
          });
        }
        await merged.changes.wait(seen, POLL_INTERVAL_MS, signal);
        workspace.refresh();
      }
    } finally {
      merged.dispose();
    }
  }

  /** Saves the text even when it has problems: a draft is a draft. The answer says what is wrong with it. */
  save(request: wire.SaveFileRequest) {
    const { workspace } = this.#ports;
    const path = workspacePath(request.path);
    const revision = workspace.save(path, request.text, safeNumber(request.baseRevision, "The base revision"));
    const { diagnostics } = workspace.snapshot().reading;
    return create(wire.SaveFileResponseSchema, {
      revision: BigInt(revision),
      diagnostics: diagnostics.filter(({ source }) => source.file === path).map(toWireDiagnostic),
    });
  }

  check(request: wire.CheckRequest) {
    const texts = new Map<string, string>();
    if (!request.standalone) {
      for (const file of this.#ports.workspace.snapshot().files) texts.set(file.path, file.text);
    }
    for (const file of request.files) texts.set(workspacePath(file.path), file.text);
    const files = [...texts].map(([path, text]) => ({ path, text })).sort((a, b) => (a.path < b.path ? -1 : 1));
    requireWorkspaceBounds(
      files.length,
      files.reduce((sum, file) => sum + Buffer.byteLength(file.text), 0),
    );
    const reading = this.#checkReader.read(files, { nowUnixMs: this.#ports.clock.nowMs() });
    return create(wire.CheckResponseSchema, {
      diagnostics: reading.diagnostics.map(toWireDiagnostic),
      documents: [...summarizeDocuments(reading).values()].flat(),
    });
  }

  listVersions(request: wire.ListVersionsRequest) {
    const versions = this.#ports.versions.list(pageSize(request.limit, 100, MAX_VERSIONS));
    return create(wire.ListVersionsResponseSchema, { versions: versions.map(toWireVersion) });
  }

  getVersion(request: wire.GetVersionRequest) {
    const version = this.#ports.versions.get(request.id);
    return create(wire.GetVersionResponseSchema, {
      version: toWireVersion(version),
      files: this.#ports.versions.files(version.id),
    });
  }
}

function toWireVersion(version: StoredVersion): wire.Version {
  return create(wire.VersionSchema, {
    id: version.id,
    number: BigInt(version.number),
    createdAt: timestampFromMs(version.createdAtMs),
    author: version.author,
    reason: version.reason,
    fileCount: version.fileCount,
    policyCount: version.policyCount,
  });
}
