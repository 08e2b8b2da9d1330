/**
 * URIs of peers as Yggdrasil's daemons take them: `tls://192.0.2.1:443?key=…&password=…`. What is in front of the host and behind
 * the question mark may be a secret: `shownUri` is what may be stored, logged and shown.
 */
import { canonicalAddress } from "../policy/address.ts";

export const PEER_SCHEMES = ["tcp", "tls", "quic", "ws", "wss"] as const;
export type PeerScheme = (typeof PEER_SCHEMES)[number];

/** Bytes of a URI, and of the name of an interface as the kernel takes it. */
export const MAX_PEER_URI_BYTES = 512;
const MAX_INTERFACE_BYTES = 15;
const MAX_HOST_LENGTH = 253;

export interface PeerUri {
  readonly scheme: PeerScheme;
  /** Address (IPv6 without brackets, canonical) or lower-case name. */
  readonly host: string;
  readonly port: number;
  /** As it was given, secrets and all: what the daemon is told. */
  readonly uri: string;
  /** Without query and user, in one form: two spellings of one peer are equal. */
  readonly shown: string;
}

export type PeerUriResult =
  | { readonly ok: true; readonly peer: PeerUri }
  | { readonly ok: false; readonly problem: string };

/** What follows the scheme. */
const SHAPE = /^:\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+):(\d{1,5})(\/[A-Za-z0-9._~/-]*)?(\?[^#]*)?$/i;
/** A sign that no program would keep as it is: blanks, control signs, everything outside of ASCII. */
const STRANGE = /[^\x21-\x7e]/;
const NAME_LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/;

/** Reads what a person or a file gives as a peer. Schemes are those that every release takes over a network. */
export function parsePeerUri(text: string): PeerUriResult {
  if (text === "") return refused("The URI of the peer is missing.");
  if (text.length > MAX_PEER_URI_BYTES) return refused(`The URI is longer than ${MAX_PEER_URI_BYTES} bytes.`);
  if (STRANGE.test(text)) return refused("The URI has a blank or a sign in it that is not plain ASCII.");
  const [, scheme = ""] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  const known = PEER_SCHEMES.find((each) => each === scheme.toLowerCase());
  if (scheme !== "" && known === undefined) return refused(`The scheme has to be one of ${PEER_SCHEMES.join(", ")}.`);
  const [, bracketed = "", port = "", path = ""] = SHAPE.exec(text.slice(scheme.length)) ?? [];
  if (known === undefined || bracketed === "") {
    return refused("A peer is given as scheme://address:port, for example tls://192.0.2.1:443.");
  }
  if (path !== "" && known !== "ws" && known !== "wss") return refused("Only ws and wss have a path.");
  const host = readHost(bracketed);
  if (host === null) return refused("The host of the URI is neither an address nor a name.");
  if (Number(port) < 1 || Number(port) > 65_535) return refused("The port of the URI has to be 1 to 65535.");
  const shownHost = host.includes(":") ? `[${host}]` : host;
  const shown = `${known}://${shownHost}:${Number(port)}${path}`;
  return { ok: true, peer: { scheme: known, host, port: Number(port), uri: text, shown } };
}

/**
 * A URI without query, fragment and user, at most 512 characters, for any text: also for what no reader understands. What
 * `parsePeerUri` takes comes in its one form.
 */
export function shownUri(text: string): string {
  const parsed = parsePeerUri(text);
  if (parsed.ok) return parsed.peer.shown;
  const bare = text.split(/[?#]/, 1)[0] ?? "";
  const [, scheme = "", rest = bare] = /^([A-Za-z][A-Za-z0-9+.-]*:\/\/)(.*)$/s.exec(bare) ?? [];
  const slash = rest.indexOf("/");
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? "" : rest.slice(slash);
  const withoutUser = authority.slice(authority.lastIndexOf("@") + 1);
  return `${scheme}${withoutUser}${path}`.replaceAll(/[^\x21-\x7e]/g, "�").slice(0, MAX_PEER_URI_BYTES);
}

/** A sentence about a name that no interface can have; empty = it may be one. Empty names stand for any interface. */
export function interfaceNameProblem(name: string): string {
  if (name === "") return "";
  const isName = /^[A-Za-z0-9._@-]+$/.test(name) && name.length <= MAX_INTERFACE_BYTES && !/^\.\.?$/.test(name);
  return isName ? "" : "That is no name of an interface.";
}

function readHost(text: string): string | null {
  const bracketed = text.startsWith("[");
  const bare = bracketed ? text.slice(1, -1) : text;
  const address = canonicalAddress(bare);
  if (address !== null) return bracketed === bare.includes(":") ? address : null;
  if (bracketed || /^[0-9.]+$/.test(bare)) return null;
  const name = bare.toLowerCase().replace(/\.$/, "");
  return name.length <= MAX_HOST_LENGTH && name.split(".").every((label) => NAME_LABEL.test(label)) ? name : null;
}

function refused(problem: string): PeerUriResult {
  return { ok: false, problem };
}
