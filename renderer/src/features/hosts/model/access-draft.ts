/** What a person types about how a machine is reached, and what is wrong with it before anything is asked. */
import { create } from "@bufbuild/protobuf";
import {
  type Environment,
  EnvironmentColor,
  EnvironmentSchema,
  type HostAccess,
  HostAccessSchema,
  SshTransport,
} from "@wardline/api/wardline/console/v1/hosts";
import { ENVIRONMENT_TONES } from "../../../data/hosts-snapshot.ts";

export interface AccessDraft {
  readonly alias: string;
  readonly address: string;
  readonly port: string;
  readonly user: string;
  readonly identityFile: string;
  readonly jump: string;
  readonly transport: "auto" | "built-in" | "system";
  /** Separated by blanks or commas. */
  readonly groups: string;
  readonly environmentName: string;
  readonly environmentColor: "red" | "amber" | "blue" | "green" | "grey";
}

export const EMPTY_ACCESS: AccessDraft = {
  alias: "",
  address: "",
  port: "",
  user: "",
  identityFile: "",
  jump: "",
  transport: "auto",
  groups: "",
  environmentName: "",
  environmentColor: "grey",
};

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

/** `user@host:port` typed into the address is taken apart, as every ssh user would expect. */
export function withAddress(draft: AccessDraft, typed: string): AccessDraft {
  const match = /^(?:([^@\s]+)@)?(\[[0-9a-fA-F:.%]+\]|[^@:\s]+):(\d{1,5})$/.exec(typed.trim());
  const userOnly = /^([^@\s]+)@([^@\s]+)$/.exec(typed.trim());
  if (match) {
    const [, user, address = "", port = ""] = match;
    return { ...draft, address: address.replace(/^\[|\]$/g, ""), port, user: user ?? draft.user };
  }
  if (userOnly) return { ...draft, user: userOnly[1] ?? "", address: userOnly[2] ?? "" };
  return { ...draft, address: typed };
}

/** Why it cannot be sent yet; `null` when it can. */
export function accessProblem(draft: AccessDraft): string | null {
  if (draft.address.trim() === "") return "Say where it is: a name, an address, or a Host of ~/.ssh/config.";
  if (/\s/.test(draft.address.trim())) return "An address has no blanks.";
  if (draft.address.startsWith("-") || draft.user.startsWith("-")) return "A name cannot begin with a hyphen.";
  const port = Number(draft.port);
  if (draft.port !== "" && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) return "A port is 1 to 65535.";
  return null;
}

export function toAccess(draft: AccessDraft): HostAccess {
  const identityFile = draft.identityFile.trim();
  return create(HostAccessSchema, {
    address: draft.address.trim(),
    port: Number(draft.port) || 0,
    user: draft.user.trim(),
    identityFiles: identityFile === "" ? [] : [identityFile],
    jump: draft.jump.trim(),
    transport: TRANSPORTS[draft.transport],
  });
}

export function toGroups(draft: AccessDraft): string[] {
  return [...new Set(draft.groups.split(/[\s,]+/).filter((group) => group !== ""))].sort();
}

export function toEnvironment(draft: AccessDraft): Environment | undefined {
  const name = draft.environmentName.trim();
  return name === "" ? undefined : create(EnvironmentSchema, { name, color: COLORS[draft.environmentColor] });
}

interface Described {
  readonly alias: string;
  readonly access?: HostAccess | undefined;
  readonly groups: readonly string[];
  readonly environment?: Environment | undefined;
}

/** The draft that says the same as a managed machine. */
export function toDraft({ alias, access, groups, environment }: Described): AccessDraft {
  const transport = access?.transport;
  return {
    alias,
    address: access?.address ?? "",
    port: access?.port ? String(access.port) : "",
    user: access?.user ?? "",
    identityFile: access?.identityFiles[0] ?? "",
    jump: access?.jump ?? "",
    transport: transport === SshTransport.BUILT_IN ? "built-in" : transport === SshTransport.SYSTEM ? "system" : "auto",
    groups: groups.join(" "),
    environmentName: environment?.name ?? "",
    environmentColor: ENVIRONMENT_TONES[environment?.color ?? EnvironmentColor.GREY],
  };
}
