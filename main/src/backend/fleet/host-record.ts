/** What a person says of a machine, checked before anything of it is kept. */
import { create } from "@bufbuild/protobuf";
import {
  type Environment,
  EnvironmentColor,
  EnvironmentSchema,
  type HostAccess,
  HostAccessSchema,
} from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { aliasProblem, environmentProblem, groupProblem } from "@wardline/domain/fleet";
import { parseJumps, requireAddress, requirePath, requirePort, requireUser } from "../ssh/config/addresses.ts";
import type { HostRecord } from "../store/managed-hosts-table.ts";

const MOST_IDENTITY_FILES = 20;
const MOST_GROUPS = 100;
const LONGEST_SOCKET_PATH = 107;

/** A clean copy: nothing is kept that this console does not know. @throws Failure INVALID_ARGUMENT */
export function checkedAccess(access: HostAccess | undefined): HostAccess {
  if (!access) throw invalid("The request does not say how the machine is reached.");
  const { address, port, user, identityFiles, jump, transport, agentSocket } = access;
  if (identityFiles.length > MOST_IDENTITY_FILES) {
    throw invalid(`${identityFiles.length} key files were given; at most ${MOST_IDENTITY_FILES} can be.`);
  }
  if (jump !== "") parseJumps(jump);
  if (agentSocket !== "") {
    requirePath(agentSocket, "The agent's socket");
    if (!agentSocket.startsWith("/") || Buffer.byteLength(agentSocket) > LONGEST_SOCKET_PATH) {
      throw invalid(`The agent's socket must be an absolute path of at most ${LONGEST_SOCKET_PATH} bytes.`);
    }
  }
  return create(HostAccessSchema, {
    address: requireAddress(address),
    port: requirePort(port),
    user: requireUser(user),
    identityFiles: identityFiles.map((path) => requirePath(path, "The key file")),
    jump,
    transport,
    agentSocket,
  });
}

/** Sorted, each once. @throws Failure INVALID_ARGUMENT */
export function checkedGroups(groups: readonly string[]): readonly string[] {
  if (groups.length > MOST_GROUPS) throw invalid(`${groups.length} groups were given; at most ${MOST_GROUPS} can be.`);
  for (const group of groups) {
    const problem = groupProblem(group);
    if (problem) throw invalid(`${JSON.stringify(group.slice(0, 60))} is not a group. ${problem}`);
  }
  return [...new Set(groups)].sort();
}

/** `null` = none. @throws Failure INVALID_ARGUMENT */
export function checkedEnvironment(environment: Environment | undefined): Environment | null {
  if (!environment || (environment.name === "" && environment.color === EnvironmentColor.UNSPECIFIED)) return null;
  const problem = environmentProblem(environment.name);
  if (problem) throw invalid(problem);
  const isColor = EnvironmentColor[environment.color] !== undefined;
  const color =
    isColor && environment.color !== EnvironmentColor.UNSPECIFIED ? environment.color : EnvironmentColor.GREY;
  return create(EnvironmentSchema, { name: environment.name, color });
}

/** @throws Failure INVALID_ARGUMENT */
export function checkedAlias(alias: string): string {
  const problem = aliasProblem(alias);
  if (!problem) return alias;
  throw invalid(`${JSON.stringify(alias.slice(0, 60))} cannot be an alias. ${problem}`);
}

/** @throws Failure ALREADY_EXISTS when two of all these would be the same machine, or be called the same */
export function requireDistinct(changed: readonly HostRecord[], others: readonly HostRecord[]): void {
  const aliases = new Map<string, string>();
  const ways = new Map<string, string>();
  for (const { alias, access } of others) {
    aliases.set(alias.toLowerCase(), alias);
    if (access) ways.set(wayOf(access), alias);
  }
  for (const { alias, access } of changed) {
    const sameAlias = aliases.get(alias.toLowerCase());
    if (sameAlias !== undefined) {
      throw exists(
        `There is a host called ${sameAlias} already.`,
        "Choose another alias, or edit the host that is there.",
      );
    }
    const sameWay = access ? ways.get(wayOf(access)) : undefined;
    if (sameWay !== undefined) {
      throw exists(
        `${alias} would be the same agent as ${sameWay}: address, port, way and socket are the same.`,
        "Each agent is managed once. Give it more groups or labels instead.",
      );
    }
    aliases.set(alias.toLowerCase(), alias);
    if (access) ways.set(wayOf(access), alias);
  }
}

function wayOf({ address, port, jump, agentSocket }: HostAccess): string {
  return JSON.stringify([address.toLowerCase(), port, jump, agentSocket]);
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function exists(message: string, hint: string): Failure {
  return new Failure({ code: ErrorCode.ALREADY_EXISTS, message, hint });
}
