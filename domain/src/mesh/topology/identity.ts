/** What nodes and links are called. */
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { hasInvisible, replaceInvisible } from "../../text/index.ts";
import { canonicalMeshKey } from "../yggdrasil-address.ts";
import { MESH_LIMITS } from "./limits.ts";

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const HOST_MAX_LENGTH = 253;

export const GRAPH_PROVIDERS = [MeshProvider.YGGDRASIL, MeshProvider.BATMAN, MeshProvider.IP] as const;

/** As ids and sentences have it; empty for one that this version does not know. */
export function providerWord(provider: MeshProvider): string {
  if (provider === MeshProvider.YGGDRASIL) return "yggdrasil";
  if (provider === MeshProvider.BATMAN) return "batman";
  return provider === MeshProvider.IP ? "ip" : "";
}

/** For sentences. */
export function providerName(provider: MeshProvider): string {
  if (provider === MeshProvider.YGGDRASIL) return "Yggdrasil";
  if (provider === MeshProvider.BATMAN) return "batman-adv";
  return provider === MeshProvider.IP ? "plain IP" : "an unknown mesh";
}

/** A key in its one form; `null` when it is none of this mesh. For IP it is the name of a host. */
export function canonicalKey(provider: MeshProvider, text: string): string | null {
  if (provider === MeshProvider.YGGDRASIL) return canonicalMeshKey(text);
  if (provider === MeshProvider.IP) return hostNameProblem(text) === "" ? text : null;
  const mac = text.toLowerCase();
  return provider === MeshProvider.BATMAN && MAC.test(mac) ? mac : null;
}

/** A sentence; empty = a host may be called that. */
export function hostNameProblem(name: string): string {
  if (name === "") return "The host did not say its name.";
  if (name.length > HOST_MAX_LENGTH) return `The name of a host has at most ${HOST_MAX_LENGTH} characters.`;
  if (/[\s|/]/.test(name) || hasInvisible(name)) {
    return "The name of a host has no blanks, no signs that cannot be seen, no `|` and no `/`.";
  }
  return "";
}

export const hostNodeId = (name: string): string => `host/${name}`;

export const foreignNodeId = (provider: MeshProvider, key: string): string => `${providerWord(provider)}/${key}`;

/** For people: of a node that nobody manages. */
export function foreignLabel(provider: MeshProvider, key: string): string {
  return provider === MeshProvider.YGGDRASIL ? `${key.slice(0, 12)}…` : key;
}

/** The ids may come in any order. */
export function linkId(provider: MeshProvider, one: string, other: string): string {
  return one < other ? `${providerWord(provider)}|${one}|${other}` : `${providerWord(provider)}|${other}|${one}`;
}

/** Text of a host, for sentences: visible and short. */
export function plainText(text: string): string {
  return replaceInvisible(text.slice(0, MESH_LIMITS.sentenceLength), () => "�");
}
