/** Calls to the cluster at one host. What is answered is a stranger's: bounded before anybody sees it. */
import { createHash } from "node:crypto";
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import {
  GetClusterResponseSchema,
  GetDocumentResponseSchema,
  ListDocumentsResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import { type ClusterStatus, ClusterStatusSchema, type DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentConnection } from "../agent/agent-connection.ts";
import { agentFailure } from "../agent/agent-failure.ts";
import { boundMessage, type MessageBounds } from "../agent/bounded-message.ts";
import { noAnswer } from "../agent/dial-within.ts";
import type { ClusterClient } from "../agent/dialer.ts";

export const READ_TIMEOUT_MS = 15_000;
export const WRITE_TIMEOUT_MS = 60_000;
/** Making, joining, leaving, another store: the agent gives itself two minutes for these. */
export const CHANGE_TIMEOUT_MS = 130_000;
/** Of one document; the agent has the same limit for a file. */
const MAX_DOCUMENT_BYTES = 1024 * 1024;
/** A cluster may have ten thousand members; what is said of them is short. */
const STATUS_BOUNDS: Partial<MessageBounds> = {
  maxTotalLength: 16 * 1024 * 1024,
  itemsOf: { members: 10_000, terms: 50, labels: 64, addresses: 64, problems: 50, endpoints: 16, alarms: 8 },
};

/** How far a call got: what was never sent may be sent to somebody else. */
export class NotSent extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = "NotSent";
    this.failure = failure;
  }
}

/** Connects where it is not connected, and calls. @throws NotSent, Failure */
export async function callCluster<Result>(
  connection: AgentConnection,
  body: (client: ClusterClient) => Promise<Result>,
): Promise<Result> {
  const release = connection.need();
  try {
    const client = await clientOf(connection);
    return await body(client);
  } catch (error) {
    if (error instanceof NotSent) throw error;
    throw agentFailure(error, connection.hostName);
  } finally {
    release();
  }
}

async function clientOf(connection: AgentConnection): Promise<ClusterClient> {
  try {
    await connection.client();
  } catch (error) {
    throw new NotSent(agentFailure(error, connection.hostName));
  }
  const { cluster } = connection;
  if (!cluster) throw new NotSent(noAnswer(connection.hostName));
  return cluster;
}

export async function readStatus(client: ClusterClient, signal?: AbortSignal): Promise<ClusterStatus> {
  const answer = await client.getCluster({}, { timeoutMs: READ_TIMEOUT_MS, ...(signal ? { signal } : {}) });
  boundMessage(GetClusterResponseSchema, answer, STATUS_BOUNDS);
  return answer.status ?? create(ClusterStatusSchema);
}

/** Changes the given status. */
export function boundStatus(status: ClusterStatus): ClusterStatus {
  return boundMessage(ClusterStatusSchema, status, STATUS_BOUNDS);
}

/** For answers without texts of documents. */
export function bounded<Shape extends Message>(schema: DescMessage, message: Shape): Shape {
  return boundMessage(schema, message, { maxItems: 10_000, maxTextLength: 4_096, itemsOf: { diagnostics: 1_000 } });
}

export function boundedList<Answer extends Message & { documents: DocumentVersion[] }>(answer: Answer): Answer {
  return withTexts(answer.documents, () => bounded(ListDocumentsResponseSchema, answer));
}

export function boundedDocument<Answer extends Message & { document?: DocumentVersion | undefined }>(
  answer: Answer,
): Answer {
  return withTexts(answer.document ? [answer.document] : [], () => bounded(GetDocumentResponseSchema, answer));
}

/**
 * Texts are policy, which a person reads and the workspace keeps: they stay to the byte, and have to be what their digests
 * say. Changes the given documents.
 * @throws Failure TOO_LARGE, INTERNAL
 */
export function withTexts<Answer>(documents: readonly DocumentVersion[], bound: () => Answer): Answer {
  const texts = new Map(documents.map((document) => [document, document.text]));
  for (const [document, text] of texts) {
    requireDigest(document, text);
    document.text = "";
  }
  const answer = bound();
  for (const [document, text] of texts) document.text = text;
  return answer;
}

function requireDigest({ key, version, digest, deleted }: DocumentVersion, text: string): void {
  if (deleted || text === "") return;
  const name = `version ${version} of ${JSON.stringify(key.slice(0, 200))}`;
  if (Buffer.byteLength(text) > MAX_DOCUMENT_BYTES) {
    throw new Failure({ code: ErrorCode.TOO_LARGE, message: `The text of ${name} is larger than 1 MiB.` });
  }
  if (createHash("sha256").update(text).digest("hex") === digest) return;
  throw new Failure({
    code: ErrorCode.INTERNAL,
    message: `What was sent as ${name} is not the text that its digest is of.`,
    hint: "Ask through another member; the one that answered may be damaged.",
  });
}
