/** Ansible's YAML format: groups with `hosts`, `children` and `vars`, below `all` or beside it. */

import { nearestWord } from "../../policy/formats/suggest.ts";
import type { MapEntry, YamlNode } from "../../policy/yaml/node.ts";
import { AnsibleInventory } from "./ansible.ts";
import type { HostBuilder } from "./host-builder.ts";
import { type InventoryProblems, shown } from "./model.ts";

const GROUP_FIELDS = ["hosts", "children", "vars"];

type LineOf = (node: { readonly start: number; readonly end: number }) => number;

export function readAnsibleYaml(
  root: YamlNode,
  lineOf: LineOf,
  builder: HostBuilder,
  problems: InventoryProblems,
): void {
  const inventory = new AnsibleInventory(problems);
  const reader = new GroupReader(inventory, lineOf, problems);
  if (root.kind === "map") for (const entry of root.entries) reader.readGroup(entry);
  inventory.build(builder);
}

/** Depth is bounded by the YAML reader. */
class GroupReader {
  readonly #inventory: AnsibleInventory;
  readonly #lineOf: LineOf;
  readonly #problems: InventoryProblems;

  constructor(inventory: AnsibleInventory, lineOf: LineOf, problems: InventoryProblems) {
    this.#inventory = inventory;
    this.#lineOf = lineOf;
    this.#problems = problems;
  }

  readGroup({ key: name, keySpan, value }: MapEntry): void {
    if (this.#inventory.isFull) return;
    const group = this.#inventory.group(name, this.#lineOf(keySpan), true);
    for (const field of this.#entries(value, `The group ${shown(name)}`)) {
      const what = `${field.key} of the group ${shown(name)}`;
      if (field.key === "hosts") {
        for (const host of this.#entries(field.value, what)) this.#readHost(host, group);
      } else if (field.key === "children") {
        for (const child of this.#entries(field.value, what)) {
          group.children.set(child.key, this.#lineOf(child.keySpan));
          this.readGroup(child);
        }
      } else if (field.key === "vars") {
        for (const variable of this.#entries(field.value, what)) {
          const text = this.#text(variable);
          if (text !== null)
            this.#inventory.setGroupVariable(group, variable.key, text, this.#lineOf(variable.keySpan));
        }
      } else {
        const near = nearestWord(field.key, GROUP_FIELDS);
        const hint = near ? ` Did you mean ${near}?` : " Groups have hosts, children and vars.";
        this.#problems.report("WL502", this.#lineOf(field.keySpan), `"${shown(field.key)}" is unknown here.${hint}`);
      }
    }
  }

  #readHost({ key: pattern, keySpan, value }: MapEntry, group: ReturnType<AnsibleInventory["group"]>): void {
    const hosts = this.#inventory.addHosts(pattern, group, this.#lineOf(keySpan));
    for (const variable of this.#entries(value, `The host ${shown(pattern)}`)) {
      const text = this.#text(variable);
      if (text === null) continue;
      const line = this.#lineOf(variable.keySpan);
      for (const host of hosts) this.#inventory.setHostVariable(host, variable.key, text, line);
    }
  }

  #entries(node: YamlNode, what: string): readonly MapEntry[] {
    if (node.kind === "map") return node.entries;
    const isEmpty = node.kind === "scalar" && node.value === null;
    if (!isEmpty) this.#problems.report("WL501", this.#lineOf(node), `${what} must be a mapping.`);
    return [];
  }

  /** Lists and mappings are variables for other people's tasks: nothing that says how a machine is reached has them. */
  #text({ value }: MapEntry): string | null {
    return value.kind === "scalar" ? String(value.value ?? "") : null;
  }
}
