/** The part of the command line that is about meshes. */
import { isIP } from "node:net";
import { isAbsolute } from "node:path";
import type { ConfiguredProbe, MeshOptions } from "../mesh/meshOptions.ts";
import { UsageError } from "./usageError.ts";

interface MeshValues {
  readonly mesh?: string | undefined;
  readonly "yggdrasil-socket"?: string | undefined;
  readonly "yggdrasil-config"?: string | undefined;
  readonly "yggdrasil-unit"?: string | undefined;
  readonly "mesh-probe"?: readonly string[] | undefined;
}

const MAX_PROBES = 64;
const MAX_HOST_NAME_LENGTH = 253;
const MAX_UNIT_LENGTH = 255;

/** Throws {@link UsageError}. */
export function meshOptions(values: MeshValues): MeshOptions {
  const { mesh = "on" } = values;
  if (mesh !== "on" && mesh !== "off") throw new UsageError(`--mesh must be one of on, off, not "${mesh}"`);
  const probes = values["mesh-probe"] ?? [];
  if (probes.length > MAX_PROBES) throw new UsageError(`--mesh-probe can be given at most ${MAX_PROBES} times`);
  return {
    isOff: mesh === "off",
    yggdrasil: {
      socket: socketPlace(values["yggdrasil-socket"]),
      configPath: configPath(values["yggdrasil-config"]),
      unit: unitName(values["yggdrasil-unit"]),
    },
    probes: probes.map(probe),
  };
}

function socketPlace(text: string | undefined): string | null {
  if (text === undefined) return null;
  const path = text.replace(/^unix:\/\//, "");
  if (isAbsolute(path)) return path;
  // There is no password on it: over a network everybody could change the peers.
  const match = /^tcp:\/\/(?:127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})$/.exec(text);
  const port = Number(match?.[1]);
  if (port >= 1 && port <= 65_535) return text;
  throw new UsageError(`--yggdrasil-socket must be an absolute path or tcp://127.0.0.1:PORT, not "${text}"`);
}

function configPath(text: string | undefined): string | null {
  if (text === undefined || isAbsolute(text)) return text ?? null;
  throw new UsageError(`--yggdrasil-config must be an absolute path, not "${text}"`);
}

function unitName(text: string | undefined): string | null {
  if (text === undefined) return null;
  const name = /\.service$/.test(text) ? text : `${text}.service`;
  if (/^[A-Za-z0-9_@:.\\-]+$/.test(name) && /^[A-Za-z0-9]/.test(name) && name.length <= MAX_UNIT_LENGTH) return name;
  throw new UsageError(`--yggdrasil-unit: "${text}" is not the name of a unit`);
}

function probe(text: string): ConfiguredProbe {
  const at = text.indexOf("=");
  const [host, address] = [text.slice(0, at), text.slice(at + 1)];
  const isHost = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(host) && host.length <= MAX_HOST_NAME_LENGTH;
  if (at < 1 || !isHost || isIP(address) === 0) {
    throw new UsageError(`--mesh-probe must be a host and an address, as web-2=192.0.2.7, not "${text}"`);
  }
  return { host, address };
}
