/** The desired set at one node: reads from what the node knows and from the store, writes at the leader. */
import { create } from "@bufbuild/protobuf";
import type * as wire from "@wardline/api/wardline/agent/v1/cluster";
import {
  ConfirmSetResponseSchema,
  GetDocumentResponseSchema,
  ListDocumentHistoryResponseSchema,
  ListDocumentsResponseSchema,
  ListSetsResponseSchema,
  RollbackDocumentsResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import type { DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { SourceFile } from "@wardline/domain/policy";
import { toTimestamp } from "../../agent/clock.ts";
import type { LeaderDuty } from "../ports.ts";
import { DesiredDuties } from "./desiredDuties.ts";
import { Past } from "./past.ts";
import { withoutText } from "./records.ts";
import * as refuse from "./refusals.ts";
import { filesOf } from "./setValidator.ts";
import { SetWriter } from "./setWriter.ts";
import type { Author, DesiredSetApi, DesiredSetPorts, DesiredState } from "./types.ts";
import { watchDocuments } from "./watchDocuments.ts";

const MAX_DOCUMENTS = 1_000;
/** Of texts in one answer; whoever wants more asks for the next page. */
const MAX_ANSWER_LENGTH = 8 * 1024 * 1024;
const MAX_VERSIONS = 100;
const USUAL_VERSIONS = 10;
const MAX_SETS = 100;
const USUAL_SETS = 20;

export class DesiredSet implements DesiredSetApi {
  readonly #ports: DesiredSetPorts;
  readonly #writer: SetWriter;
  readonly #duties: DesiredDuties;
  readonly #past: Past;

  constructor(ports: DesiredSetPorts) {
    this.#ports = ports;
    this.#writer = new SetWriter(ports);
    this.#duties = new DesiredDuties(ports, this.#writer);
    this.#past = new Past(ports.store, ports.keys);
  }

  close(): void {
    this.#writer.close();
  }

  duties(): readonly LeaderDuty[] {
    return this.#duties.list();
  }

  files(state: DesiredState): readonly SourceFile[] {
    return filesOf(state.documents.values());
  }

  /** Of the newest set, unless the caller takes an older one and the store does not answer. */
  async list(request: wire.ListDocumentsRequest): Promise<wire.ListDocumentsResponse> {
    const { state, stale } = await this.#newest(request.mayBeStale);
    const { keyPrefix, withDeleted, withTexts, afterKey } = request;
    const limit = Math.min(request.limit || MAX_DOCUMENTS, MAX_DOCUMENTS);
    const chosen = [...state.documents.values()]
      .filter(({ key, deleted }) => key.startsWith(keyPrefix) && key > afterKey && (withDeleted || !deleted))
      .sort((one, other) => (one.key < other.key ? -1 : 1));
    const page = firstOf(withTexts ? chosen : chosen.map(withoutText), limit);
    const readAtMs = stale ? this.#ports.replica.readAtMs : this.#ports.clock.wallMs();
    return create(ListDocumentsResponseSchema, {
      documents: page,
      ...(state.head && { head: state.head }),
      more: page.length < chosen.length,
      stale,
      readAt: toTimestamp(readAtMs),
    });
  }

  /** Throws `Failure` NOT_FOUND. */
  async get({ key, version }: wire.GetDocumentRequest): Promise<wire.GetDocumentResponse> {
    const { state } = await this.#newest(false);
    const newest = state.documents.get(key);
    if (!newest) throw refuse.notFound(`${refuse.shown(key)} does not exist.`);
    if (version > newest.version)
      throw refuse.notFound(`${key} has no version ${version}; ${newest.version} is its newest.`);
    const isNewest = version === 0n || version === newest.version;
    const document = isNewest ? newest : await this.#past.version(key, version);
    if (!document) throw refuse.notFound(`Version ${version} of ${key} is not kept any more.`);
    return create(GetDocumentResponseSchema, { document });
  }

  async history(request: wire.ListDocumentHistoryRequest): Promise<wire.ListDocumentHistoryResponse> {
    const { key, beforeVersion } = request;
    const limit = Math.min(request.limit || USUAL_VERSIONS, MAX_VERSIONS);
    const { state } = await this.#newest(false);
    const newest = state.documents.get(key) ?? state.retired.get(key);
    if (!newest) throw refuse.notFound(`${refuse.shown(key)} does not exist.`);
    const isFromNewest = beforeVersion === 0n || beforeVersion > newest.version;
    const first = isFromNewest ? newest.version - 1n : beforeVersion - 1n;
    const older = await this.#past.versions(key, first, limit + 1 - (isFromNewest ? 1 : 0), MAX_ANSWER_LENGTH);
    const all = isFromNewest ? [newest, ...older] : older;
    const versions = firstOf(all, limit);
    return create(ListDocumentHistoryResponseSchema, { versions, more: versions.length < all.length });
  }

  async sets(request: wire.ListSetsRequest): Promise<wire.ListSetsResponse> {
    const limit = Math.min(request.limit || USUAL_SETS, MAX_SETS);
    const { state } = await this.#newest(false);
    const newest = state.head?.setNumber ?? 0n;
    const { beforeSetNumber } = request;
    const first = beforeSetNumber === 0n || beforeSetNumber > newest ? newest : beforeSetNumber - 1n;
    const sets = await this.#past.sets(first, limit + 1);
    return create(ListSetsResponseSchema, { sets: sets.slice(0, limit), more: sets.length > limit });
  }

  watch(request: wire.WatchDocumentsRequest, signal: AbortSignal): AsyncIterable<wire.WatchDocumentsResponse> {
    const { replica, clock } = this.#ports;
    return watchDocuments({ replica, past: this.#past, clock }, request, signal);
  }

  write(request: wire.WriteDocumentsRequest, author: Author): Promise<wire.WriteDocumentsResponse> {
    return this.#writer.write(request, author);
  }

  async rollback(request: wire.RollbackDocumentsRequest, author: Author): Promise<wire.RollbackDocumentsResponse> {
    const { head, written } = await this.#writer.rollback(request, author);
    return create(RollbackDocumentsResponseSchema, { ...(head && { head }), written });
  }

  async confirm(request: wire.ConfirmSetRequest, author: Author): Promise<wire.ConfirmSetResponse> {
    return create(ConfirmSetResponseSchema, { head: await this.#writer.confirm(request, author) });
  }

  /** What everybody who asks from now on will see, too: the store's majority is asked for the head, and only for that. */
  async #newest(mayBeStale: boolean): Promise<{ readonly state: DesiredState; readonly stale: boolean }> {
    const { store, keys, replica } = this.#ports;
    try {
      const { item } = await store.get(keys.head);
      return { state: await replica.atLeast(item?.modRevision ?? 0n), stale: false };
    } catch (error) {
      const { state } = replica;
      if (!mayBeStale || state === null || !isUnavailable(error)) throw error;
      return { state, stale: true };
    }
  }
}

/** As many as fit into one answer. */
function firstOf(documents: readonly DocumentVersion[], limit: number): DocumentVersion[] {
  const page: DocumentVersion[] = [];
  let length = 0;
  for (const document of documents) {
    length += document.text.length;
    if (page.length >= limit || (page.length > 0 && length > MAX_ANSWER_LENGTH)) break;
    page.push(document);
  }
  return page;
}

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  return [ErrorCode.STORE_UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED].includes(error.code);
}
