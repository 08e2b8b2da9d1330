/** A Mac of doubles with the pf backend on it, for tests of what goes wrong. */
import { type HostProgram, PROTOCOL } from "@wardline/domain/policy";
import { createPfEnforcer, type PfEnforcer } from "../enforce/pf/pfEnforcer.ts";
import type { FakePacket } from "./fakePf.ts";
import { FakePfConf, FakePfctl, FakePfStore } from "./fakePfctl.ts";
import { handProgram } from "./handProgram.ts";

const programFor = (port: number): HostProgram =>
  handProgram({ rules: [{ direction: "ingress", remote: null, protocol: PROTOCOL.tcp, port, verdict: "allow" }] });

/** Two programs that packets can tell apart: the first lets port 443 in, the second port 22. */
export const FIRST_PROGRAM = programFor(443);
export const SECOND_PROGRAM = programFor(22);
export const ENFORCE = { mode: "enforce", fallbackAfterMs: null } as const;

export const packetTo = (port: number): FakePacket => ({
  direction: "ingress",
  local: "192.0.2.10",
  remote: "198.51.100.7",
  protocol: PROTOCOL.tcp,
  port,
});

/** Whether a command line, its words joined, loads our anchor. */
export const isAnchorLoad = (line: string): boolean =>
  line.startsWith("-a wardline") && line.includes("-f") && !line.includes("-n");

export class PfHost {
  readonly pfctl = new FakePfctl();
  readonly conf = new FakePfConf();
  readonly store = new FakePfStore();
  nowMs = 1000;
  enforcer: PfEnforcer;
  readonly #started: PfEnforcer[] = [];

  constructor() {
    this.enforcer = this.create();
  }

  /** The enforcer of a new process. The one before is not closed: it may be played dead. */
  create(): PfEnforcer {
    const { pfctl, conf, store } = this;
    this.enforcer = createPfEnforcer({ commands: pfctl, confFile: conf, store, bootMs: () => this.nowMs });
    this.#started.push(this.enforcer);
    return this.enforcer;
  }

  async apply(program: HostProgram, generation: number, options = {}): Promise<number> {
    return this.enforcer.activate(await this.enforcer.prepare(program, generation), { ...ENFORCE, ...options });
  }

  /** Which of the two programs decides: by what a new connection meets. */
  inForce(): "first" | "second" | "open" | "closed" {
    const { pf } = this.pfctl;
    pf.states = [];
    const [web, ssh] = [pf.send(packetTo(443)), pf.send(packetTo(22))];
    pf.states = [];
    if (web === ssh) return web === "pass" ? "open" : "closed";
    return web === "pass" ? "first" : "second";
  }

  /** pfctl fails from now on where a command line matches. */
  refuse(matches: (line: string) => boolean, stderr: string): void {
    this.pfctl.intercept = (commandLine) =>
      matches(commandLine.join(" ")) ? { exitCode: 1, stdout: "", stderr, problem: null } : null;
  }

  answerAgain(): void {
    this.pfctl.intercept = () => null;
    this.store.beforeWrite = () => {};
  }

  async close(): Promise<void> {
    for (const one of this.#started.splice(0)) await one.close();
  }
}
