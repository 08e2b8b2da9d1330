/** Where the agreed state is to be kept, as a caller gives it. Throws `Failure` INVALID_ARGUMENT. */
import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import { type StoreConfiguration, StoreConfigurationSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { canonicalAddress } from "@wardline/domain/policy";
import { invalid, shown } from "./fields.ts";

const MAX_ENDPOINTS = 16;
const MAX_ENDPOINT_LENGTH = 300;
const MAX_CREDENTIAL_LENGTH = 256;
const MAX_PEM_LENGTH = 64 * 1024;

/** Without a path, a query or credentials in the address; in clear only where the packets never leave the host. */
function readEndpoint(text: string): string {
  const url = text.length <= MAX_ENDPOINT_LENGTH ? URL.parse(text) : null;
  const isBare =
    url !== null && url.pathname === "/" && url.search === "" && url.hash === "" && url.username + url.password === "";
  if (url === null || !isBare || !["https:", "http:"].includes(url.protocol) || url.port === "") {
    throw invalid(`${shown(text)} is no endpoint.`, "Endpoints look like https://10.0.0.1:2379.");
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw invalid(
      `${shown(text)} would carry the cluster's state over the network in clear.`,
      "Use https://; http:// is taken for 127.0.0.1 and ::1 only.",
    );
  }
  return `${url.protocol}//${url.host}`;
}

function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[(.*)\]$/, "$1");
  return isIP(bare) === 4 ? bare.startsWith("127.") : canonicalAddress(bare) === "::1";
}

/** Everything that the agent does not need is left out. */
export function readStore(store: StoreConfiguration | undefined): StoreConfiguration {
  if (store === undefined) throw invalid("The store is missing.");
  const { kind, endpoints, userName, password, serverCaPem, usersPerMember } = store;
  if (kind === StoreKind.EMBEDDED) {
    if (endpoints.length + userName.length + password.length + serverCaPem.length > 0 || usersPerMember) {
      throw invalid("The embedded store is a file of this host: it has no endpoints and no user.");
    }
    return create(StoreConfigurationSchema, { kind });
  }
  if (kind !== StoreKind.ETCD) throw invalid("The kind of the store is missing: embedded or etcd.");
  if (endpoints.length === 0 || endpoints.length > MAX_ENDPOINTS) {
    throw invalid(`etcd needs 1 to ${MAX_ENDPOINTS} endpoints, not ${endpoints.length}.`);
  }
  if (Math.max(userName.length, password.length) > MAX_CREDENTIAL_LENGTH) {
    throw invalid(`User name and password have at most ${MAX_CREDENTIAL_LENGTH} characters.`);
  }
  if ((userName === "") !== (password === "")) throw invalid("A user of etcd needs both, a name and a password.");
  if (serverCaPem.length > MAX_PEM_LENGTH || (serverCaPem !== "" && !isPem(serverCaPem))) {
    throw invalid("The certificates of who signed the server's are no PEM, or more than 64 KiB.");
  }
  const unique = [...new Set(endpoints.map(readEndpoint))];
  if (usersPerMember && (userName !== "" || unique.some((endpoint) => !endpoint.startsWith("https:")))) {
    throw invalid("etcd knows members by their certificates: over https alone, and without a user for all of them.");
  }
  return create(StoreConfigurationSchema, { kind, endpoints: unique, userName, password, serverCaPem, usersPerMember });
}

function isPem(text: string): boolean {
  return /^\s*(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/.test(text);
}

/** As it may be shown: never the password. */
export function withoutSecrets(store: StoreConfiguration): StoreConfiguration {
  return create(StoreConfigurationSchema, { ...store, password: "" });
}
