/** Sums by the values of dimensions, over many partitions: each has its own numbers for the same texts. */
import type { FlowDimension } from "@wardline/domain/flows";
import { addSums, type MutableSums, noSums } from "../dimensions.ts";
import type { OpenFile } from "./open-file.ts";

const NO_PORTS = -1;

/** The number of a dimension's value in one file, by series; and what the number stands for. */
interface FileDimension {
  readonly numbers: Float64Array;
  readonly text: (number: number) => string;
}

export interface Group {
  readonly values: readonly string[];
  readonly sums: MutableSums;
}

/** By number of the series, in the order of `SUM_COLUMNS`; times are Unix milliseconds. */
export interface SeriesSums {
  readonly records: Float64Array;
  readonly started: Float64Array;
  readonly denied: Float64Array;
  readonly packets: Float64Array;
  readonly outBytes: Float64Array;
  readonly inBytes: Float64Array;
  readonly first: Float64Array;
  readonly last: Float64Array;
}

export class GroupTable {
  readonly groups = new Map<string, Group>();
  readonly total = noSums();
  readonly #by: readonly FlowDimension[];

  constructor(by: readonly FlowDimension[]) {
    this.#by = by;
  }

  add(file: OpenFile, sums: SeriesSums, members: Uint8Array): void {
    const dimensions = this.#by.map((dimension) => fileDimension(file, dimension));
    const inFile = new Map<string | number, Group>();
    for (let id = 1; id < members.length; id++) {
      const records = sums.records[id]!;
      if (members[id] !== 1 || records === 0) continue;
      const key = keyOf(dimensions, id);
      let group = inFile.get(key);
      if (!group) {
        group = this.#group(dimensions.map(({ numbers, text }) => text(numbers[id]!)));
        inFile.set(key, group);
      }
      addSeries(group.sums, sums, id);
    }
    const added = noSums();
    for (let id = 1; id < members.length; id++) {
      if (members[id] === 1 && sums.records[id]! > 0) addSeries(added, sums, id);
    }
    addSums(this.total, added);
  }

  #group(values: readonly string[]): Group {
    const key = values.length === 1 ? values[0]! : JSON.stringify(values);
    const known = this.groups.get(key);
    if (known) return known;
    const group = { values, sums: noSums() };
    this.groups.set(key, group);
    return group;
  }
}

function keyOf(dimensions: readonly FileDimension[], id: number): string | number {
  const [first, second] = dimensions;
  if (!first) return 0;
  if (!second) return first.numbers[id]!;
  const pair = first.numbers[id]! * 0x4000000 + second.numbers[id]!;
  if (dimensions.length === 2) return pair;
  // A service map asks for nine.
  let key = String(pair);
  for (let index = 2; index < dimensions.length; index++) key += ` ${dimensions[index]!.numbers[id]!}`;
  return key;
}

function addSeries(into: MutableSums, sums: SeriesSums, id: number): void {
  const first = sums.first[id]!;
  const last = sums.last[id]!;
  if (into.records === 0 || first < into.firstSeenMs) into.firstSeenMs = first;
  if (into.records === 0 || last > into.lastSeenMs) into.lastSeenMs = last;
  into.records += sums.records[id]!;
  into.connections += sums.started[id]!;
  into.deniedPackets += sums.denied[id]!;
  into.packets += sums.packets[id]!;
  into.originatorBytes += sums.outBytes[id]!;
  into.responderBytes += sums.inBytes[id]!;
}

export function fileDimension(file: OpenFile, dimension: FlowDimension): FileDimension {
  switch (dimension) {
    case "host":
      return texts(file, file.column("host"));
    case "source":
      return addresses(file, file.column("source"));
    case "destination":
      return addresses(file, file.column("destination"));
    case "peer":
      return addresses(
        file,
        chosen(file, (isIngress) => (isIngress ? "source" : "destination")),
      );
    case "port": {
      const ports = file.column("port").slice();
      for (const [id, protocol] of file.column("protocol").entries()) {
        if (protocol === 1 || protocol === 58) ports[id] = NO_PORTS;
      }
      return { numbers: ports, text: (port) => (port === NO_PORTS ? "" : String(port)) };
    }
    case "protocol":
      return { numbers: file.column("protocol"), text: String };
    case "process":
      return texts(file, orElse(file.column("executable"), file.column("command")));
    case "user":
      return texts(file, file.column("user_name"));
    case "verdict":
      return { numbers: file.column("verdict"), text: (verdict) => (verdict === 1 ? "allow" : "deny") };
    case "policy":
      return { numbers: file.column("decision"), text: (id) => policyText(file, id) };
    case "rule":
      return { numbers: file.column("decision"), text: (id) => ruleText(file, id) };
    case "direction":
      return { numbers: file.column("direction"), text: (direction) => (direction === 1 ? "ingress" : "egress") };
    case "subject":
      return texts(file, file.column("subject"));
    case "cgroup":
      return texts(file, file.column("cgroup"));
    case "source-name":
      return texts(file, orElse(file.column("source_name"), observed(file, 1)));
    case "destination-name":
      return texts(file, orElse(file.column("destination_name"), observed(file, 2)));
  }
}

function chosen(file: OpenFile, name: (isIngress: boolean) => "source" | "destination"): Float64Array {
  const directions = file.column("direction");
  const [ingress, egress] = [file.column(name(true)), file.column(name(false))];
  return directions.map((direction, id) => (direction === 1 ? ingress[id]! : egress[id]!));
}

function orElse(first: Float64Array, second: Float64Array): Float64Array {
  return first.map((value, id) => (value === 0 ? second[id]! : value));
}

/** The name that DNS answers gave the remote end, where that is the one asked for. */
function observed(file: OpenFile, direction: number): Float64Array {
  const directions = file.column("direction");
  return file.column("observed_name").map((name, id) => (directions[id] === direction ? name : 0));
}

function texts(file: OpenFile, numbers: Float64Array): FileDimension {
  return { numbers, text: (id) => (id === 0 ? "" : lookUp(file, "texts", id)) };
}

function addresses(file: OpenFile, numbers: Float64Array): FileDimension {
  return { numbers, text: (id) => lookUp(file, "addresses", id) };
}

function lookUp(file: OpenFile, table: "texts" | "addresses", id: number): string {
  return file.get<{ text: string }>(`SELECT text FROM ${table} WHERE id = ?`, id)?.text ?? "";
}

function ruleText(file: OpenFile, id: number): string {
  if (id === 0) return "";
  return file.get<{ summary: string }>("SELECT summary FROM decisions WHERE id = ?", id)?.summary ?? "";
}

function policyText(file: OpenFile, id: number): string {
  if (id === 0) return "";
  const row = file.get<{ policy_keys: string }>("SELECT policy_keys FROM decisions WHERE id = ?", id);
  return (row?.policy_keys ?? "").replaceAll("\n", ", ");
}
