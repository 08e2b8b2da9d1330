/** Versions of the workspace: search, comparison by text and by meaning, blame, keeping and putting back. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { ChangeKind, type FileChange, FileChangeSchema } from "@wardline/api/wardline/console/v1/ship";
import * as wire from "@wardline/api/wardline/console/v1/versions";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toWireDiagnostic } from "@wardline/domain/wire";
import { workspacePath } from "../policies/workspace-path.ts";
import type { Clock } from "../ports.ts";
import { boundedReason, boundedTicket, type Guard, pageSize, safeNumber } from "../rpc/guard.ts";
import { FileBlame } from "./file-blame.ts";
import { MeaningOfChanges } from "./meaning.ts";
import { namedVersion, readSide, type Side, type SidePorts } from "./sides.ts";
import type { VersionQuery } from "./version-index.ts";
import { KIND_FROM_WIRE, VersionWriter } from "./version-wire.ts";

const MAX_FILES = 200;
const MAX_CHARACTERS = 8 * 1024 * 1024;
const MAX_QUERY_CHARACTERS = 500;

export interface VersionServicePorts extends SidePorts {
  readonly clock: Clock;
  readonly userName: string;
}

export class VersionServiceImpl {
  readonly #ports: VersionServicePorts;
  readonly #blame: FileBlame;
  readonly meaning: MeaningOfChanges;

  constructor(ports: VersionServicePorts) {
    this.#ports = ports;
    this.#blame = new FileBlame(ports.index);
    this.meaning = new MeaningOfChanges(ports.clock);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.VersionService> {
    return {
      searchVersions: guard.unary((request: wire.SearchVersionsRequest, signal) => this.search(request, signal)),
      readVersion: guard.unary((request: wire.ReadVersionRequest) => this.read(request)),
      compareVersions: guard.unary((request: wire.CompareVersionsRequest) => this.compare(request)),
      getBlame: guard.unary((request: wire.GetBlameRequest) => this.blame(request)),
      keepVersion: guard.unary((request: wire.KeepVersionRequest) => this.keep(request)),
      putBackVersion: guard.unary((request: wire.PutBackVersionRequest) => this.putBack(request)),
    };
  }

  async search(request: wire.SearchVersionsRequest, signal: AbortSignal) {
    const { author, ticket, path, text } = request;
    for (const given of [author, ticket, path, text]) {
      if (given.length > MAX_QUERY_CHARACTERS)
        throw invalid(`A search is for up to ${MAX_QUERY_CHARACTERS} characters.`);
    }
    const limit = pageSize(request.limit, 100, 500);
    const query: VersionQuery = {
      ...{ author, ticket, path, text },
      kinds: request.kinds.flatMap((kind) => KIND_FROM_WIRE.get(kind) ?? []),
      sinceMs: request.since ? timestampMs(request.since) : null,
      untilMs: request.until ? timestampMs(request.until) : null,
      beforeNumber: safeNumber(request.beforeNumber, "The number of the version"),
      limit: limit + 1,
    };
    const found = await this.#ports.index.search(query, signal);
    const writer = new VersionWriter(this.#ports);
    const versions = found.slice(0, limit).map((version) => writer.entry(version, new Set([version.id])));
    return create(wire.SearchVersionsResponseSchema, { versions, hasMore: found.length > limit });
  }

  async read(request: wire.ReadVersionRequest) {
    const { id, files } = await readSide(this.#ports, request.side);
    if (request.path === "")
      return create(wire.ReadVersionResponseSchema, { id, paths: files.map(({ path }) => path) });
    const path = workspacePath(request.path);
    const file = files.find((one) => one.path === path);
    if (!file) throw notInSide(path);
    return create(wire.ReadVersionResponseSchema, { id, paths: [path], text: file.text });
  }

  async compare(request: wire.CompareVersionsRequest) {
    const from = await readSide(this.#ports, request.from);
    const to = await readSide(this.#ports, request.to);
    const changes = changesBetween(from, to).filter(({ path }) => request.path === "" || path === request.path);
    const response = create(wire.CompareVersionsResponseSchema, { fromId: from.id, toId: to.id });
    let characters = 0;
    for (const change of changes) {
      characters += change.oldText.length + change.newText.length;
      if (response.files.length >= MAX_FILES || characters > MAX_CHARACTERS) break;
      response.files.push(change);
    }
    response.filesLeftOut = changes.length - response.files.length;
    if (!request.textsOnly) response.meaning = this.meaning.compare(from.files, to.files);
    return response;
  }

  blame(request: wire.GetBlameRequest) {
    const { index, workspace, versions } = this.#ports;
    const path = workspacePath(request.path);
    const isDraft = !request.side?.side.case || request.side.side.case === "draft";
    const newest = versions.list(1)[0];
    const version = isDraft ? newest : namedVersion(index, request.side);
    const upTo = version?.number ?? 0;
    const draft = isDraft ? (request.text ?? workspace.file(path).text) : null;
    if (draft !== null && draft.length > 1024 * 1024) throw invalid("The text is larger than a policy file may be.");
    const blame = this.#blame.of(path, upTo, draft);
    if (!isDraft && blame.runs.length === 0) throw notInSide(path);
    const writer = new VersionWriter(this.#ports);
    const numbers = [...new Set(blame.runs.map(({ mark }) => mark))].filter((number) => number > 0);
    return create(wire.GetBlameResponseSchema, {
      runs: blame.runs.map(({ firstLine, lineCount, mark }) => ({ firstLine, lineCount, number: BigInt(mark) })),
      versions: numbers.flatMap((number) => {
        const stored = index.byNumber(number);
        return stored ? [writer.entry(stored, blame.idsSince(number))] : [];
      }),
      cutAtNumber: BigInt(blame.cutAtNumber),
      lineCount: blame.runs.reduce((sum, { lineCount }) => sum + lineCount, 0),
    });
  }

  keep(request: wire.KeepVersionRequest) {
    const { workspace, versions, userName } = this.#ports;
    const kind = request.kind === wire.VersionKind.MERGED ? "merged" : "kept";
    const before = versions.list(1)[0]?.number ?? 0;
    const reason = boundedReason(request.reason) || "Kept";
    const version = workspace.recordVersion(userName, reason, { kind, ticket: boundedTicket(request.ticket) });
    const added = version.number !== before;
    const entry = new VersionWriter(this.#ports).entry(version, new Set([version.id]));
    return create(wire.KeepVersionResponseSchema, { version: entry, added });
  }

  async putBack(request: wire.PutBackVersionRequest) {
    const { workspace, userName } = this.#ports;
    const ticket = boundedTicket(request.ticket);
    const reason = boundedReason(request.reason);
    const side = await readSide(this.#ports, request.side);
    const name = sideName(request.side);
    const wanted = new Map<string, string | null>(side.files.map(({ path, text }) => [path, text]));
    const changes = new Map<string, string | null>();
    if (request.path === "") {
      for (const { path } of workspace.snapshot().files) changes.set(path, null);
      for (const [path, text] of wanted) changes.set(path, text);
    } else {
      const path = workspacePath(request.path);
      const text = wanted.get(path) ?? null;
      if (text === null && !workspace.snapshot().files.some((file) => file.path === path)) throw notInSide(path);
      changes.set(path, text);
    }
    const words = `Restored ${request.path === "" ? name : `${request.path} of ${name}`}`;
    const version = workspace.change(changes, { author: userName, reason: reason || words, ticket, kind: "restored" });
    return create(wire.PutBackVersionResponseSchema, {
      version: new VersionWriter(this.#ports).entry(version, new Set([version.id])),
      diagnostics: workspace.snapshot().reading.diagnostics.map(toWireDiagnostic),
    });
  }
}

/** By path. */
export function changesBetween(from: Pick<Side, "files">, to: Pick<Side, "files">): FileChange[] {
  const old = new Map(from.files.map(({ path, text }) => [path, text]));
  const next = new Map(to.files.map(({ path, text }) => [path, text]));
  return [...new Set([...old.keys(), ...next.keys()])].sort().flatMap((path) => {
    const [oldText, newText] = [old.get(path), next.get(path)];
    if (oldText === newText) return [];
    const kind =
      oldText === undefined ? ChangeKind.ADDED : newText === undefined ? ChangeKind.REMOVED : ChangeKind.CHANGED;
    return [create(FileChangeSchema, { path, kind, oldText: oldText ?? "", newText: newText ?? "" })];
  });
}

function sideName(given: wire.VersionSide | undefined): string {
  const side = given?.side;
  if (side?.case === "number") return `version ${side.value}`;
  if (side?.case === "id") return `version ${side.value.slice(0, 12)}`;
  return side?.case === "enforcedHostId" ? "what a host enforces" : "the draft";
}

function notInSide(path: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no file ${path} in it.`,
    hint: "It may have had another name then: compare the versions to see which files there were.",
  });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
