/** One check for every request of `ClusterService`. They throw `Failure` INVALID_ARGUMENT or TOO_LARGE and change nothing. */
import type * as wire from "@wardline/api/wardline/agent/v1/cluster";
import { HealthCheckKind } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import * as field from "./fields.ts";
import { invalid, tooLarge } from "./fields.ts";
import { readStore } from "./storeRequest.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const MAX_WRITES = 2_000;
export const MAX_WRITE_BYTES = 8 * 1024 * 1024;
const MAX_TOKEN_LENGTH = 8_192;
const MAX_PUBLIC_KEY_BYTES = 2_048;
const MAX_SERVER_NAMES = 16;
const MAX_DOCUMENTS_PAGE = 1_000;
const MAX_HISTORY_PAGE = 100;
export const MAX_NOTE_BYTES = 64 * 1024;
/** Of the merged content of many updates; the store takes 1.4 MiB in one transaction. */
export const MAX_MERGED_NOTE_BYTES = 512 * 1024;
/** Numbers of sets and versions stay far below; beyond it the store's own arithmetic ends. */
const MAX_NUMBER = 2n ** 63n - 1n;

function checkNumber(value: bigint, what: string): void {
  if (value > MAX_NUMBER) throw invalid(`${what} is out of range.`);
}

export function checkInit(request: wire.InitClusterRequest): void {
  field.checkLabelName(request.clusterName, "The cluster's name");
  if (request.trustDomain !== "") checkTrustDomain(request.trustDomain);
  field.readPeerAddress(request.peerAddress);
  if (request.store !== undefined) readStore(request.store);
  field.checkLabels(request.labels);
  field.readDurationMs(request.lease, "The lease", 2 * SECOND_MS, MINUTE_MS);
}

function checkTrustDomain(value: string): void {
  if (value.length <= 255 && /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/.test(value)) return;
  throw invalid(`${field.shown(value)} is no trust domain: lower-case letters, digits, dots, hyphens, at most 255.`);
}

export function checkCreateJoinToken(request: wire.CreateJoinTokenRequest): void {
  if (request.memberName !== "") field.checkMemberName(request.memberName);
  field.checkLabels(request.labels);
  field.readDurationMs(request.expiresIn, "The token's life", MINUTE_MS, DAY_MS);
}

export function checkJoin(request: wire.JoinClusterRequest): void {
  if (request.token === "") throw invalid("The token is missing.");
  if (request.token.length > MAX_TOKEN_LENGTH) throw invalid("This is no join token: it is too long.");
  field.readPeerAddress(request.peerAddress);
}

export function checkLeave(request: wire.LeaveClusterRequest): void {
  field.checkReason(request.reason);
}

export function checkRemoveMember(request: wire.RemoveMemberRequest): void {
  field.checkMemberName(request.memberName);
  field.checkReason(request.reason);
}

export function checkResign(request: wire.ResignLeadershipRequest): void {
  field.checkReason(request.reason);
}

export function checkStore(request: { readonly store?: wire.SetStoreRequest["store"] | undefined }): void {
  readStore(request.store);
}

export function checkIssueCertificate(request: wire.IssueCertificateRequest): void {
  field.checkLabelName(request.name, "The server's name");
  const { length } = request.publicKey;
  if (length === 0 || length > MAX_PUBLIC_KEY_BYTES) {
    throw invalid(`The public key (DER, SPKI) has 1 to ${MAX_PUBLIC_KEY_BYTES} bytes, not ${length}.`);
  }
  if (Math.max(request.dnsNames.length, request.ipAddresses.length) > MAX_SERVER_NAMES) {
    throw tooLarge(`At most ${MAX_SERVER_NAMES} names and ${MAX_SERVER_NAMES} addresses go into one certificate.`);
  }
  for (const name of request.dnsNames) field.checkDnsName(name, "A name of the server");
  for (const address of request.ipAddresses) field.readAddress(address);
  field.readDurationMs(request.validFor, "The certificate's life", HOUR_MS, 90 * DAY_MS);
}

export function checkListDocuments(request: wire.ListDocumentsRequest): void {
  field.checkDocumentKey(request.keyPrefix, "The key");
  field.checkDocumentKey(request.afterKey, "The key");
  field.checkLimit(request.limit, MAX_DOCUMENTS_PAGE);
}

export function checkGetDocument(request: wire.GetDocumentRequest): void {
  if (request.key === "") throw invalid("The key of the document is missing.");
  field.checkDocumentKey(request.key, "The key");
  checkNumber(request.version, "The version");
}

export function checkListHistory(request: wire.ListDocumentHistoryRequest): void {
  checkGetDocument({ key: request.key, version: request.beforeVersion } as wire.GetDocumentRequest);
  field.checkLimit(request.limit, MAX_HISTORY_PAGE);
}

export function checkWatchDocuments(request: wire.WatchDocumentsRequest): void {
  field.checkDocumentKey(request.keyPrefix, "The key");
  checkNumber(request.afterSetNumber, "The set's number");
}

export function checkListSets(request: wire.ListSetsRequest): void {
  field.checkLimit(request.limit, MAX_HISTORY_PAGE);
  checkNumber(request.beforeSetNumber, "The set's number");
}

export function checkWriteDocuments(request: wire.WriteDocumentsRequest): void {
  const { writes, mode, requestId } = request;
  if (writes.length > MAX_WRITES)
    throw tooLarge(`${writes.length} documents are written at once; ${MAX_WRITES} can be.`);
  if (writes.length === 0 && !request.replaceAll) throw invalid("There is nothing to write.");
  const sizeBytes = writes.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  if (sizeBytes > MAX_WRITE_BYTES) {
    throw tooLarge(`The documents have ${sizeBytes} bytes; ${MAX_WRITE_BYTES} can be written at once.`);
  }
  for (const write of writes) checkWrite(write);
  field.checkReason(request.reason);
  if (![EnforcementMode.OBSERVE, EnforcementMode.ENFORCE].includes(mode)) {
    throw invalid("The mode is missing: observe or enforce.");
  }
  field.readDurationMs(request.confirmWithin, "The time to confirm", 10 * SECOND_MS, HOUR_MS);
  if (!/^[A-Za-z0-9._:-]{0,128}$/.test(requestId))
    throw invalid("The id of the request has 1 to 128 letters, digits or ._:-");
}

function checkWrite({ text, deleteKey, baseVersion }: wire.DocumentWrite): void {
  if ((text === "") === (deleteKey === ""))
    throw invalid("Each write has either a text or the key that is to be deleted.");
  field.checkDocumentKey(deleteKey, "The key");
  checkNumber(baseVersion, "The version");
}

export function checkRollbackDocuments(request: wire.RollbackDocumentsRequest): void {
  const isOne = request.key !== "" && request.toVersion > 0n && request.toSetNumber === 0n;
  const isAll = request.key === "" && request.toVersion === 0n && request.toSetNumber > 0n;
  if (!isOne && !isAll) throw invalid("Either one document goes back to one of its versions, or everything to a set.");
  field.checkDocumentKey(request.key, "The key");
  checkNumber(request.toVersion, "The version");
  checkNumber(request.toSetNumber, "The set's number");
  field.checkReason(request.reason);
  field.readDurationMs(request.confirmWithin, "The time to confirm", 10 * SECOND_MS, HOUR_MS);
}

export function checkConfirmSet(request: wire.ConfirmSetRequest): void {
  if (request.setNumber === 0n) throw invalid("The number of the set is missing.");
  checkNumber(request.setNumber, "The set's number");
  if (!/^[0-9a-f]{64}$/.test(request.digest)) throw invalid("The digest of the set is missing: 64 hex digits.");
  field.checkReason(request.reason);
}

export function checkRegisterService({ instance }: wire.RegisterServiceRequest): void {
  if (instance === undefined) throw invalid("The service is missing.");
  field.checkLabelName(instance.namespace, "The namespace");
  field.checkLabelName(instance.service, "The service's name");
  const address = field.readAddress(instance.address);
  if (instance.instance !== "" && instance.instance !== address) field.checkMemberName(instance.instance);
  field.checkPort(instance.port);
  field.checkLabels(instance.labels);
  if (HealthCheckKind[instance.check] === undefined) throw invalid(`There is no check of the kind ${instance.check}.`);
  field.readDurationMs(instance.checkInterval, "The interval of the check", SECOND_MS, HOUR_MS);
  field.readDurationMs(instance.timeToLive, "The time to live", 5 * SECOND_MS, 30 * DAY_MS);
}

export function checkDeregisterService(request: wire.DeregisterServiceRequest): void {
  field.checkLabelName(request.namespace, "The namespace");
  field.checkLabelName(request.service, "The service's name");
  checkInstanceName(request.instance);
}

function checkInstanceName(name: string): void {
  if (name.length > 253 || !/^[A-Za-z0-9._:-]*$/.test(name))
    throw invalid(`${field.shown(name)} is no instance's name.`);
}

export function checkListServices(request: wire.ListServicesRequest): void {
  if (request.namespace !== "") field.checkLabelName(request.namespace, "The namespace");
  if (request.service !== "") field.checkLabelName(request.service, "The service's name");
}

export function readQuery({ query }: { readonly query?: wire.EndpointQuery | undefined }): wire.EndpointQuery {
  if (query === undefined) throw invalid("What is to be resolved is missing.");
  const { labels, host, service, domainName } = query;
  const given = [Object.keys(labels).length > 0, host !== "", service !== "", domainName !== ""].filter(Boolean).length;
  if (given !== 1) throw invalid("Exactly one is resolved at a time: labels, a host, a service or a domain name.");
  field.checkLabels(labels);
  if (host !== "") field.checkMemberName(host);
  if (domainName !== "") field.checkDnsName(domainName, "The domain name");
  const parts = service === "" ? [] : service.split("/");
  if (parts.length > 2) throw invalid(`${field.shown(service)} is no service: they look like db or shop/db.`);
  for (const part of parts) field.checkLabelName(part, "The service's name");
  return query;
}

export function checkNotesName(request: { readonly document: string }): void {
  if (/^[a-z-]{1,32}$/.test(request.document)) return;
  throw invalid(`${field.shown(request.document)} is no document of notes: a-z and hyphens, at most 32.`);
}

export function checkPushNotes(request: wire.PushNotesRequest): void {
  checkNotesName(request);
  const { length } = request.update;
  if (length === 0) throw invalid("The update is empty.");
  const limit = request.replacesUpTo > 0n ? MAX_MERGED_NOTE_BYTES : MAX_NOTE_BYTES;
  if (length > limit) throw tooLarge(`The update has ${length} bytes; ${limit} are the limit.`);
  checkNumber(request.replacesUpTo, "The number of the update");
}
