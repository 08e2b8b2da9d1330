/**
 * Our own inventory:
 *
 *     kind: HostList
 *     environments: {production: red}
 *     defaults: {user: ops, jump: bastion.example.com}
 *     hosts:
 *       - alias: web-1
 *         address: 192.0.2.10
 *         groups: [web]
 *         labels: {app: web}
 *         environment: production
 */
import { nearestWord } from "../../policy/formats/suggest.ts";
import type { MapEntry, YamlNode } from "../../policy/yaml/node.ts";
import { EMPTY_DRAFT, type HostBuilder, type HostDraft } from "./host-builder.ts";
import { ENVIRONMENT_COLORS, type EnvironmentColorName, type InventoryProblems, shown } from "./model.ts";
import { parsePort } from "./values.ts";

const TOP_FIELDS = ["apiVersion", "kind", "environments", "defaults", "hosts"] as const;
const DEFAULT_FIELDS = [
  "port",
  "user",
  "identityFile",
  "identityFiles",
  "jump",
  "agentSocket",
  "groups",
  "labels",
  "environment",
] as const;
const HOST_FIELDS = ["alias", "address", ...DEFAULT_FIELDS] as const;

type LineOf = (node: { readonly start: number; readonly end: number }) => number;

export class WardlineInventoryReader {
  readonly #lineOf: LineOf;
  readonly #problems: InventoryProblems;
  readonly #fields: ReadonlyMap<string, MapEntry>;

  constructor(root: YamlNode, lineOf: LineOf, problems: InventoryProblems) {
    this.#lineOf = lineOf;
    this.#problems = problems;
    this.#fields = this.#read(root, TOP_FIELDS, "The file");
  }

  /** Colours that the file gives to environments. */
  colors(): ReadonlyMap<string, EnvironmentColorName> {
    const colors = new Map<string, EnvironmentColorName>();
    const entry = this.#fields.get("environments");
    if (!entry) return colors;
    if (entry.value.kind !== "map") this.#refuse(entry, "environments is a mapping of names to colours.");
    else {
      for (const { key, keySpan, value } of entry.value.entries) {
        const word = value.kind === "scalar" ? String(value.value) : "";
        const color = ENVIRONMENT_COLORS.find((each) => each === word);
        if (color) colors.set(key, color);
        else {
          const near = nearestWord(word, ENVIRONMENT_COLORS);
          const hint = near ? `Did you mean ${near}?` : `Colours are ${ENVIRONMENT_COLORS.join(", ")}.`;
          this.#problems.report("WL503", this.#lineOf(keySpan), `"${shown(word)}" is not a colour. ${hint}`);
        }
      }
    }
    return colors;
  }

  readHosts(builder: HostBuilder): void {
    const defaultsEntry = this.#fields.get("defaults");
    const defaults = defaultsEntry
      ? this.#draft(this.#read(defaultsEntry.value, DEFAULT_FIELDS, "defaults"), EMPTY_DRAFT)
      : EMPTY_DRAFT;
    const list = this.#fields.get("hosts");
    if (!list) {
      this.#problems.report("WL501", 1, "The file has no hosts: list them under `hosts`.");
      return;
    }
    if (list.value.kind !== "list") {
      this.#refuse(list, "hosts is a list: each host begins with a dash.");
      return;
    }
    for (const item of list.value.items) {
      if (builder.isFull) return;
      this.#readHost(item, defaults, builder);
    }
  }

  #readHost(item: YamlNode, defaults: Omit<HostDraft, "line" | "address">, builder: HostBuilder): void {
    const line = this.#lineOf(item);
    const fields = this.#read(item, HOST_FIELDS, "A host");
    if (fields.size === 0) return;
    const address = this.#text(fields, "address") || this.#text(fields, "alias");
    if (address === "") this.#problems.report("WL503", line, "This host has no address.");
    else builder.add({ ...this.#draft(fields, defaults), address, line });
  }

  /** Groups and labels add to those of the defaults; everything else takes their place. */
  #draft(fields: ReadonlyMap<string, MapEntry>, defaults: Omit<HostDraft, "line" | "address">) {
    const portEntry = fields.get("port");
    const port = portEntry ? parsePort(this.#text(fields, "port")) : defaults.port;
    if (portEntry && port === null) this.#refuse(portEntry, "port is a number from 1 to 65535.");
    const files = [...this.#list(fields, "identityFiles"), ...this.#list(fields, "identityFile")];
    return {
      alias: this.#text(fields, "alias"),
      port: port ?? 0,
      user: this.#text(fields, "user") || defaults.user,
      identityFiles: files.length > 0 ? files : defaults.identityFiles,
      jump: this.#text(fields, "jump") || defaults.jump,
      agentSocket: this.#text(fields, "agentSocket") || defaults.agentSocket,
      groups: [...defaults.groups, ...this.#list(fields, "groups")],
      labels: [...defaults.labels, ...this.#labels(fields.get("labels"))],
      environment: this.#text(fields, "environment") || defaults.environment,
    };
  }

  #labels(entry: MapEntry | undefined): (readonly [string, string])[] {
    if (!entry) return [];
    if (entry.value.kind !== "map") {
      this.#refuse(entry, "labels is a mapping of names to text.");
      return [];
    }
    return entry.value.entries.flatMap((label) => {
      if (label.value.kind === "scalar") return [[label.key, scalarText(label.value)] as const];
      this.#refuse(label, `The label ${shown(label.key)} has no text.`);
      return [];
    });
  }

  #text(fields: ReadonlyMap<string, MapEntry>, name: string): string {
    const entry = fields.get(name);
    if (!entry) return "";
    if (entry.value.kind === "scalar") return scalarText(entry.value);
    this.#refuse(entry, `${name} is one text.`);
    return "";
  }

  /** A list of texts; one text alone is a list of one. */
  #list(fields: ReadonlyMap<string, MapEntry>, name: string): string[] {
    const entry = fields.get(name);
    if (!entry) return [];
    const items = entry.value.kind === "list" ? entry.value.items : [entry.value];
    return items.flatMap((item) => {
      if (item.kind === "scalar") return item.value === null ? [] : [scalarText(item)];
      this.#refuse(entry, `${name} is a list of texts.`);
      return [];
    });
  }

  #read(node: YamlNode, known: readonly string[], what: string): ReadonlyMap<string, MapEntry> {
    const fields = new Map<string, MapEntry>();
    if (node.kind !== "map") {
      this.#problems.report(
        "WL501",
        this.#lineOf(node),
        `${what} must be a mapping with ${known.slice(0, 3).join(", ")} …`,
      );
      return fields;
    }
    for (const entry of node.entries) {
      if (known.includes(entry.key)) fields.set(entry.key, entry);
      else if (!this.#problems.isFull) {
        const near = nearestWord(entry.key, known);
        const hint = near ? `Did you mean ${near}?` : `Known are ${known.join(", ")}.`;
        this.#problems.report("WL502", this.#lineOf(entry.keySpan), `"${shown(entry.key)}" is unknown here. ${hint}`);
      }
    }
    return fields;
  }

  #refuse(entry: MapEntry, message: string): void {
    this.#problems.report("WL503", this.#lineOf(entry.keySpan), message);
  }
}

/** As it is written, so that `yes` and `007` stay what the person wrote. */
function scalarText(node: Extract<YamlNode, { kind: "scalar" }>): string {
  if (node.value === null) return "";
  return typeof node.value === "string" ? node.value : node.source;
}
