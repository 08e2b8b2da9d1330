/**
 * The calls that end at the leader, by the name that they have in `Forward`: their method (for role, audit name and digest)
 * and their check. The forwarding host and the leader both go by this table.
 */
import type { DescMethodUnary } from "@bufbuild/protobuf";
import { ClusterService } from "@wardline/api/wardline/agent/v1/cluster";
import type { ForwardRequest, ForwardResponse } from "@wardline/api/wardline/peer/v1/peer";
import type { Role } from "@wardline/api/wardline/v1/host";
import type { HeldTerm } from "../ports.ts";
import * as check from "./requests.ts";

export type Write = Extract<ForwardRequest["write"], { case: string }>;
export type WriteName = Write["case"];
export type WriteRequest<Name extends WriteName> = Extract<Write, { case: Name }>["value"];
export type Answer = Extract<ForwardResponse["answer"], { case: string }>;
export type WriteResponse<Name extends WriteName> = Extract<Answer, { case: Name }>["value"];

/** Who asks, as a kernel or a certificate told it. */
export interface Asker {
  /** `alice (uid 1000) on a`, as it is kept in the cluster. */
  readonly actor: string;
  readonly role: Role;
}

/** What the leader does for each of them, under the term that it holds. */
export type LeaderActions = {
  readonly [Name in WriteName]: (
    request: WriteRequest<Name>,
    asker: Asker,
    term: HeldTerm,
  ) => Promise<WriteResponse<Name>>;
};

interface WriteRule<Name extends WriteName> {
  readonly method: DescMethodUnary;
  /** Throws `Failure` INVALID_ARGUMENT or TOO_LARGE. */
  readonly check: (request: WriteRequest<Name>) => void;
}

const { method } = ClusterService;

export const WRITES: { readonly [Name in WriteName]: WriteRule<Name> } = {
  writeDocuments: { method: method.writeDocuments, check: check.checkWriteDocuments },
  rollbackDocuments: { method: method.rollbackDocuments, check: check.checkRollbackDocuments },
  confirmSet: { method: method.confirmSet, check: check.checkConfirmSet },
  registerService: { method: method.registerService, check: check.checkRegisterService },
  deregisterService: { method: method.deregisterService, check: check.checkDeregisterService },
  pushNotes: { method: method.pushNotes, check: check.checkPushNotes },
  createJoinToken: { method: method.createJoinToken, check: check.checkCreateJoinToken },
  removeMember: { method: method.removeMember, check: check.checkRemoveMember },
  resignLeadership: { method: method.resignLeadership, check: check.checkResign },
  issueCertificate: { method: method.issueCertificate, check: check.checkIssueCertificate },
  setStore: { method: method.setStore, check: check.checkStore },
};
