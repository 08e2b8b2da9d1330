/** What the options of `host add` and `host update` say, and destinations like `user@host:port`. */
import { create } from "@bufbuild/protobuf";
import {
  type Environment,
  EnvironmentColor,
  EnvironmentSchema,
  type HostAccess,
  HostAccessSchema,
  SshTransport,
} from "@wardline/api/wardline/console/v1/hosts";
import { ENVIRONMENT_COLORS, parseDestination, usualColor } from "@wardline/domain/fleet";
import type { AccessOptions } from "../commands/host.options.ts";
import { UsageError } from "../exit-code.ts";

const TRANSPORTS = {
  auto: SshTransport.AUTO,
  "built-in": SshTransport.BUILT_IN,
  system: SshTransport.SYSTEM,
} as const;

const COLORS = {
  red: EnvironmentColor.RED,
  amber: EnvironmentColor.AMBER,
  blue: EnvironmentColor.BLUE,
  green: EnvironmentColor.GREEN,
  grey: EnvironmentColor.GREY,
} as const;

/** @throws UsageError */
export function accessOf(destination: string, options: AccessOptions = {}): HostAccess {
  const place = parseDestination(destination);
  if (!place) {
    throw new UsageError(
      `"${destination.slice(0, 100)}" is not a host.`,
      "Give a name, an address, user@host:port, or a Host of ~/.ssh/config.",
    );
  }
  return changedAccess(create(HostAccessSchema, { ...place }), options);
}

/** What the options give takes the place of what was there. */
export function changedAccess(before: HostAccess, options: AccessOptions): HostAccess {
  const { port, user, identityFile, jump, agentSocketPath, transport } = options;
  return create(HostAccessSchema, {
    ...before,
    port: port ?? before.port,
    user: user ?? before.user,
    identityFiles: identityFile ? withoutNone(identityFile) : before.identityFiles,
    jump: jump === undefined ? before.jump : jump === "none" ? "" : jump,
    agentSocket: agentSocketPath === undefined ? before.agentSocket : agentSocketPath === "none" ? "" : agentSocketPath,
    transport: transport ? TRANSPORTS[transport] : before.transport,
  });
}

/** `name`, `name:color` or `none`. @throws UsageError */
export function environmentOf(text: string): Environment | null {
  if (text === "none") return null;
  const [, name = "", colorText] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  const color = colorText === undefined ? usualColor(name) : ENVIRONMENT_COLORS.find((each) => each === colorText);
  if (!color) {
    throw new UsageError(`"${colorText}" is not a colour.`, `Colours are ${ENVIRONMENT_COLORS.join(", ")}.`);
  }
  return create(EnvironmentSchema, { name, color: COLORS[color] });
}

/** `--group none` means no group at all. */
export function withoutNone(given: readonly string[]): string[] {
  return given.filter((each) => each !== "none");
}
