/** `wardline-agent boot`: the last confirmed policies in force, then the end. Nothing serves, nothing is looked up. */
import { GenerationController } from "../generations/controller.ts";
import { Closers, controllerPorts, type FoundationPorts, layFoundation, retireOthers } from "./foundation.ts";
import type { AgentOptions } from "./options.ts";

export interface BootReport {
  readonly backend: string;
  readonly generation: number;
  readonly emergency: string;
  /** Sentences for the console of the machine; empty = what was in force last is in force. */
  readonly problems: readonly string[];
}

/**
 * Adopts or loads what was confirmed last and leaves it in the kernel. A host that was enforcing and cannot be brought to
 * that state is closed, or left open when the options say so. Throws `StartError` when something else is in the way.
 */
export async function bootAgent(options: AgentOptions, ports: FoundationPorts): Promise<BootReport> {
  const closers = new Closers();
  try {
    const foundation = await layFoundation(options, ports, closers);
    const controller = new GenerationController({
      ...controllerPorts(options, foundation),
      newestConnection: () => 0,
      circumstances: async () => {
        throw new Error("names are not looked up before the network");
      },
    });
    await controller.start();
    closers.add(() => controller.close());
    await retireOthers(foundation, controller);
    const { enforcer } = foundation.backend;
    const { generation, emergency } = enforcer.state();
    return { backend: enforcer.name, generation, emergency, problems: controller.problems };
  } finally {
    await closers.close();
  }
}
