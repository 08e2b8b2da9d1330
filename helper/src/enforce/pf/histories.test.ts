import { Failure } from "@wardline/domain/errors";
import { type HostProgram, PROTOCOL } from "@wardline/domain/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { APPLE_MAIN } from "../../testing/fakePf.ts";
import { FakePfConf, FakePfctl, FakePfStore } from "../../testing/fakePfctl.ts";
import { handProgram } from "../../testing/handProgram.ts";
import type { EnforcementMode } from "../enforcer.ts";
import { createPfEnforcer, type PfEnforcer } from "./pfEnforcer.ts";

const RUNS = Number(process.env.WARDLINE_FUZZ_HISTORIES ?? 150);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const PORTS = [1001, 1002, 1003];
const PROGRAMS = PORTS.map((port) =>
  handProgram({ rules: [{ direction: "ingress", remote: null, protocol: PROTOCOL.tcp, port, verdict: "allow" }] }),
);

/** What happens to a host: what its agent is asked, what time and others do to it. */
const STEPS = [
  "apply",
  "apply observed",
  "apply to be confirmed",
  "confirm",
  "revert",
  "wait",
  "closed",
  "open",
  "none",
  "restart",
  "reboot",
  "fill the disk",
  "free the disk",
  "flush the anchor",
  "turn pf off",
  "load other main rules",
  "lose the record",
] as const;

class Host {
  readonly #pfctl = new FakePfctl();
  readonly #conf = new FakePfConf();
  readonly #store = new FakePfStore();
  readonly #programs = new Map<number, HostProgram>();
  #nowMs = 1000;
  #generation = 0;
  #openerPort = 10_000;
  /** False once a token may have been lost with its record: pf then stays enabled longer, which harms nothing. */
  #remembers = true;
  enforcer: PfEnforcer = this.#create();

  #create(): PfEnforcer {
    return createPfEnforcer({
      commands: this.#pfctl,
      confFile: this.#conf,
      store: this.#store,
      bootMs: () => this.#nowMs,
    });
  }

  async do(step: (typeof STEPS)[number]): Promise<void> {
    const { enforcer } = this;
    if (step === "lose the record" || step === "fill the disk") this.#remembers = false;
    if (step === "apply") await this.#apply("enforce", null);
    else if (step === "apply observed") await this.#apply("observe", null);
    else if (step === "apply to be confirmed") await this.#apply("enforce", 1000);
    else if (step === "confirm") enforcer.confirm();
    else if (step === "revert") enforcer.revert();
    else if (step === "wait") this.#nowMs += 700;
    else if (step === "closed" || step === "open" || step === "none") enforcer.setEmergency(step);
    else if (step === "fill the disk") this.#store.failure = Object.assign(new Error("full"), { code: "ENOSPC" });
    else if (step === "free the disk") this.#store.failure = null;
    else if (step === "flush the anchor") this.#pfctl.run(["-a", "wardline", "-F", "all"]);
    else if (step === "turn pf off") this.#pfctl.pf.disable();
    else if (step === "load other main rules") this.#pfctl.pf.main = APPLE_MAIN;
    else await this.#startAgain(step);
  }

  async #startAgain(step: "restart" | "reboot" | "lose the record"): Promise<void> {
    await this.enforcer.close();
    if (step === "reboot") this.#pfctl.pf.reboot();
    if (step === "lose the record") this.#store.text = null;
    this.enforcer = this.#create();
    await this.enforcer.open();
  }

  async #apply(mode: EnforcementMode, fallbackAfterMs: number | null): Promise<void> {
    const generation = ++this.#generation;
    const program = PROGRAMS[generation % PROGRAMS.length];
    if (!program) throw new Error("no program");
    this.#programs.set(generation, program);
    this.enforcer.activate(await this.enforcer.prepare(program, generation), { mode, fallbackAfterMs });
  }

  /** Which of the ports can be reached, by packets and by what the state claims. */
  compare(): void {
    const state = this.enforcer.state();
    if (!state.attached) {
      // Only where the text was lost with the record, and then from pf as well.
      expect(state).toMatchObject({ programDigest: "", previousGeneration: 0 });
      expect(state.generation).toBeGreaterThan(0);
      return;
    }
    const { expired } = state;
    const generation = expired ? state.previousGeneration : state.generation;
    const mode = expired ? state.previousMode : state.mode;
    const program = this.#programs.get(generation);
    const isOpen = state.emergency === "open" || mode === "observe" || generation === 0;
    const claimed = PORTS.filter(
      (_, position) => state.emergency !== "closed" && (isOpen || PROGRAMS[position] === program),
    );
    const met = PORTS.filter((port) => this.#send(port) === "pass");
    expect(met).toEqual(claimed);
    // Connections that were let in and are no longer allowed have ended.
    for (const { port } of this.#pfctl.pf.states) expect(claimed).toContain(port);
    if (this.#remembers) expect(this.#pfctl.pf.tokens.size).toBe(1);
    expect(this.#pfctl.pf.main.filter.filter((rule) => rule.includes("wardline")).length).toBe(1);
  }

  #send(port: number): "pass" | "block" {
    return this.#pfctl.pf.send({
      direction: "ingress",
      local: "192.0.2.10",
      remote: "198.51.100.7",
      protocol: PROTOCOL.tcp,
      port,
      openerPort: ++this.#openerPort,
    });
  }
}

describe("the pf backend over random histories", () => {
  it(`does what its state says, ${RUNS} histories`, { timeout: 240_000 }, async () => {
    const taken = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...STEPS), { minLength: 10, maxLength: 30 }), async (steps) => {
        const host = new Host();
        await host.enforcer.open();
        try {
          for (const step of steps) {
            try {
              await host.do(step);
              taken.set(step, (taken.get(step) ?? 0) + 1);
            } catch (error) {
              // What is refused is refused by name; what is compared next is that nothing was changed.
              if (!(error instanceof Failure)) throw error;
            }
            // Others have taken something away: the agent looks every ten seconds.
            host.enforcer.watch();
            host.compare();
          }
        } finally {
          await host.enforcer.close();
        }
      }),
      { numRuns: RUNS, seed: SEED },
    );
    for (const step of STEPS) expect(taken.get(step) ?? 0, step).toBeGreaterThan(10);
  });
});
