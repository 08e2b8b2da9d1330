/** The workspace: drafts of every policy and inventory file, read as one whole whenever something changed. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { createPolicyReader, nextExpiryNoticeUnixMs, type ReadResult, stateDigest } from "@wardline/domain/policy";
import { ChangeSignal } from "../async/signal.ts";
import type { Clock } from "../ports.ts";
import { type FilesTable, noSuchFile, type StoredFile } from "../store/files-table.ts";
import type { Store } from "../store/store.ts";
import type { StoredVersion, VersionKind, VersionsTable } from "../store/versions-table.ts";
import { requireWorkspaceBounds, tooLargeFile, WORKSPACE_LIMITS } from "./limits.ts";
import { workspacePath } from "./workspace-path.ts";

export interface WorkspaceSnapshot {
  /** Grows with every change, by any process. */
  readonly revision: number;
  /** Sorted by path. */
  readonly files: readonly StoredFile[];
  readonly readAtUnixMs: number;
  readonly reading: ReadResult;
  /** 64 hex digits: the id that a version with this content has. */
  readonly stateDigest: string;
}

/** Why and by whom the files change. */
export interface WorkspaceEvent {
  readonly author: string;
  readonly reason: string;
  readonly ticket?: string;
  readonly kind: VersionKind;
}

export interface WorkspacePorts {
  readonly store: Store;
  readonly files: FilesTable;
  readonly versions: VersionsTable;
  readonly clock: Clock;
}

export class Workspace {
  readonly changes = new ChangeSignal();
  readonly #ports: WorkspacePorts;
  /** Keeps what it read, because a save changes one document of many. */
  readonly #reader = createPolicyReader();
  /** Texts that a full disk kept out of the store, until a later save succeeds. */
  readonly #unsaved = new Map<string, string>();
  #snapshot: WorkspaceSnapshot | null = null;
  /** When a policy of the snapshot expires, or soon will, and the reading would say so. */
  #snapshotEndsUnixMs = Number.POSITIVE_INFINITY;
  #dataVersion = -1;

  constructor(ports: WorkspacePorts) {
    this.#ports = ports;
  }

  snapshot(): WorkspaceSnapshot {
    const revision = this.#ports.files.workspaceRevision();
    const nowUnixMs = this.#ports.clock.nowMs();
    if (this.#snapshot?.revision === revision && nowUnixMs < this.#snapshotEndsUnixMs) return this.#snapshot;
    // One transaction, so that files and revision belong together while another process writes.
    this.#snapshot = this.#ports.store.database.transaction((): WorkspaceSnapshot => {
      const files = this.#ports.files.all();
      return {
        revision: this.#ports.files.workspaceRevision(),
        files,
        readAtUnixMs: nowUnixMs,
        reading: this.#reader.read(files, { nowUnixMs }),
        stateDigest: stateDigest(files),
      };
    })();
    const { policies } = this.#snapshot.reading.world;
    this.#snapshotEndsUnixMs = nextExpiryNoticeUnixMs(policies, nowUnixMs) ?? Number.POSITIVE_INFINITY;
    return this.#snapshot;
  }

  /** Notices what another process has changed. Cheap: one pragma when nothing happened. */
  refresh(): void {
    const dataVersion = this.#ports.store.dataVersion();
    if (dataVersion === this.#dataVersion) return;
    this.#dataVersion = dataVersion;
    if (this.#snapshot && this.#ports.files.workspaceRevision() !== this.#snapshot.revision) this.changes.notify();
  }

  /** @throws Failure NOT_FOUND. A text that could not be saved for want of space is given instead of the stored one. */
  file(givenPath: string): StoredFile {
    const path = workspacePath(givenPath);
    const stored = this.#ports.files.find(path);
    const unsaved = this.#unsaved.get(path);
    if (unsaved !== undefined) {
      return { path, text: unsaved, revision: stored?.revision ?? 0, modifiedAtMs: this.#ports.clock.nowMs() };
    }
    if (stored) return stored;
    throw noSuchFile(path);
  }

  /** Returns the new revision. @throws Failure ALREADY_EXISTS, REVISION_CONFLICT, TOO_LARGE, DISK_FULL. */
  save(givenPath: string, text: string, baseRevision: number): number {
    const path = workspacePath(givenPath);
    this.#requireBounds([{ path, text }]);
    try {
      const revision = this.#ports.files.save(path, text, baseRevision, this.#ports.clock.nowMs());
      this.#unsaved.delete(path);
      this.changes.notify();
      return revision;
    } catch (error) {
      if (error instanceof Failure && error.code === ErrorCode.DISK_FULL) this.#unsaved.set(path, text);
      throw error;
    }
  }

  rename(path: string, newPath: string): void {
    const from = workspacePath(path);
    this.#ports.files.rename(from, workspacePath(newPath), this.#ports.clock.nowMs());
    this.#unsaved.delete(from);
    this.changes.notify();
  }

  delete(givenPath: string, baseRevision: number): void {
    const path = workspacePath(givenPath);
    this.#ports.files.delete(path, baseRevision);
    this.#unsaved.delete(path);
    this.changes.notify();
  }

  /** Adds or replaces, all or none. Paths are canonical already. */
  putAll(files: readonly { path: string; text: string }[]): void {
    if (files.length === 0) return;
    this.#requireBounds(files);
    this.#ports.store.transaction(() => {
      for (const file of files) this.#ports.files.put(file.path, file.text, this.#ports.clock.nowMs());
    });
    this.changes.notify();
  }

  /**
   * Makes the files the whole workspace. What was there before, when it differs, is kept as a version of its own.
   * @throws Failure INVALID_ARGUMENT (a name), TOO_LARGE, DISK_FULL
   */
  replaceAll(given: readonly { path: string; text: string }[], author: string, reason: string): void {
    const files = given.map(({ path, text }) => ({ path: workspacePath(path), text }));
    this.#requireWholeBounds(files);
    if (stateDigest(files) === this.snapshot().stateDigest) return;
    this.#allOrNothing(() => {
      if (this.snapshot().files.length > 0) this.recordVersion(author, reason, { kind: "before" });
      this.#ports.files.replaceAll(files, this.#ports.clock.nowMs());
    });
    this.#unsaved.clear();
    this.changes.notify();
  }

  /** Keeps the workspace as it stands as a version. */
  recordVersion(
    author: string,
    reason: string,
    event: Partial<Pick<WorkspaceEvent, "kind" | "ticket">> = {},
  ): StoredVersion {
    const { files, stateDigest: id, reading } = this.snapshot();
    const policyCount = reading.world.policies.length;
    return this.#ports.versions.record({ id, files, author, reason, policyCount, ...event }, this.#ports.clock.nowMs());
  }

  /**
   * Changes files (`null` deletes) as one event: what was there before and is in no version yet becomes one, what is there
   * afterwards is the version that is returned. All or nothing.
   * @throws Failure INVALID_ARGUMENT (a name), TOO_LARGE, DISK_FULL
   */
  change(given: ReadonlyMap<string, string | null>, event: WorkspaceEvent): StoredVersion {
    const changes = new Map([...given].map(([path, text]) => [workspacePath(path), text] as const));
    const { files, clock } = this.#ports;
    const version = this.#allOrNothing(() => {
      this.recordBefore(event.author, event.reason);
      const next = new Map<string, string>(this.snapshot().files.map(({ path, text }) => [path, text]));
      for (const [path, text] of changes) {
        if (text === null) next.delete(path);
        else next.set(path, text);
      }
      this.#requireWholeBounds([...next].map(([path, text]) => ({ path, text })));
      files.replaceAll(
        [...next].map(([path, text]) => ({ path, text })),
        clock.nowMs(),
      );
      return this.recordVersion(event.author, event.reason, event);
    });
    for (const path of changes.keys()) this.#unsaved.delete(path);
    this.changes.notify();
    return version;
  }

  /** Keeps what is about to go, unless the newest version has it. */
  recordBefore(author: string, reason: string): void {
    if (this.snapshot().files.length === 0) return;
    this.recordVersion(author, `Before: ${reason}`.slice(0, 500), { kind: "before" });
  }

  /** Makes a version the workspace again. What was there before is kept as a version of its own. */
  restore(id: string, author: string, reason: string, ticket = ""): StoredVersion {
    const { versions, files, clock } = this.#ports;
    const restored = this.#allOrNothing(() => {
      const version = versions.get(id);
      if (this.snapshot().files.length > 0) {
        this.recordVersion(author, `Before restoring version ${version.number}`, { kind: "before" });
      }
      files.replaceAll(versions.files(id), clock.nowMs());
      return this.recordVersion(author, reason || `Restored version ${version.number}`, { kind: "restored", ticket });
    });
    this.#unsaved.clear();
    this.changes.notify();
    return restored;
  }

  #requireWholeBounds(files: readonly { path: string; text: string }[]): void {
    let sizeBytes = 0;
    for (const { path, text } of files) {
      const fileSizeBytes = Buffer.byteLength(text);
      if (fileSizeBytes > WORKSPACE_LIMITS.fileSizeBytes) throw tooLargeFile(path, fileSizeBytes);
      sizeBytes += fileSizeBytes;
    }
    requireWorkspaceBounds(files.length, sizeBytes);
  }

  /** A snapshot taken inside a transaction that fails is of a state that never was. */
  #allOrNothing<Result>(body: () => Result): Result {
    try {
      return this.#ports.store.transaction(body);
    } catch (error) {
      this.#snapshot = null;
      throw error;
    }
  }

  #requireBounds(files: readonly { path: string; text: string }[]): void {
    let sizeBytes = 0;
    for (const file of files) {
      const fileSizeBytes = Buffer.byteLength(file.text);
      if (fileSizeBytes > WORKSPACE_LIMITS.fileSizeBytes) throw tooLargeFile(file.path, fileSizeBytes);
      sizeBytes += fileSizeBytes;
    }
    const others = this.#ports.files.totals(files.map((file) => file.path));
    requireWorkspaceBounds(others.fileCount + files.length, others.sizeBytes + sizeBytes);
  }
}
