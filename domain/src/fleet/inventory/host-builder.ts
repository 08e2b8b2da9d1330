/** Collects the hosts of a file, checks each value at its line, and refuses a name that comes twice. */
import { aliasProblem, environmentProblem, groupProblem } from "../names.ts";
import {
  type EnvironmentColorName,
  INVENTORY_LIMITS,
  type InventoryHost,
  type InventoryProblems,
  shown,
} from "./model.ts";
import {
  addressProblem,
  jumpProblem,
  labelKeyProblem,
  labelValueProblem,
  pathProblem,
  userProblem,
  usualColor,
} from "./values.ts";

export interface HostDraft {
  readonly line: number;
  /** The address when empty. */
  readonly alias: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly identityFiles: readonly string[];
  readonly jump: string;
  readonly agentSocket: string;
  readonly groups: Iterable<string>;
  readonly labels: Iterable<readonly [string, string]>;
  /** Empty = none. */
  readonly environment: string;
}

export const EMPTY_DRAFT: Omit<HostDraft, "line" | "address"> = {
  alias: "",
  port: 0,
  user: "",
  identityFiles: [],
  jump: "",
  agentSocket: "",
  groups: [],
  labels: [],
  environment: "",
};

export class HostBuilder {
  readonly hosts: InventoryHost[] = [];
  readonly #problems: InventoryProblems;
  readonly #colors: ReadonlyMap<string, EnvironmentColorName>;
  readonly #lines = new Map<string, number>();
  #isFull = false;

  constructor(problems: InventoryProblems, colors: ReadonlyMap<string, EnvironmentColorName> = new Map()) {
    this.#problems = problems;
    this.#colors = colors;
  }

  /** True once nothing more is taken: whoever reads may stop. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** A host with a problem is left out; what is wrong is reported. */
  add(draft: HostDraft): void {
    if (this.#isFull) return;
    if (this.hosts.length >= INVENTORY_LIMITS.maxHosts) {
      this.#isFull = true;
      const message = `The file names more than ${INVENTORY_LIMITS.maxHosts.toLocaleString("en")} hosts; nothing from here on is read.`;
      this.#problems.report("WL505", draft.line, message);
      return;
    }
    const alias = draft.alias || draft.address;
    const sentence = this.#firstProblem(draft, alias);
    if (sentence) {
      this.#problems.report("WL503", draft.line, sentence);
      return;
    }
    const before = this.#lines.get(alias.toLowerCase());
    if (before !== undefined) {
      const message = `"${shown(alias)}" was named in line ${before} already; upper and lower case are the same name.`;
      this.#problems.report("WL504", draft.line, message);
      return;
    }
    this.#lines.set(alias.toLowerCase(), draft.line);
    const { environment } = draft;
    this.hosts.push({
      ...draft,
      alias,
      groups: this.#groups(draft),
      labels: new Map(draft.labels),
      environment:
        environment === ""
          ? null
          : { name: environment, color: this.#colors.get(environment) ?? usualColor(environment) },
    });
  }

  #firstProblem(draft: HostDraft, alias: string): string | null {
    const { address, user, identityFiles, jump, agentSocket, environment, labels } = draft;
    const about = (value: string, problem: string | null) => (problem ? `"${shown(value)}" ${problem}.` : null);
    return (
      about(address, addressProblem(address)) ??
      aliasProblem(alias) ??
      about(user, userProblem(user)) ??
      first(identityFiles, (path) => about(path, pathProblem(path))) ??
      (jump === "" || jump === "none" ? null : about(jump, jumpProblem(jump))) ??
      (agentSocket === "" ? null : about(agentSocket, agentSocketProblem(agentSocket))) ??
      (environment === "" ? null : environmentProblem(environment)) ??
      first(labels, ([key, value]) => about(key, labelKeyProblem(key)) ?? about(value, labelValueProblem(value)))
    );
  }

  /** A group that has no usable name is left out and told; the host stays. */
  #groups({ groups, line }: HostDraft): string[] {
    const good: string[] = [];
    for (const group of new Set(groups)) {
      const problem = groupProblem(group);
      if (problem) this.#problems.report("WL507", line, `The group "${shown(group)}" is left out. ${problem}`);
      else good.push(group);
    }
    return good.sort();
  }
}

function agentSocketProblem(path: string): string | null {
  return path.startsWith("/") ? pathProblem(path) : "is not an absolute path";
}

function first<Item>(items: Iterable<Item>, problemOf: (item: Item) => string | null): string | null {
  for (const item of items) {
    const problem = problemOf(item);
    if (problem) return problem;
  }
  return null;
}
