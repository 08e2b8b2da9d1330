/** The outside source of the policies: looked at on a schedule, proposed, and taken over only by a person. */
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/configuration";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { ChangeSignal, mergeSignals } from "../../async/signal.ts";
import type { Workspace } from "../../policies/workspace.ts";
import { workspacePath } from "../../policies/workspace-path.ts";
import type { Clock, Logger } from "../../ports.ts";
import { boundedReason, boundedTicket, type Guard } from "../../rpc/guard.ts";
import type { SettingsTable } from "../../store/settings-table.ts";
import type { Store } from "../../store/store.ts";
import type { StoredVersion } from "../../store/versions-table.ts";
import type { MeaningOfChanges } from "../../versions/meaning.ts";
import type { SidePorts } from "../../versions/sides.ts";
import { VersionWriter } from "../../versions/version-wire.ts";
import { folderAdapter } from "./folder-adapter.ts";
import { gitAdapter } from "./git-adapter.ts";
import { type Proposal, type ProposedChange, propose } from "./proposal.ts";
import { SourceBases } from "./source-bases.ts";
import type { SourceAdapter, SourceState } from "./source-files.ts";
import { checkedSource, keepSource, readSource } from "./source-settings.ts";

/** Editors write a file in several steps. */
const QUIET_MS = 400;
/** Where the system tells nothing of changes (network file systems). */
const FOLDER_INTERVAL_MS = 15_000;

export interface SourcePorts extends SidePorts {
  readonly store: Store;
  readonly settings: SettingsTable;
  readonly workspace: Workspace;
  readonly meaning: MeaningOfChanges;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stateDir: string;
  readonly userName: string;
  /** Tests only: a git repository on this machine. */
  readonly allowsFiles?: boolean;
}

export class PolicySource {
  readonly #ports: SourcePorts;
  readonly #bases: SourceBases;
  readonly #changes = new ChangeSignal();
  #key = "";
  #state: SourceState | null = null;
  #checkedAtMs: number | null = null;
  #failure: Failure | null = null;
  #checking: Promise<void> | null = null;

  constructor(ports: SourcePorts) {
    this.#ports = ports;
    this.#bases = new SourceBases(ports.store);
  }

  routes(guard: Guard) {
    return {
      watchSource: guard.stream((_request: wire.WatchSourceRequest, signal) => this.watch(signal)),
      setSource: guard.unary(async (request: wire.SetSourceRequest, signal) => {
        await this.#set(checkedSource(request.settings, this.#ports.allowsFiles), signal);
        return create(wire.SetSourceResponseSchema, { status: this.status() });
      }),
      removeSource: guard.unary(async (_request: wire.RemoveSourceRequest, signal) => {
        await this.#set(null, signal);
        return create(wire.RemoveSourceResponseSchema);
      }),
      refreshSource: guard.unary(async (_request: wire.RefreshSourceRequest, signal) => {
        this.#required();
        await this.refresh(signal);
        return create(wire.RefreshSourceResponseSchema, { status: this.status() });
      }),
      getProposal: guard.unary((_request: wire.GetProposalRequest, signal) => this.proposal(signal)),
      takeProposal: guard.unary((request: wire.TakeProposalRequest, signal) => this.take(request, signal)),
      publishToSource: guard.unary((request: wire.PublishToSourceRequest, signal) => this.publish(request, signal)),
    };
  }

  /** Looks again and again until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const source = readSource(this.#ports.settings);
      const seen = this.#changes.version;
      if (!source) {
        await this.#changes.wait(seen, FOLDER_INTERVAL_MS, signal);
        continue;
      }
      await this.refresh(signal);
      const intervalMs = source.kind.case === "git" ? source.kind.value.intervalSeconds * 1000 : FOLDER_INTERVAL_MS;
      const told = new ChangeSignal();
      const stop = this.#adapter(source)?.watch?.(() => told.notify());
      const both = mergeSignals([this.#changes, told]);
      try {
        // Another source, or a change of the folder; then it has to be quiet for a moment.
        while (!signal.aborted && told.version === 0 && this.#isSame(source)) {
          const before = both.changes.version;
          await both.changes.wait(before, intervalMs, signal);
          if (both.changes.version === before) break;
        }
        for (let quiet = false; !signal.aborted && told.version > 0 && !quiet; ) {
          const before = told.version;
          await this.#ports.clock.sleep(QUIET_MS, signal);
          quiet = told.version === before;
        }
      } finally {
        stop?.();
        both.dispose();
      }
    }
  }

  async *watch(signal: AbortSignal) {
    const merged = mergeSignals([this.#changes, this.#ports.workspace.changes]);
    try {
      let shown = "";
      for (let sequence = 1n; !signal.aborted; ) {
        const seen = merged.changes.version;
        const status = this.status();
        const key = JSON.stringify(status, (_name, value) => (typeof value === "bigint" ? String(value) : value));
        if (key !== shown) {
          shown = key;
          yield create(wire.WatchSourceResponseSchema, { sequence: sequence++, status });
        }
        await merged.changes.wait(seen, 5_000, signal);
        this.#ports.workspace.refresh();
      }
    } finally {
      merged.dispose();
    }
  }

  status(): wire.SourceStatus {
    const settings = readSource(this.#ports.settings);
    const status = create(wire.SourceStatusSchema, { isChecking: this.#checking !== null });
    if (!settings) return status;
    status.settings = settings;
    if (this.#failure) status.error = failureToDetail(this.#failure);
    if (!this.#state || this.#key !== keyOf(settings)) return status;
    const { changes, unpublished } = this.#propose(this.#state);
    const count = (...actions: wire.ProposedAction[]) =>
      changes.filter(({ action }) => actions.includes(action)).length;
    return Object.assign(status, {
      ...(this.#checkedAtMs === null ? {} : { checkedAt: timestampFromMs(this.#checkedAtMs) }),
      revision: this.#state.revision,
      revisionText: this.#state.revisionText,
      addedCount: count(wire.ProposedAction.ADD),
      changedCount: count(wire.ProposedAction.REPLACE, wire.ProposedAction.MERGE),
      removedCount: count(wire.ProposedAction.REMOVE),
      conflictCount: count(wire.ProposedAction.CONFLICT),
      unpublishedCount: unpublished.size,
      leftOutCount: this.#state.leftOutCount,
    });
  }

  /** What was read before stays when it fails; the status says why. */
  async refresh(signal: AbortSignal): Promise<void> {
    this.#checking ??= this.#read(signal).finally(() => {
      this.#checking = null;
      this.#changes.notify();
    });
    return this.#checking;
  }

  async proposal(signal: AbortSignal) {
    const { state, proposal } = await this.#now(signal);
    const { workspace, meaning } = this.#ports;
    const { files } = workspace.snapshot();
    const next = new Map<string, string>(files.map(({ path, text }) => [path, text]));
    for (const { path, action, result } of proposal.changes) {
      if (action === wire.ProposedAction.CONFLICT) continue;
      if (result === null) next.delete(path);
      else next.set(path, result);
    }
    return create(wire.GetProposalResponseSchema, {
      proposalId: this.#idOf(state),
      files: proposal.changes.map(toWireFile),
      meaning: meaning.compare(
        files,
        [...next].map(([path, text]) => ({ path, text })),
      ),
      status: this.status(),
    });
  }

  async take(request: wire.TakeProposalRequest, signal: AbortSignal) {
    const { workspace, store, userName } = this.#ports;
    const ticket = boundedTicket(request.ticket);
    const reason = boundedReason(request.reason);
    const { state, proposal } = await this.#now(signal);
    if (request.proposalId !== this.#idOf(state)) throw stale();
    const resolved = new Map(request.resolved.map(({ path, text }) => [workspacePath(path), text ?? null]));
    const wanted = proposal.changes.filter(({ path, action }) => {
      const isNamed = request.paths.length === 0 || request.paths.includes(path) || resolved.has(path);
      return isNamed && (action !== wire.ProposedAction.CONFLICT || resolved.has(path));
    });
    const unknown = [...resolved.keys()].find((path) => !wanted.some((change) => change.path === path));
    if (unknown !== undefined || wanted.length === 0) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message:
          unknown === undefined ? "There is nothing to take over." : `The source proposes nothing for ${unknown}.`,
        hint: "Files that both sides changed in one place have to be merged first.",
      });
    }
    const texts = new Map(
      wanted.map(({ path, result }) => [path, resolved.has(path) ? (resolved.get(path) ?? null) : result]),
    );
    const from = state.revision === "" ? "the watched folder" : `commit ${state.revision.slice(0, 12)}`;
    const words = reason || `Taken from ${from}`;
    const version: StoredVersion = store.transaction(() => {
      this.#bases.note(new Map(wanted.map(({ path, theirs }) => [path, theirs])));
      return workspace.change(texts, { author: userName, reason: words, ticket, kind: "source" });
    });
    this.#changes.notify();
    return create(wire.TakeProposalResponseSchema, {
      version: new VersionWriter(this.#ports).entry(version, new Set([version.id])),
      status: this.status(),
    });
  }

  async publish(request: wire.PublishToSourceRequest, signal: AbortSignal) {
    const { workspace, userName } = this.#ports;
    const reason = boundedReason(request.reason);
    const ticket = boundedTicket(request.ticket);
    if (reason === "")
      throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "Say why: it becomes the message." });
    // As it is now, so that nobody's work is written over: a look that goes on already may have begun too early.
    await this.#checking;
    await this.refresh(signal);
    if (this.#failure) throw this.#failure;
    const { source, state, proposal } = await this.#now(signal);
    if (proposal.changes.length > 0) {
      throw new Failure({
        code: ErrorCode.REVISION_CONFLICT,
        message: "The source has changes that this workspace has not taken over. Nothing was published.",
        hint: "Take them over first; then publish.",
      });
    }
    if (proposal.unpublished.size > 0) {
      workspace.recordVersion(userName, reason, { kind: "kept", ticket });
      const message = ticket === "" ? `${reason}\n` : `${reason}\n\nTicket: ${ticket}\n`;
      const revision = await this.#required(source).write(proposal.unpublished, message, userName, signal);
      this.#bases.note(proposal.unpublished);
      const files = new Map(state.files);
      for (const [path, text] of proposal.unpublished) {
        if (text === null) files.delete(path);
        else files.set(path, text);
      }
      this.#state = { ...state, files, revision, revisionText: revision === "" ? "" : `${userName}: ${reason}` };
      this.#changes.notify();
    }
    return create(wire.PublishToSourceResponseSchema, {
      revision: this.#state?.revision ?? "",
      fileCount: proposal.unpublished.size,
      status: this.status(),
    });
  }

  async #set(source: wire.SourceSettings | null, signal: AbortSignal): Promise<void> {
    await this.#checking;
    const { store, settings, stateDir } = this.#ports;
    store.transaction(() => {
      keepSource(settings, source);
      this.#bases.clear();
    });
    rmSync(join(stateDir, "source.git"), { recursive: true, force: true });
    this.#state = null;
    this.#failure = null;
    this.#key = "";
    if (source) await this.refresh(signal);
    this.#changes.notify();
  }

  async #read(signal: AbortSignal): Promise<void> {
    const source = readSource(this.#ports.settings);
    if (!source) return;
    const adapter = this.#adapter(source);
    if (!adapter) return;
    const key = keyOf(source);
    if (key !== this.#key) this.#state = null;
    try {
      const state = await adapter.read(signal);
      this.#key = key;
      this.#state = state;
      this.#failure = null;
      this.#checkedAtMs = this.#ports.clock.nowMs();
      this.#bases.note(this.#propose(state).agreed);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Failure)) throw error;
      this.#failure = error;
      this.#ports.logger.warn({ code: error.code, problem: error.message }, "source of policies not read");
    }
  }

  async #now(signal: AbortSignal) {
    const source = readSource(this.#ports.settings);
    this.#required(source);
    if (!this.#state || !source || this.#key !== keyOf(source)) await this.refresh(signal);
    if (!this.#state || !source) throw this.#failure ?? noSource();
    return { source, state: this.#state, proposal: this.#propose(this.#state) };
  }

  #propose({ files }: SourceState): Proposal {
    const mine = new Map(this.#ports.workspace.snapshot().files.map(({ path, text }) => [path, text]));
    return propose(this.#bases.all(), mine, files);
  }

  #idOf({ files, revision }: SourceState): string {
    const hash = createHash("sha256").update(`${revision}\n${this.#ports.workspace.snapshot().stateDigest}\n`);
    for (const [path, text] of files) hash.update(`${JSON.stringify([path, text])}\n`);
    return hash.digest("hex");
  }

  #isSame(source: wire.SourceSettings): boolean {
    const now = readSource(this.#ports.settings);
    return now !== null && keyOf(now) === keyOf(source);
  }

  #adapter({ kind }: wire.SourceSettings): SourceAdapter | null {
    if (kind.case === "folder") return folderAdapter(kind.value.path);
    if (kind.case === "git") return gitAdapter(kind.value, this.#ports.stateDir, this.#ports.allowsFiles);
    return null;
  }

  #required(source = readSource(this.#ports.settings)): SourceAdapter {
    const adapter = source && this.#adapter(source);
    if (!adapter) throw noSource();
    return adapter;
  }
}

function keyOf(source: wire.SourceSettings): string {
  return JSON.stringify([source.kind.case, source.kind.value]);
}

function toWireFile({ path, action, base, mine, theirs, result }: ProposedChange) {
  return {
    ...{ path, action },
    ...(base === null ? {} : { base }),
    ...(mine === null ? {} : { mine }),
    ...(theirs === null ? {} : { theirs }),
    ...(result === null ? {} : { result }),
  };
}

function noSource(): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: "No folder and no git remote is watched.",
    hint: "Set one: `wardline config source folder /srv/policies`.",
  });
}

function stale(): Failure {
  return new Failure({
    code: ErrorCode.REVISION_CONFLICT,
    message: "The source or the workspace has changed since you looked. Nothing was taken over.",
    hint: "Look at the proposal again.",
  });
}
