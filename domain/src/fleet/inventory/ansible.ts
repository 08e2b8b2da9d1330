/** Ansible's inventory once it is read: groups with children, variables that more special places override. */
import { nearestWord } from "../../policy/formats/suggest.ts";
import type { HostBuilder } from "./host-builder.ts";
import { INVENTORY_LIMITS, type InventoryProblems, shown } from "./model.ts";
import { expandRanges } from "./ranges.ts";
import { parseDestination, parsePort } from "./values.ts";

type Variables = Map<string, { readonly value: string; readonly line: number }>;

interface Group {
  readonly name: string;
  readonly variables: Variables;
  readonly children: Map<string, number>;
  readonly hosts: Set<string>;
  /** Whether a section or mapping defines it, and not only a `children` line. */
  isDefined: boolean;
}

/** Variables that say how a machine is reached. The older names with `ssh` in them mean the same. */
const MEANINGS: Readonly<Record<string, "host" | "port" | "user" | "key" | "arguments" | "connection">> = {
  ansible_host: "host",
  ansible_ssh_host: "host",
  ansible_port: "port",
  ansible_ssh_port: "port",
  ansible_user: "user",
  ansible_ssh_user: "user",
  ansible_ssh_private_key_file: "key",
  ansible_private_key_file: "key",
  ansible_ssh_common_args: "arguments",
  ansible_ssh_extra_args: "arguments",
  ansible_connection: "connection",
};
const OURS = ["wardline_alias", "wardline_environment", "wardline_labels", "wardline_agent_socket"] as const;
const SECRETS = /^ansible_(ssh_|become_|sudo_|su_)?pass(word)?$/;
/** Known and without meaning here; listed for the did-you-mean only. */
const OTHERS = [
  "ansible_become",
  "ansible_become_user",
  "ansible_become_method",
  "ansible_python_interpreter",
] as const;
const KNOWN = [...Object.keys(MEANINGS), ...OURS, ...OTHERS];
/** Groups that every inventory has. */
const BUILT_IN_GROUPS = new Set(["all", "ungrouped"]);

export class AnsibleInventory {
  readonly #problems: InventoryProblems;
  readonly #groups = new Map<string, Group>();
  /** Name to its variables and first line, in the order of the file. */
  readonly #hosts = new Map<string, { readonly variables: Variables; readonly line: number }>();
  #variableCount = 0;
  #isFull = false;

  constructor(problems: InventoryProblems) {
    this.#problems = problems;
    this.group("all", 1, true);
  }

  /** True once something was too much: the rest of the file is not read. */
  get isFull(): boolean {
    return this.#isFull;
  }

  group(name: string, line: number, isDefined: boolean): Group {
    const known = this.#groups.get(name);
    if (known) {
      known.isDefined ||= isDefined;
      return known;
    }
    const group: Group = { name, variables: new Map(), children: new Map(), hosts: new Set(), isDefined };
    if (this.#groups.size < INVENTORY_LIMITS.maxGroups) this.#groups.set(name, group);
    else this.#tooMuch(line, `more than ${INVENTORY_LIMITS.maxGroups.toLocaleString("en")} groups`);
    return group;
  }

  /** The hosts that a pattern stands for become members of the group. Returns their names. */
  addHosts(pattern: string, group: Group, line: number): readonly string[] {
    const names = expandRanges(pattern);
    if (typeof names === "string") {
      this.#problems.report("WL503", line, `"${shown(pattern)}" ${names}.`);
      return [];
    }
    for (const name of names) {
      if (!this.#hosts.has(name)) {
        if (this.#hosts.size > INVENTORY_LIMITS.maxHosts) {
          this.#tooMuch(line, `more than ${INVENTORY_LIMITS.maxHosts.toLocaleString("en")} hosts`);
          return [];
        }
        this.#hosts.set(name, { variables: new Map(), line });
      }
      group.hosts.add(name);
    }
    return names;
  }

  setHostVariable(host: string, key: string, value: string, line: number): void {
    const variables = this.#hosts.get(host)?.variables;
    if (variables) this.#set(variables, key, value, line);
  }

  setGroupVariable(group: Group, key: string, value: string, line: number): void {
    this.#set(group.variables, key, value, line);
  }

  /** Gives every host to the builder, with what its groups and it itself say. */
  build(builder: HostBuilder): void {
    const order = this.#outermostFirst();
    const groupsOf = this.#membership(order);
    for (const [name, { variables, line }] of this.#hosts) {
      if (builder.isFull) return;
      const memberOf = groupsOf.get(name) ?? [];
      const merged: Variables = new Map(this.#groups.get("all")?.variables);
      for (const group of memberOf) for (const [key, value] of group.variables) merged.set(key, value);
      for (const [key, value] of variables) merged.set(key, value);
      this.#buildHost(builder, name, line, merged, memberOf);
    }
  }

  #buildHost(builder: HostBuilder, name: string, line: number, variables: Variables, memberOf: readonly Group[]): void {
    const of = (meaning: string) =>
      [...variables].findLast(
        ([key, { value }]) => MEANINGS[key] === meaning && !this.#isTemplate(key, value, line),
      )?.[1].value;
    const own = (key: (typeof OURS)[number]) => variables.get(key)?.value ?? "";
    const connection = of("connection") ?? "ssh";
    if (!["ssh", "smart", "paramiko", "paramiko_ssh"].includes(connection)) {
      const message = `${shown(name)} is left out: it is reached by "${shown(connection)}" and not by SSH.`;
      this.#problems.report("WL506", line, message);
      return;
    }
    // The name itself may carry a port: `db.example.com:2222`.
    const place = parseDestination(name);
    const portText = of("port");
    const port = portText === undefined ? (place?.port ?? 0) : parsePort(portText);
    if (port === null) {
      this.#problems.report("WL503", line, `${shown(name)}: "${shown(portText ?? "")}" is not a port.`);
      return;
    }
    const key = of("key");
    builder.add({
      line,
      alias: own("wardline_alias") || (place && place.user === "" ? place.address : name),
      address: of("host") ?? place?.address ?? name,
      port,
      user: of("user") ?? place?.user ?? "",
      identityFiles: key === undefined ? [] : [key],
      jump: this.#jump(of("arguments"), line),
      agentSocket: own("wardline_agent_socket"),
      groups: memberOf.map((group) => group.name).filter((group) => !BUILT_IN_GROUPS.has(group)),
      labels: this.#labels(own("wardline_labels"), line),
      environment: own("wardline_environment"),
    });
  }

  #isTemplate(key: string, value: string, line: number): boolean {
    if (!/\{\{|\{%/.test(value)) return false;
    this.#problems.report("WL506", line, `${shown(key)} is a template and is not filled in here; it is left out.`);
    return true;
  }

  /** `-J host` and `-o ProxyJump=host`; anything else between console and host is told and left out. */
  #jump(sshArguments: string | undefined, line: number): string {
    if (sshArguments === undefined) return "";
    const jump = /(?:^|\s)(?:-J\s*|-o\s*ProxyJump[ =])["']?([^\s"']+)/i.exec(sshArguments)?.[1];
    if (jump) return jump;
    if (/ProxyCommand/i.test(sshArguments)) {
      const message = "A ProxyCommand is not taken from an inventory: put it into ~/.ssh/config, or use -J.";
      this.#problems.report("WL506", line, message);
    }
    return "";
  }

  #labels(text: string, line: number): (readonly [string, string])[] {
    if (text === "") return [];
    return text.split(",").flatMap((part) => {
      const equals = part.indexOf("=");
      if (equals > 0) return [[part.slice(0, equals).trim(), part.slice(equals + 1).trim()] as const];
      this.#problems.report("WL503", line, `"${shown(part)}" in wardline_labels is not key=value.`);
      return [];
    });
  }

  #set(variables: Variables, key: string, value: string, line: number): void {
    if (SECRETS.test(key)) {
      const message = `${key} is not read: passwords are asked for when they are needed and kept in no file.`;
      this.#problems.report("WL506", line, message);
      return;
    }
    const isKnown = key in MEANINGS || (OURS as readonly string[]).includes(key);
    if (!isKnown) {
      this.#warnOfSlip(key, line);
      return;
    }
    if (++this.#variableCount > INVENTORY_LIMITS.maxVariables) {
      this.#tooMuch(line, `more than ${INVENTORY_LIMITS.maxVariables.toLocaleString("en")} variables`);
      return;
    }
    variables.set(key, { value, line });
  }

  /** Inventories are full of variables of other people's; only what nearly has a name of ours is worth a word. */
  #warnOfSlip(key: string, line: number): void {
    if (this.#problems.isFull || !/^(ansible|wardline)_?/.test(key) || KNOWN.includes(key)) return;
    const near = nearestWord(key, KNOWN);
    if (near) this.#problems.report("WL502", line, `"${shown(key)}" is unknown. Did you mean ${near}?`);
  }

  /** Groups before their children, so that the more special one overrides. A circle is told and cut. */
  #outermostFirst(): readonly Group[] {
    const order: Group[] = [];
    const state = new Map<string, "open" | "done">();
    for (const root of this.#groups.values()) {
      // Iterative: the file decides how deep groups are nested.
      const stack: { group: Group; left: [string, number][] }[] = [];
      const enter = (group: Group) => {
        state.set(group.name, "open");
        stack.push({ group, left: [...group.children] });
      };
      if (!state.has(root.name)) enter(root);
      for (let top = stack.at(-1); top; top = stack.at(-1)) {
        const next = top.left.pop();
        if (!next) {
          state.set(top.group.name, "done");
          order.push(top.group);
          stack.pop();
          continue;
        }
        const [name, line] = next;
        const child = this.#groups.get(name);
        if (!child?.isDefined) {
          const near = this.#problems.isFull ? null : nearestWord(name, this.#groups.keys());
          const hint = near && near !== name ? ` Did you mean ${near}?` : "";
          this.#problems.report("WL507", line, `The group "${shown(name)}" is not defined in this file.${hint}`);
        }
        if (!child || state.get(name) === "done") continue;
        if (state.get(name) === "open") {
          top.group.children.delete(name);
          this.#problems.report("WL507", line, `The group "${shown(name)}" contains itself; this line does not count.`);
        } else enter(child);
      }
    }
    return order.reverse();
  }

  /** For each host the groups it is in, directly or through others, outermost first. */
  #membership(order: readonly Group[]): ReadonlyMap<string, readonly Group[]> {
    const groupsOf = new Map<string, Group[]>();
    // Innermost first: the hosts of children are known when their parent asks.
    const members = new Map<Group, ReadonlySet<string>>();
    for (const group of order.toReversed()) {
      const all = new Set(group.hosts);
      for (const name of group.children.keys()) {
        const child = this.#groups.get(name);
        for (const host of (child && members.get(child)) ?? []) all.add(host);
      }
      members.set(group, all);
    }
    for (const group of order) {
      for (const host of members.get(group) ?? []) {
        const known = groupsOf.get(host);
        if (known) known.push(group);
        else groupsOf.set(host, [group]);
      }
    }
    return groupsOf;
  }

  #tooMuch(line: number, what: string): void {
    if (!this.#isFull) this.#problems.report("WL505", line, `The file has ${what}; the rest is not read.`);
    this.#isFull = true;
  }
}
