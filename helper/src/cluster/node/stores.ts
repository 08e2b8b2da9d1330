/** The store that a configuration names, opened. Both kinds are loaded only when they are needed. */
import { join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import {
  type DesiredHead,
  DesiredHeadSchema,
  type StoreConfiguration,
  StoreKind,
} from "@wardline/api/wardline/v1/cluster";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import { makeDirectory } from "../../files/directory.ts";
import type { LinkIdentity } from "../peers/linkIdentity.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { KEYS } from "./nodePorts.ts";

/** What mutual TLS with a store needs of this host. */
export type StoreCredentials = Pick<LinkIdentity, "credentials" | "roots">;

export interface StoreContext {
  /** `<state>/cluster` */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export function embeddedPath(directory: string): string {
  return join(directory, "store.sqlite");
}

/** Throws `Failure` STORE_UNAVAILABLE when the embedded one cannot be opened; etcd connects at its first call. */
export async function openStore(
  configuration: StoreConfiguration,
  context: StoreContext,
  identity: StoreCredentials | null,
): Promise<ClusterStore> {
  return configuration.kind === StoreKind.ETCD ? openEtcd(configuration, context, identity) : openEmbedded(context);
}

async function openEmbedded({ directory, clock, log }: StoreContext): Promise<ClusterStore> {
  const { EmbeddedStore } = await import("../store/embeddedStore.ts");
  makeDirectory(directory, 0o700);
  return EmbeddedStore.open({ path: embeddedPath(directory), log, clock });
}

async function openEtcd(
  { endpoints, userName, password, serverCaPem }: StoreConfiguration,
  { clock, log }: StoreContext,
  identity: StoreCredentials | null,
): Promise<ClusterStore> {
  const { EtcdStore } = await import("../store/etcdStore.ts");
  const tls = () => {
    const own = identity?.credentials();
    const ca = serverCaPem === "" ? own?.ca : serverCaPem;
    return { ...(own ? { cert: own.cert, key: own.key } : {}), ...(ca === undefined ? {} : { ca }) };
  };
  // A server that the cluster's own authority signed for has to be a server: a member's certificate is none.
  const verifyServer = identity !== null && serverCaPem === "" ? await clusterServerCheck(identity, clock) : null;
  const isEncrypted = endpoints.some((endpoint) => endpoint.startsWith("https:"));
  return EtcdStore.open({
    endpoints,
    ...(isEncrypted ? { tls } : {}),
    ...(verifyServer === null ? {} : { verifyServer }),
    ...(userName === "" ? {} : { credentials: { userName, password } }),
    log,
    clock,
  });
}

async function clusterServerCheck(identity: StoreCredentials, clock: Clock) {
  const { serverCheck } = await import("./serverCheck.ts");
  return serverCheck(() => identity.roots, clock);
}

/** Reads the head of the desired set: over a connection of its own where the store is reached by one. */
export async function readHeadFresh(
  store: ClusterStore,
  configuration: StoreConfiguration,
  context: StoreContext,
  identity: StoreCredentials | null,
  signal: AbortSignal,
): Promise<DesiredHead | null> {
  const fresh = store.kind === "etcd" ? await openStore(configuration, context, identity) : store;
  try {
    const { item } = await fresh.get(KEYS.head, { signal });
    if (item === null) return null;
    return fromJsonString(DesiredHeadSchema, Buffer.from(item.value).toString("utf8"), { ignoreUnknownFields: true });
  } finally {
    if (fresh !== store) await fresh.close();
  }
}
