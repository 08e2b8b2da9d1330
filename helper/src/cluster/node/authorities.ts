/** What a candidate does as the cluster's authority, put together on one store. */
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { Admission } from "../../identity/admission.ts";
import { AuthorityStore } from "../../identity/authorityStore.ts";
import { AuthorityUpkeep } from "../../identity/authorityUpkeep.ts";
import { JoinTokens } from "../../identity/joinTokens.ts";
import { parsePeerAddress } from "../../identity/peerAddress.ts";
import type { IdentityAudit } from "../../identity/ports.ts";
import { ServerFiles } from "../../identity/serverFiles.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import type { NodeConfiguration } from "./configFile.ts";
import type { NodeLife } from "./nodeLife.ts";
import { KEYS } from "./nodePorts.ts";

export interface Authorities {
  readonly store: AuthorityStore;
  readonly admission: Admission;
  readonly tokens: JoinTokens;
  readonly upkeep: AuthorityUpkeep;
  /** For an etcd on this host. */
  readonly serverFiles: ServerFiles;
}

export function openAuthorities(
  store: ClusterStore,
  sealKey: Uint8Array,
  configuration: NodeConfiguration,
  life: NodeLife,
): Authorities {
  const { clock, trail, log, hostName } = life.ports;
  const { clusterName, trustDomain, memberName, peerAddress } = configuration;
  const authorities = new AuthorityStore({ store, keys: KEYS, sealKey, clusterName, trustDomain });
  const authority = () => authorities.current();
  const audit: IdentityAudit = ({ action, subject, detail }) => {
    log.info({ action, subject, detail }, "identity");
    void trail.automatic(`cluster.${action}`, `${subject}: ${detail}`);
  };
  const settings = () => life.configuration ?? configuration;
  const common = { store, keys: KEYS, clock };
  const { ipAddress } = parsePeerAddress(peerAddress);
  const target = { directory: join(life.directory, "etcd"), groupId: null };
  return {
    store: authorities,
    admission: new Admission({ ...common, selfName: hostName, authority, settings, sealKey, audit }),
    tokens: new JoinTokens({ ...common, wallMs: () => clock.wallMs() }),
    upkeep: new AuthorityUpkeep({ authorities, clock, log, audit }),
    serverFiles: new ServerFiles({ target, memberName, ipAddress, authority, clock, log }),
  };
}

/** The embedded store is a file of this host: a second member would work on another one. */
export function refuseEmbedded(store: ClusterStore | null): void {
  if (store !== null && store.kind !== "embedded") return;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "This cluster is in the embedded store of one host, which no other host can reach.",
    hint: "Start etcd and change to it first: wardline cluster backend.",
  });
}
