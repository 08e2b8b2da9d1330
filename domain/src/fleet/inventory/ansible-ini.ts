/** Ansible's INI format: `[group]`, `[group:children]`, `[group:vars]`, hosts with `key=value`. */
import { AnsibleInventory } from "./ansible.ts";
import type { HostBuilder } from "./host-builder.ts";
import { type InventoryProblems, shown } from "./model.ts";

type Section = { readonly name: string; readonly part: "hosts" | "children" | "vars" };

export function readAnsibleIni(text: string, builder: HostBuilder, problems: InventoryProblems): void {
  const inventory = new AnsibleInventory(problems);
  let section: Section | null = { name: "ungrouped", part: "hosts" };
  inventory.group("ungrouped", 1, true);
  for (const [index, raw] of text.split("\n").entries()) {
    if (inventory.isFull) break;
    const number = index + 1;
    const line = raw.replace(/\r$/, "").trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    if (line.startsWith("[")) {
      section = readSection(line, number, inventory, problems);
      continue;
    }
    // What follows a section that cannot be read belongs to nobody.
    if (section) readEntry(line, number, section, inventory, problems);
  }
  inventory.build(builder);
}

function readSection(
  line: string,
  number: number,
  inventory: AnsibleInventory,
  problems: InventoryProblems,
): Section | null {
  const [, name = "", part = "hosts"] = /^\[([^\]:\s]+)(?::(\w+))?\]\s*(?:[#;].*)?$/.exec(line) ?? [];
  if (name === "" || (part !== "hosts" && part !== "children" && part !== "vars")) {
    const message = `"${shown(line)}" is not a section. Sections are [group], [group:children] and [group:vars].`;
    problems.report("WL501", number, message);
    return null;
  }
  inventory.group(name, number, true);
  return { name, part };
}

function readEntry(
  line: string,
  number: number,
  section: Section,
  inventory: AnsibleInventory,
  problems: InventoryProblems,
): void {
  const group = inventory.group(section.name, number, true);
  if (section.part === "vars") {
    const [, key = "", value = ""] = /^([A-Za-z_][\w.-]*)\s*=\s*(.*)$/s.exec(line) ?? [];
    if (key === "") problems.report("WL501", number, `"${shown(line)}" is not key=value.`);
    else inventory.setGroupVariable(group, key, unquoted(withoutComment(value)), number);
    return;
  }
  const words = splitWords(line);
  if (words === null) {
    problems.report("WL501", number, "A quote is opened and not closed.");
    return;
  }
  const [name = "", ...rest] = words;
  if (section.part === "children") {
    group.children.set(name, number);
    inventory.group(name, number, false);
    if (rest.length > 0)
      problems.report("WL501", number, `Only the name of a group can stand here, not "${shown(rest[0] ?? "")}".`);
    return;
  }
  const hosts = inventory.addHosts(name, group, number);
  for (const word of rest) {
    const equals = word.indexOf("=");
    if (equals < 1) problems.report("WL501", number, `"${shown(word)}" is not key=value.`);
    else
      for (const host of hosts) inventory.setHostVariable(host, word.slice(0, equals), word.slice(equals + 1), number);
  }
}

function withoutComment(text: string): string {
  return text.replace(/\s[#;].*$/, "").trim();
}

function unquoted(text: string): string {
  return /^(["']).*\1$/s.test(text) && text.length > 1 ? text.slice(1, -1) : text;
}

/** Words as a shell splits them, with quotes and backslashes, and a comment at the end; `null` when a quote stays open. */
function splitWords(line: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const character = line[at] ?? "";
    if (quote !== "") {
      if (character === quote) quote = "";
      else if (character === "\\" && quote === '"' && at + 1 < line.length) word += line[++at] ?? "";
      else word += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= "";
    } else if (character === "\\" && at + 1 < line.length) word = (word ?? "") + (line[++at] ?? "");
    else if (/\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (character === "#" && word === null) break;
    else word = (word ?? "") + character;
  }
  if (quote !== "") return null;
  if (word !== null) words.push(word);
  return words;
}
