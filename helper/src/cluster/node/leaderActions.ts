/** What the leader does for each write. Under its fence: another leader's store refuses it. */
import { create } from "@bufbuild/protobuf";
import {
  DeregisterServiceResponseSchema,
  PushNotesResponseSchema,
  RegisterServiceResponseSchema,
  RemoveMemberResponseSchema,
  ResignLeadershipResponseSchema,
  SetStoreResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import type { ClusterStatus, StoreConfiguration } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { invalid } from "../service/fields.ts";
import { readStore } from "../service/storeRequest.ts";
import type { LeaderActions } from "../service/writes.ts";
import type { Links } from "./links.ts";
import type { ClusterParts } from "./parts.ts";

export interface LeaderActionPorts {
  readonly parts: ClusterParts;
  readonly status: () => Promise<ClusterStatus>;
  /** Goes on in another store; see moving.ts. */
  readonly moveTo: (store: StoreConfiguration) => Promise<void>;
}

export function leaderActions({ parts, status, moveTo }: LeaderActionPorts): LeaderActions {
  const { desired, discovery, membership, leadership, notes, plan } = parts;
  return {
    writeDocuments: (request, author) => desired.write(request, author),
    rollbackDocuments: (request, author) => desired.rollback(request, author),
    confirmSet: (request, author) => desired.confirm(request, author),
    async registerService({ instance }, { actor }, term) {
      if (instance === undefined) throw invalid("The service is missing.");
      const registered = await discovery.registry.register(term, instance, actor);
      return create(RegisterServiceResponseSchema, { instance: registered });
    },
    async deregisterService(request, _asker, term) {
      return create(DeregisterServiceResponseSchema, { removed: await discovery.registry.deregister(term, request) });
    },
    async pushNotes({ document, update, replacesUpTo }, _asker, term) {
      return create(PushNotesResponseSchema, await notes.push(document, update, replacesUpTo, term));
    },
    createJoinToken: (request, { actor }, term) => membersOnly(plan.links).createJoinToken(request, actor, term),
    issueCertificate: (request) => membersOnly(plan.links).issueCertificate(request),
    async removeMember({ memberName }, _asker, { fence }) {
      if (memberName === plan.ports.hostName) throw leaveInstead(memberName);
      await membership.remove(memberName, fence);
      if (plan.configuration.usersPerMember) await plan.links?.memberUsers(plan.configuration).remove(memberName);
      return create(RemoveMemberResponseSchema, { status: await status() });
    },
    async resignLeadership() {
      await leadership.resign();
      return create(ResignLeadershipResponseSchema, { status: await status() });
    },
    async setStore({ store }) {
      await moveTo(readStore(store));
      return create(SetStoreResponseSchema, { status: await status() });
    },
  };
}

function membersOnly(links: Links | null): Links {
  if (links !== null) return links;
  throw new Failure({
    code: ErrorCode.NOT_A_MEMBER,
    message: "This host is in no cluster.",
    hint: "Make one first: wardline cluster init.",
  });
}

function leaveInstead(memberName: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${memberName} leads and cannot remove itself.`,
    hint: "Let it leave: wardline cluster leave, at that host.",
  });
}
