/** What the agent's command line says about meshes. */
export interface YggdrasilOptions {
  /** Of the admin socket: a path or `tcp://127.0.0.1:9001`; `null` = from the configuration, else the known places. */
  readonly socket: string | null;
  /** `null` = the known places. */
  readonly configPath: string | null;
  /** `null` = `yggdrasil.service` where the service manager has it. */
  readonly unit: string | null;
}

export interface ConfiguredProbe {
  readonly host: string;
  readonly address: string;
}

export interface MeshOptions {
  readonly isOff: boolean;
  readonly yggdrasil: YggdrasilOptions;
  readonly probes: readonly ConfiguredProbe[];
}

export const NO_MESH: MeshOptions = {
  isOff: true,
  yggdrasil: { socket: null, configPath: null, unit: null },
  probes: [],
};
