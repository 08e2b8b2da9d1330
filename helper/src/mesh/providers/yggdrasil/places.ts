/** Where Yggdrasil keeps its things, and what the settings for its admin socket mean. */
import { existsSync } from "node:fs";
import type { YggdrasilOptions } from "../../meshOptions.ts";
import type { AdminEndpoint } from "./adminSocket.ts";

export const CONFIG_PLACES = ["/etc/yggdrasil/yggdrasil.conf", "/etc/yggdrasil.conf"] as const;
export const SOCKET_PLACES = [
  "/run/yggdrasil/yggdrasil.sock",
  "/var/run/yggdrasil/yggdrasil.sock",
  "/var/run/yggdrasil.sock",
] as const;
export const USUAL_UNIT = "yggdrasil.service";
/** Longest path that the kernel takes for a socket. */
const MAX_SOCKET_PATH_BYTES = 107;

/** Looks at files only; what is on the command line counts as there. */
export function isYggdrasilPresent({ socket, configPath, unit }: YggdrasilOptions): boolean {
  if (socket !== null || configPath !== null || unit !== null) return true;
  return [...CONFIG_PLACES, ...SOCKET_PLACES].some((path) => existsSync(path));
}

export type AdminListen =
  | { readonly kind: "at"; readonly endpoint: AdminEndpoint }
  /** `none`, or empty. */
  | { readonly kind: "off" }
  | { readonly kind: "unknown"; readonly problem: string };

/** Reads a value of `AdminListen`, or of the option of the agent. */
export function readAdminListen(text: string): AdminListen {
  if (text === "" || text === "none") return { kind: "off" };
  const path = text.startsWith("unix://") ? text.slice("unix://".length) : text;
  if (path.startsWith("/")) {
    if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES && !path.includes("\0")) {
      return { kind: "at", endpoint: { kind: "unix", path } };
    }
    return { kind: "unknown", problem: "its path is longer than a socket's may be" };
  }
  const [, host = "", port = ""] = /^tcp:\/\/(\[[0-9A-Fa-f:.]+\]|[^/:?#@\s]*):(\d{1,5})$/.exec(text) ?? [];
  if (Number(port) < 1 || Number(port) > 65_535) return { kind: "unknown", problem: "it is neither a path nor a port" };
  const bare = host.replaceAll(/[[\]]/g, "");
  // There is no password on it: what comes from another machine is nobody's word, and a daemon that listens everywhere is asked here.
  if (["", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"].includes(bare)) {
    const loopback = bare.includes(":") ? "::1" : "127.0.0.1";
    return { kind: "at", endpoint: { kind: "tcp", host: loopback, port: Number(port) } };
  }
  return { kind: "unknown", problem: "it is on another machine" };
}
