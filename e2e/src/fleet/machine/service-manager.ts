/** What `systemctl` can ask of a test machine: the verbs that installing, upgrading and watching a service needs. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Service, type ServiceState } from "./service.ts";
import { lastOf, loadUnit, type Unit, wordsOf } from "./unit-file.ts";

export interface Answer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Order {
  readonly verb: string;
  readonly units: readonly string[];
  readonly now: boolean;
  readonly properties: readonly string[];
  /** Only the values, without their names. */
  readonly valuesOnly: boolean;
  /** Of `kill`; SIGTERM unless given. */
  readonly signal?: string;
}

const WANTS_DIRECTORY = "/etc/systemd/system";
const LOG_DIRECTORY = "/var/log/services";
const done: Answer = { exitCode: 0, stdout: "", stderr: "" };
/** As systemctl(1) has them. */
const EXIT = { notActive: 3, noSuchUnit: 5, failed: 1 } as const;

/** `agent` means `agent.service`. */
function unitName(given: string): string {
  return /\.[a-z]+$/.test(given) ? given : `${given}.service`;
}

export class ServiceManager {
  readonly #services = new Map<string, Service>();
  /** One order after the other, as jobs of one unit are. */
  #turn: Promise<unknown> = Promise.resolve();

  /** Starts what is enabled, in the order of targets. */
  async boot(): Promise<void> {
    for (const target of ["sysinit.target", "multi-user.target"]) {
      const folder = join(WANTS_DIRECTORY, `${target}.wants`);
      if (!existsSync(folder)) continue;
      await Promise.all(readdirSync(folder).map((name) => this.#start(name)));
    }
  }

  carryOut(order: Order): Promise<Answer> {
    const turn = this.#turn.then(() => this.#carryOut(order));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #carryOut({ verb, units: given, now, properties, valuesOnly, signal }: Order): Promise<Answer> {
    const names = given.map(unitName);
    switch (verb) {
      case "daemon-reload":
        for (const service of this.#services.values()) service.unit = loadUnit(service.unit.name) ?? service.unit;
        return done;
      case "start":
        return this.#each(names, (name) => this.#start(name));
      case "stop":
        return this.#each(names, (name) => this.#stop(name));
      case "restart":
      case "reload-or-restart":
        return this.#each(names, (name) => this.#restart(name));
      case "try-restart":
        return this.#each(
          names.filter((name) => this.#find(name)?.isRunning),
          (name) => this.#restart(name),
        );
      case "kill":
        return this.#each(names, (name) => this.#kill(name, signal ?? "SIGTERM"));
      case "enable":
        return this.#each(names, async (name) => {
          const problem = this.#enable(name);
          return problem ?? (now ? this.#start(name) : null);
        });
      case "disable":
        return this.#each(names, async (name) => {
          this.#disable(name);
          if (now) await this.#stop(name);
          return null;
        });
      case "reset-failed":
        for (const name of names.length > 0 ? names : [...this.#services.keys()]) this.#find(name)?.resetFailed();
        return done;
      case "is-active":
        return this.#tell(names, (name) => this.#find(name)?.state.active ?? "inactive", "active", EXIT.notActive);
      case "is-failed":
        return this.#tell(names, (name) => this.#find(name)?.state.active ?? "inactive", "failed", EXIT.failed);
      case "is-enabled":
        return this.#tell(names, enabledState, "enabled", EXIT.failed);
      case "is-system-running":
        return { ...done, stdout: "running\n" };
      case "show":
        return { ...done, stdout: names.map((name) => this.#show(name, properties, valuesOnly)).join("\n") };
      case "status":
        return this.#status(names);
      case "cat":
        return this.#cat(names);
      default:
        return { exitCode: 1, stdout: "", stderr: `Unknown command verb ${verb}.\n` };
    }
  }

  #find(name: string): Service | null {
    const known = this.#services.get(name);
    if (known) return known;
    const unit = loadUnit(name);
    if (unit === null) return null;
    const service = new Service(unit);
    this.#services.set(name, service);
    return service;
  }

  async #start(name: string): Promise<string | null> {
    const service = this.#find(name);
    if (service === null) return `Failed to start ${name}: Unit ${name} not found.`;
    for (const wanted of [...wordsOf(service.unit, "Unit.Wants"), ...wordsOf(service.unit, "Unit.Requires")]) {
      if (wanted.endsWith(".service")) await this.#find(wanted)?.start();
    }
    const problem = await service.start();
    return problem && `Job for ${name} failed. ${problem}\nSee "systemctl status ${name}" and "journalctl -u ${name}".`;
  }

  async #stop(name: string): Promise<string | null> {
    const service = this.#services.get(name);
    if (service) await service.stop();
    else if (loadUnit(name) === null) return `Failed to stop ${name}: Unit ${name} not loaded.`;
    if (loadUnit(name) === null) this.#services.delete(name);
    return null;
  }

  async #restart(name: string): Promise<string | null> {
    await this.#services.get(name)?.stop();
    return this.#start(name);
  }

  async #kill(name: string, signal: string): Promise<string | null> {
    const pid = this.#services.get(name)?.state.mainPid ?? 0;
    if (pid === 0) return `Failed to kill unit ${name}: No main process to kill`;
    process.kill(pid, signal as NodeJS.Signals);
    return null;
  }

  #enable(name: string): string | null {
    const unit = loadUnit(name);
    if (unit === null) return `Failed to enable unit: Unit file ${name} does not exist.`;
    for (const target of wordsOf(unit, "Install.WantedBy")) {
      const link = join(WANTS_DIRECTORY, `${target}.wants`, name);
      if (lstatSync(link, { throwIfNoEntry: false })) continue;
      mkdirSync(join(WANTS_DIRECTORY, `${target}.wants`), { recursive: true });
      symlinkSync(unit.path, link);
    }
    return null;
  }

  #disable(name: string): void {
    for (const target of ["multi-user.target", "sysinit.target"])
      rmSync(join(WANTS_DIRECTORY, `${target}.wants`, name), { force: true });
  }

  /** Every one is tried; the problems are told together. */
  async #each(names: readonly string[], act: (name: string) => Promise<string | null>): Promise<Answer> {
    const problems: string[] = [];
    for (const name of names) {
      const problem = await act(name);
      if (problem !== null) problems.push(problem);
    }
    if (problems.length === 0) return done;
    const isMissing = problems.some((problem) => /not (found|loaded)\.$/.test(problem));
    return { exitCode: isMissing ? EXIT.noSuchUnit : EXIT.failed, stdout: "", stderr: `${problems.join("\n")}\n` };
  }

  #tell(names: readonly string[], stateOf: (name: string) => string, wanted: string, otherwise: number): Answer {
    const states = names.map(stateOf);
    const exitCode = states.some((state) => state === wanted) ? 0 : otherwise;
    return { exitCode, stdout: states.map((state) => `${state}\n`).join(""), stderr: "" };
  }

  #show(name: string, properties: readonly string[], valuesOnly: boolean): string {
    const service = this.#find(name);
    const all = propertiesOf(name, service?.unit ?? null, service?.state ?? null);
    const chosen = properties.length > 0 ? properties : Object.keys(all);
    return chosen.map((key) => `${valuesOnly ? "" : `${key}=`}${all[key] ?? ""}\n`).join("");
  }

  #status(names: readonly string[]): Answer {
    const name = names[0] ?? "";
    const service = this.#find(name);
    if (service === null) return { exitCode: 4, stdout: "", stderr: `Unit ${name} could not be found.\n` };
    const { active, sub, mainPid, result } = service.state;
    const lines = [
      `${active === "failed" ? "×" : "●"} ${name} - ${lastOf(service.unit, "Unit.Description") ?? name}`,
      `     Loaded: loaded (${service.unit.path}; ${enabledState(name)})`,
      `     Active: ${active} (${sub})${result === "success" ? "" : ` (Result: ${result})`}`,
      ...(mainPid === 0 ? [] : [`   Main PID: ${mainPid}`]),
      "",
      lastLines(name, 10),
    ];
    return { exitCode: active === "active" ? 0 : EXIT.notActive, stdout: `${lines.join("\n")}\n`, stderr: "" };
  }

  #cat(names: readonly string[]): Answer {
    const texts: string[] = [];
    for (const name of names) {
      const unit = loadUnit(name);
      if (unit === null) return { exitCode: 1, stdout: "", stderr: `No files found for ${name}.\n` };
      for (const path of [unit.path, ...unit.dropIns]) texts.push(`# ${path}\n${readFileSync(path, "utf8")}`);
    }
    return { ...done, stdout: texts.join("\n") };
  }
}

function enabledState(name: string): string {
  const unit = loadUnit(name);
  if (unit === null) return "not-found";
  const targets = wordsOf(unit, "Install.WantedBy");
  if (targets.length === 0) return "static";
  const isLinked = (target: string) =>
    lstatSync(join(WANTS_DIRECTORY, `${target}.wants`, name), { throwIfNoEntry: false }) !== undefined;
  return targets.some(isLinked) ? "enabled" : "disabled";
}

function propertiesOf(name: string, unit: Unit | null, state: ServiceState | null): Record<string, string> {
  return {
    Id: name,
    LoadState: unit === null ? "not-found" : "loaded",
    ActiveState: state?.active ?? "inactive",
    SubState: state?.sub ?? "dead",
    UnitFileState: unit === null ? "" : enabledState(name),
    MainPID: String(state?.mainPid ?? 0),
    NRestarts: String(state?.restarts ?? 0),
    Result: state?.result ?? "success",
    FragmentPath: unit?.path ?? "",
    DropInPaths: unit?.dropIns.join(" ") ?? "",
    ControlGroup: state?.mainPid ? `/system.slice/${name}` : "",
  };
}

/** Of what a service wrote. */
export function lastLines(name: string, count: number): string {
  const path = join(LOG_DIRECTORY, `${name}.log`);
  if (!existsSync(path)) return "-- No entries --";
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}
