/** A directory with the admin socket and the configuration of a Yggdrasil, and adapters that look at them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MeshPeer } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { YggdrasilOptions } from "../mesh/meshOptions.ts";
import { YggdrasilAdapter } from "../mesh/providers/yggdrasil/yggdrasilAdapter.ts";
import type { ServiceManager } from "../mesh/serviceManager.ts";
import { type DoubleOptions, type DoublePeer, YggdrasilDouble } from "./yggdrasilDouble.ts";

export class YggdrasilScene {
  readonly directory = mkdtempSync(join(tmpdir(), "wardline-yggd-"));
  readonly socketPath = join(this.directory, "y.sock");
  readonly configPath = join(this.directory, "y.conf");
  readonly restarts: [unit: string, isHung: boolean][] = [];
  double: YggdrasilDouble | null = null;
  nowMs = 0;
  readonly #adapters: YggdrasilAdapter[] = [];

  /** Knows the unit `here.service`, and writes down what it should restart. */
  readonly services: ServiceManager = {
    hasUnit: async (unit) => unit === "here.service",
    restart: async (unit, isHung) => {
      this.restarts.push([unit, isHung]);
    },
  };

  adapter(over: Partial<YggdrasilOptions> = {}): YggdrasilAdapter {
    const options = { socket: null, configPath: this.configPath, unit: null, ...over };
    const directory = join(this.directory, "state", "mesh");
    const adapter = new YggdrasilAdapter({ options, directory, services: this.services, nowMs: () => this.nowMs });
    this.#adapters.push(adapter);
    return adapter;
  }

  configure(config: object | string): void {
    writeFileSync(this.configPath, typeof config === "string" ? config : JSON.stringify(config));
  }

  /** A daemon begins to answer, and its configuration says where. */
  async speak(generation: DoubleOptions["generation"], over: Partial<DoubleOptions> = {}): Promise<YggdrasilDouble> {
    this.double = await YggdrasilDouble.start({ path: this.socketPath, generation, ...over });
    this.configure({ AdminListen: `unix://${this.socketPath}`, Peers: [] });
    return this.double;
  }

  async close(): Promise<void> {
    await this.double?.close();
    await Promise.all(this.#adapters.map((adapter) => adapter.close()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function upPeer(key: string, remote: string, more: Partial<DoublePeer> = {}): DoublePeer {
  return { key, remote, up: true, ...more };
}

export const shortOf = ({ key, uri, up, inbound, configured }: MeshPeer) => [key, uri, up, inbound, configured];

/** Code and message of the expected failure of a call; throws when there is none. */
export async function failureOf(call: Promise<unknown>): Promise<[string, string]> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw new Error(`not a failure: ${String(error)}`);
  return [ErrorCode[error.code] ?? "", error.message];
}
