/**
 * batman-adv through the JSON of `batctl`. Where the kernel has no such interface it is absent; where `batctl` is missing, older than
 * 2021.1, late or not understood, the state says so and there are no peers rather than guessed ones. No text is read.
 */
import { create } from "@bufbuild/protobuf";
import {
  MeshProvider,
  type MeshProviderReport,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { MeshProviderAdapter } from "../../ports.ts";
import {
  BatctlCommand,
  BatctlError,
  type BatctlProgram,
  COMMAND_LIMIT_MS,
  findBatctl,
  type Query,
} from "./batctlCommand.ts";
import { reportOf } from "./batmanReport.ts";
import { BATMAN_KIND, type KnownInterface, listInterfaces } from "./meshInterfaces.ts";
import { readGateways, readHardInterfaces, readMesh, readNeighbors, readOriginators } from "./replies.ts";

export interface BatmanPorts {
  /** `null` = there is none that could be trusted. */
  readonly findProgram: () => BatctlProgram | null;
  /** Of the kernel. Throws when it does not answer. */
  readonly interfaces: () => readonly KnownInterface[];
}

/** A gateway mode that was turned off has to be turned on again, whatever happens. */
const RESTORE_ATTEMPTS = 3;

const STATES = {
  late: MeshProviderState.UNRESPONSIVE,
  failed: MeshProviderState.UNRESPONSIVE,
  large: MeshProviderState.UNSUPPORTED,
  garbage: MeshProviderState.UNSUPPORTED,
  "not run": MeshProviderState.UNSUPPORTED,
} as const;

export class BatmanAdapter implements MeshProviderAdapter {
  readonly provider = MeshProvider.BATMAN;
  readonly #ports: BatmanPorts;

  constructor(ports: Partial<BatmanPorts> = {}) {
    this.#ports = { findProgram: findBatctl, interfaces: listInterfaces, ...ports };
  }

  async read(signal: AbortSignal): Promise<MeshProviderReport> {
    try {
      const all = this.#ports.interfaces();
      const own = ownInterface(all);
      return own === null ? this.#report(MeshProviderState.ABSENT, "") : await this.#look(own, all, signal);
    } catch (error) {
      const sentence = error instanceof Error ? error.message.slice(0, 300) : "no reason";
      return this.#report(MeshProviderState.UNSUPPORTED, `It could not be looked at: ${sentence}.`);
    }
  }

  async #look(own: KnownInterface, all: readonly KnownInterface[], signal: AbortSignal): Promise<MeshProviderReport> {
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(COMMAND_LIMIT_MS)]);
      return await this.#ask(this.#command(own.name), own, all, within);
    } catch (error) {
      if (!(error instanceof BatctlError)) throw error;
      // It went while it was asked.
      const isGone = !this.#ports.interfaces().some(({ name, kind }) => name === own.name && kind === BATMAN_KIND);
      if (isGone) return this.#report(MeshProviderState.ABSENT, "");
      return this.#report(STATES[error.kind], `${own.name}: ${error.message}.`, own.name);
    }
  }

  #command(interfaceName: string): BatctlCommand {
    const program = this.#ports.findProgram();
    if (program === null) throw new BatctlError("not run", "no batctl that only root can change is installed");
    return new BatctlCommand(program, interfaceName);
  }

  async #ask(batctl: BatctlCommand, own: KnownInterface, all: readonly KnownInterface[], signal: AbortSignal) {
    const mesh = readMesh(await batctl.query("mesh_json", signal));
    // Lists that a release may not have: without them the rest counts all the same.
    const unlessMissing = async <T>(query: Query, read: (value: unknown) => T): Promise<T | null> => {
      try {
        return read(await batctl.query(query, signal));
      } catch (error) {
        if (error instanceof BatctlError && error.kind === "failed") return null;
        throw error;
      }
    };
    const [originators, neighbors, hardInterfaces, gateways] = await Promise.all([
      batctl.query("originators_json", signal).then((value) => readOriginators(value, mesh.algorithm)),
      batctl.query("neighbors_json", signal).then(readNeighbors),
      unlessMissing("hardifs_json", readHardInterfaces),
      unlessMissing("gateways_json", readGateways),
    ]);
    return reportOf({ mesh, originators, neighbors, hardInterfaces, gateways }, own, all);
  }

  #report(state: MeshProviderState, detail: string, interfaceName = ""): MeshProviderReport {
    return create(MeshProviderReportSchema, { provider: this.provider, state, detail, interfaceName });
  }

  /**
   * Turns the choice of a gateway off and on again. Throws `Failure` HOST_UNSUPPORTED where the host is no client of gateways, or
   * cannot be asked; KERNEL_REFUSED; DEADLINE_EXCEEDED. The mode is `client` again after a refusal, or the message says that it is not.
   */
  async reselectGateway(signal: AbortSignal): Promise<void> {
    const own = ownInterface(this.#ports.interfaces());
    if (own === null) throw unsupported("This host has no interface of batman-adv.");
    const batctl = await this.#orFailure(async () => this.#command(own.name));
    const { gatewayMode } = await this.#orFailure(async () => readMesh(await batctl.query("mesh_json", signal)));
    if (gatewayMode !== "client") {
      throw unsupported(
        `${own.name} chooses no gateway: its gateway mode is ${gatewayMode ?? "not known"}, not client.`,
      );
    }
    try {
      await this.#orFailure(() => batctl.setGatewayMode("off", signal));
    } finally {
      await restoreClient(batctl, own.name);
    }
  }

  async #orFailure<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof BatctlError)) throw error;
      if (error.kind === "late") throw failure(ErrorCode.DEADLINE_EXCEEDED, `${error.message}.`);
      throw error.kind === "failed"
        ? failure(ErrorCode.KERNEL_REFUSED, `${error.message}.`)
        : unsupported(`${error.message}.`);
    }
  }
}

/** The first by name. */
function ownInterface(all: readonly KnownInterface[]): KnownInterface | null {
  const found = all.filter(({ kind }) => kind === BATMAN_KIND);
  return found.toSorted((one, other) => (one.name < other.name ? -1 : 1))[0] ?? null;
}

/** Whoever gave up meanwhile: a host must not be left without a gateway. */
async function restoreClient(batctl: BatctlCommand, interfaceName: string): Promise<void> {
  let last = "";
  for (let attempt = 1; attempt <= RESTORE_ATTEMPTS; attempt++) {
    try {
      await batctl.setGatewayMode("client", AbortSignal.timeout(COMMAND_LIMIT_MS));
      return;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
  }
  throw new Failure({
    code: ErrorCode.KERNEL_REFUSED,
    message: `The gateway mode of ${interfaceName} was turned off and could not be turned on again: ${last}.`,
    hint: `Run: batctl meshif ${interfaceName} gw_mode client`,
  });
}

function failure(code: ErrorCode, message: string): Failure {
  return new Failure({ code, message, retryable: true });
}

function unsupported(message: string): Failure {
  return new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message });
}
