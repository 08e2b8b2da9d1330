/** Writes of documents to a cluster in which everything may fail at any moment. */
import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import type {
  ClusterService,
  DocumentWriteSchema,
  WriteDocumentsResponse,
} from "@wardline/api/wardline/agent/v1/cluster";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { readClusterDocuments } from "@wardline/domain/cluster";
import { failureFromConnectError } from "@wardline/domain/wire";

/** Some hundred documents at once take a while where the processors are shared. */
const CALL_LIMIT_MS = 30_000;

export interface WriteOptions {
  readonly confirmWithinMs?: number;
  readonly reason?: string;
  /** Keys of documents that are deleted. */
  readonly deletes?: readonly string[];
}

/** One write, which may be sent more than once. */
export class DocumentWrite {
  readonly #on: Client<typeof ClusterService>;
  readonly #texts: readonly string[];
  readonly #options: WriteOptions;
  readonly #requestId = randomUUID();
  #writes: MessageInitShape<typeof DocumentWriteSchema>[] | null = null;

  constructor(on: Client<typeof ClusterService>, texts: readonly string[], options: WriteOptions) {
    this.#on = on;
    this.#texts = texts;
    this.#options = options;
  }

  /** On the newest versions that were there at the first attempt. Sent again it is the same request: written once, if at all. */
  async send(): Promise<WriteDocumentsResponse> {
    this.#writes ??= await this.#onNewest();
    const { reason = "a test", confirmWithinMs } = this.#options;
    const confirmWithin = confirmWithinMs === undefined ? {} : { confirmWithin: durationFromMs(confirmWithinMs) };
    const { ENFORCE: mode } = EnforcementMode;
    const request = { writes: this.#writes, reason, mode, requestId: this.#requestId, ...confirmWithin };
    return this.#on.writeDocuments(request, { timeoutMs: CALL_LIMIT_MS });
  }

  async #onNewest(): Promise<MessageInitShape<typeof DocumentWriteSchema>[]> {
    const which = { withDeleted: true, withTexts: false };
    const { documents } = await this.#on.listDocuments(which, { timeoutMs: CALL_LIMIT_MS });
    const versions = new Map(documents.map(({ key, version, deleted }) => [key, deleted ? 0n : version]));
    const { deletes = [] } = this.#options;
    return [
      ...this.#texts.map((text) => ({ text, baseVersion: versions.get(keyOf(text)) ?? 0n })),
      ...deletes.map((deleteKey) => ({ deleteKey, baseVersion: versions.get(deleteKey) ?? 0n })),
    ];
  }
}

const PASSING: readonly ErrorCode[] = [
  ErrorCode.NOT_LEADER,
  ErrorCode.STORE_UNAVAILABLE,
  ErrorCode.DEADLINE_EXCEEDED,
  ErrorCode.AGENT_UNREACHABLE,
];

/** Whether the same request may succeed a moment later: nobody leads, the store or the agent does not answer. */
export function mayPass(error: unknown): boolean {
  const failure = failureFromConnectError(error);
  // Whatever no agent said is about the way to it.
  return !failure || PASSING.includes(failure.code);
}

function keyOf(text: string): string {
  const [document] = readClusterDocuments({ path: "text.yaml", text }).documents;
  if (!document) throw new Error(`no document: ${text}`);
  return document.key;
}
