/** The file of `wardline alert apply`: receivers and rules as YAML, every problem at once and with its place. */
import { readFileSync, statSync } from "node:fs";
import {
  type AlertRule,
  CLUSTER_CONDITIONS,
  type EscalationStep,
  GROUP_KEYS,
  HOST_CONDITIONS,
  MESH_CONDITIONS,
  type RuleProblem,
  type RuleSource,
} from "@wardline/domain/alerts";
import { DETECTORS, SEVERITIES } from "@wardline/domain/anomaly";
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import type { AlertConfiguration } from "../../backend/alerts/alert-service.ts";
import type { KeptReceiver } from "../../backend/alerts/receivers.ts";
import { UsageError } from "../exit-code.ts";
import { parseDuration } from "../input/duration.ts";

const MOST_BYTES = 256 * 1024;
const MOST_SECRET_BYTES = 2_048;
const MOST_ENTRIES = 500;

type Path = RuleProblem["path"];

export interface FileProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface AlertFile {
  readonly configuration: AlertConfiguration;
  readonly problems: readonly FileProblem[];
  /** Where a problem stands that was found later. */
  place(path: Path): { readonly line: number; readonly column: number };
}

/** @param environment where `{ env: NAME }` is looked up @throws UsageError when the file cannot be read at all */
export function readAlertFile(path: string, environment: NodeJS.ProcessEnv = process.env): AlertFile {
  return parseAlertFile(readText(path, MOST_BYTES), environment);
}

export function parseAlertFile(text: string, environment: NodeJS.ProcessEnv): AlertFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true });
  const at = (offset: number) => {
    const { line, col: column } = lines.linePos(offset);
    return { line, column };
  };
  const place = (path: Path) => {
    for (let length = path.length; length >= 0; length--) {
      const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
      const range = (node as Node | null | undefined)?.range;
      if (range) return at(range[0]);
    }
    return { line: 1, column: 1 };
  };
  const reader = new Reader(environment, place);
  for (const error of document.errors)
    reader.problems.push({ ...at(error.pos[0]), message: error.message.split("\n")[0] ?? "" });
  const configuration =
    document.errors.length > 0
      ? { receivers: [], rules: [], allowedUrls: null }
      : readConfiguration(reader, document.contents);
  return { configuration, problems: reader.problems, place };
}

class Reader {
  readonly problems: FileProblem[] = [];
  readonly environment: NodeJS.ProcessEnv;
  readonly #place: (path: Path) => { line: number; column: number };

  constructor(environment: NodeJS.ProcessEnv, place: (path: Path) => { line: number; column: number }) {
    this.environment = environment;
    this.#place = place;
  }

  say(path: Path, message: string): void {
    this.problems.push({ ...this.#place(path), message });
  }

  /** The fields of a map; a field that is not among the known ones is a problem. */
  fields(node: unknown, path: Path, known: readonly string[]): Map<string, unknown> {
    const fields = new Map<string, unknown>();
    if (!isMap(node)) {
      this.say(path, `Here stand the fields ${known.join(", ")}.`);
      return fields;
    }
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : "";
      if (known.includes(name)) fields.set(name, value);
      else this.say([...path, name], `There is no field "${name.slice(0, 50)}" here; there are ${known.join(", ")}.`);
    }
    return fields;
  }

  list(node: unknown, path: Path): readonly unknown[] {
    if (node === undefined || node === null) return [];
    if (isSeq(node) && node.items.length <= MOST_ENTRIES) return node.items;
    this.say(path, `Here stands a list of at most ${MOST_ENTRIES} entries.`);
    return [];
  }

  text(node: unknown, path: Path, usual: string | null = null): string {
    if (node === undefined && usual !== null) return usual;
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === "string" || typeof value === "number") return String(value);
    this.say(path, node === undefined ? `The field "${path.at(-1)}" is missing.` : "Here stands a text.");
    return "";
  }

  word<Word extends string>(node: unknown, path: Path, words: readonly Word[], usual: Word): Word {
    if (node === undefined) return usual;
    const text = this.text(node, path);
    const word = words.find((each) => each === text);
    if (word === undefined) this.say(path, `"${text.slice(0, 50)}" is none of ${words.join(", ")}.`);
    return word ?? usual;
  }

  number(node: unknown, path: Path, usual: number | null): number {
    if (node === undefined && usual !== null) return usual;
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === "number" && Number.isSafeInteger(value)) return value;
    this.say(path, node === undefined ? `The field "${path.at(-1)}" is missing.` : "Here stands a whole number.");
    return 1;
  }

  flag(node: unknown, path: Path, usual: boolean): boolean {
    if (node === undefined) return usual;
    if (isScalar(node) && typeof node.value === "boolean") return node.value;
    this.say(path, "Here stands true or false.");
    return usual;
  }

  /** `90s`, `5m`, `2h`. */
  seconds(node: unknown, path: Path, usual: number): number {
    if (node === undefined) return usual;
    const text = this.text(node, path);
    try {
      return Math.round(parseDuration(text) / 1000);
    } catch {
      this.say(path, `"${text.slice(0, 50)}" is no time such as 90s, 5m or 2h.`);
      return usual;
    }
  }

  /** Never written into the file itself: it would lie in version control and backups. */
  secret(node: unknown, path: Path): string {
    if (node === undefined) return "";
    if (isScalar(node)) {
      this.say(path, "A secret does not stand in the file: write { env: NAME } or { file: PATH }.");
      return "";
    }
    const fields = this.fields(node, path, ["env", "file"]);
    if (fields.size !== 1) this.say(path, "A secret comes from one place: env or file.");
    if (fields.has("env")) {
      const name = this.text(fields.get("env"), [...path, "env"]);
      const value = this.environment[name];
      if (!value) this.say([...path, "env"], `The environment variable ${name.slice(0, 100)} is not set.`);
      return value ?? "";
    }
    const file = this.text(fields.get("file"), [...path, "file"]);
    try {
      return readText(file, MOST_SECRET_BYTES).replace(/\r?\n$/, "");
    } catch (error) {
      this.say([...path, "file"], error instanceof UsageError ? error.message : "It cannot be read.");
      return "";
    }
  }
}

function readConfiguration(reader: Reader, root: unknown): AlertConfiguration {
  const top = reader.fields(root, [], ["receivers", "rules", "allowedUrls"]);
  const urls = top.has("allowedUrls") ? reader.list(top.get("allowedUrls"), ["allowedUrls"]) : null;
  const receivers = reader.list(top.get("receivers"), ["receivers"]);
  const rules = reader.list(top.get("rules"), ["rules"]);
  return {
    receivers: receivers.flatMap((node, index) => readReceiver(reader, node, ["receivers", index]) ?? []),
    rules: rules.flatMap((node, index) => readRule(reader, node, ["rules", index]) ?? []),
    allowedUrls: urls === null ? null : urls.map((node, index) => reader.text(node, ["allowedUrls", index])),
  };
}

const RECEIVER_KINDS = ["desktop", "email", "webhook", "alertmanager"] as const;

function readReceiver(reader: Reader, node: unknown, path: Path): { receiver: KeptReceiver; secret: string } | null {
  const fields = reader.fields(node, path, ["name", ...RECEIVER_KINDS]);
  const name = reader.text(fields.get("name"), [...path, "name"]);
  const kinds = RECEIVER_KINDS.filter((kind) => fields.has(kind));
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    reader.say(path, `A receiver is one of ${RECEIVER_KINDS.join(", ")}.`);
    return null;
  }
  const at = [...path, kind];
  const inner = fields.get(kind);
  if (kind === "desktop") return { receiver: { name, kind }, secret: "" };
  if (kind === "email") {
    const mail = reader.fields(inner, at, ["server", "port", "security", "user", "password", "from", "to"]);
    const security = reader.word(mail.get("security"), [...at, "security"], ["tls", "starttls", "none"], "tls");
    const to = reader.list(mail.get("to"), [...at, "to"]);
    const receiver: KeptReceiver = {
      ...{ name, kind, security, server: reader.text(mail.get("server"), [...at, "server"]) },
      port: reader.number(mail.get("port"), [...at, "port"], security === "tls" ? 465 : 587),
      user: reader.text(mail.get("user"), [...at, "user"], ""),
      from: reader.text(mail.get("from"), [...at, "from"]),
      to: to.map((each, index) => reader.text(each, [...at, "to", index])),
    };
    return { receiver, secret: reader.secret(mail.get("password"), [...at, "password"]) };
  }
  const http = reader.fields(inner, at, ["url", "allowLocal", ...(kind === "webhook" ? ["secret"] : [])]);
  const url = reader.text(http.get("url"), [...at, "url"]);
  const allowLocal = reader.flag(http.get("allowLocal"), [...at, "allowLocal"], false);
  return { receiver: { name, kind, url, allowLocal }, secret: reader.secret(http.get("secret"), [...at, "secret"]) };
}

const SOURCES = ["finding", "denies", "host", "cluster", "mesh"] as const;
const RULE_FIELDS = [
  "name",
  "description",
  "enabled",
  ...SOURCES,
  "for",
  "hosts",
  "severity",
  "groupBy",
  "groupWait",
  "repeat",
  "steps",
];

function readRule(reader: Reader, node: unknown, path: Path): AlertRule | null {
  const fields = reader.fields(node, path, RULE_FIELDS);
  const source = readSource(reader, fields, path);
  if (!source) return null;
  const groupBy = reader.list(fields.get("groupBy"), [...path, "groupBy"]);
  const usualSeverity = source.kind === "finding" ? null : ("high" as const);
  return {
    name: reader.text(fields.get("name"), [...path, "name"]),
    description: reader.text(fields.get("description"), [...path, "description"], ""),
    enabled: reader.flag(fields.get("enabled"), [...path, "enabled"], true),
    source,
    forSeconds: reader.seconds(fields.get("for"), [...path, "for"], 0),
    hostSelector: reader.text(fields.get("hosts"), [...path, "hosts"], ""),
    severity: fields.has("severity")
      ? reader.word(fields.get("severity"), [...path, "severity"], SEVERITIES, "high")
      : usualSeverity,
    groupBy:
      groupBy.length === 0
        ? ["rule"]
        : groupBy.map((each, index) => reader.word(each, [...path, "groupBy", index], GROUP_KEYS, "rule")),
    groupWaitSeconds: reader.seconds(fields.get("groupWait"), [...path, "groupWait"], 30),
    repeatSeconds: reader.seconds(fields.get("repeat"), [...path, "repeat"], 3_600),
    steps: reader
      .list(fields.get("steps"), [...path, "steps"])
      .map((each, index) => readStep(reader, each, [...path, "steps", index])),
  };
}

function readSource(reader: Reader, fields: ReadonlyMap<string, unknown>, path: Path): RuleSource | null {
  const kinds = SOURCES.filter((kind) => fields.has(kind));
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    reader.say(path, `A rule is about one of ${SOURCES.join(", ")}.`);
    return null;
  }
  const at = [...path, kind];
  const inner = fields.get(kind);
  if (kind === "host") return { kind, condition: reader.word(inner, at, HOST_CONDITIONS, "unreachable") };
  if (kind === "cluster") return { kind, condition: reader.word(inner, at, CLUSTER_CONDITIONS, "no-leader") };
  if (kind === "mesh") return { kind, condition: reader.word(inner, at, MESH_CONDITIONS, "escalated") };
  if (kind === "finding") {
    const finding = reader.fields(inner, at, ["minSeverity", "detectors"]);
    const detectors = reader.list(finding.get("detectors"), [...at, "detectors"]);
    return {
      kind,
      minSeverity: reader.word(finding.get("minSeverity"), [...at, "minSeverity"], SEVERITIES, "high"),
      detectors: detectors.map((each, index) => reader.word(each, [...at, "detectors", index], DETECTORS, "novelty")),
    };
  }
  const denies = reader.fields(inner, at, ["query", "threshold", "window"]);
  return {
    kind,
    query: reader.text(denies.get("query"), [...at, "query"], ""),
    threshold: reader.number(denies.get("threshold"), [...at, "threshold"], null),
    windowSeconds: reader.seconds(denies.get("window"), [...at, "window"], 60),
  };
}

function readStep(reader: Reader, node: unknown, path: Path): EscalationStep {
  const fields = reader.fields(node, path, ["after", "receivers"]);
  const receivers = reader.list(fields.get("receivers"), [...path, "receivers"]);
  return {
    afterSeconds: reader.seconds(fields.get("after"), [...path, "after"], 0),
    receivers: receivers.map((each, index) => reader.text(each, [...path, "receivers", index])),
  };
}

function readText(path: string, mostBytes: number): string {
  try {
    if (!statSync(path).isFile()) throw new UsageError(`${path} is no file.`);
    if (statSync(path).size > mostBytes)
      throw new UsageError(`${path} has more than ${mostBytes.toLocaleString("en")} bytes.`);
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown"}.`);
  }
}
