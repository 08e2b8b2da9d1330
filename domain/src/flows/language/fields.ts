/** The fields of the language: one table for the parser, completions and the page of the documentation. */
import type { QueryField, QueryMeasure } from "../query.ts";

export type WindowField = "since" | "until";

interface Described {
  /** Other words for it, which people know from other tools. */
  readonly aliases: readonly string[];
  readonly meaning: string;
  readonly example: string;
}

export type FieldInfo = Described &
  (
    | { readonly kind: "field"; readonly name: QueryField; readonly values?: readonly string[] }
    | { readonly kind: "measure"; readonly name: QueryMeasure; readonly unit: "bytes" | "count" | "time" }
    | { readonly kind: "window"; readonly name: WindowField }
  );

export const FIELDS: readonly FieldInfo[] = [
  {
    ...{ kind: "field", name: "host", aliases: ["node"], example: "host:web-*" },
    meaning: "Name of the host that saw it.",
  },
  {
    ...{ kind: "field", name: "label", aliases: ["labels"], example: "label:app=web" },
    meaning: "The subject or either end has this label now: `key=value`, or `key` with any value.",
  },
  {
    ...{ kind: "field", name: "address", aliases: ["addr", "ip", "cidr", "net"], example: "address:10.0.0.0/8" },
    meaning: "Address or CIDR of either end. A bare address means the same.",
  },
  {
    ...{ kind: "field", name: "src", aliases: ["source", "originator"], example: "src:192.0.2.10" },
    meaning: "Address or CIDR of the end that opened the connection.",
  },
  {
    ...{ kind: "field", name: "dst", aliases: ["dest", "destination", "responder"], example: "-dst:10.0.0.0/8" },
    meaning: "Address or CIDR of the end that was connected to.",
  },
  {
    ...{ kind: "field", name: "peer", aliases: ["remote"], example: "peer:203.0.113.0/24" },
    meaning: "Address or CIDR of the end that is not the host.",
  },
  {
    ...{ kind: "field", name: "name", aliases: ["fqdn", "domain", "dns"], example: "name:*.example.com" },
    meaning: "Name of either end: from the inventory, or from DNS answers that the host saw.",
  },
  {
    ...{ kind: "field", name: "port", aliases: ["dport", "ports"], example: "port:80,443,8000-8999" },
    meaning: "Destination port: a number or a range. `:443` and `port>1023` work too.",
  },
  {
    ...{ kind: "field", name: "protocol", aliases: ["proto"], example: "protocol:udp" },
    meaning: "Protocol: tcp, udp, icmp, icmpv6, sctp, … or a number.",
  },
  {
    ...{ kind: "field", name: "process", aliases: ["proc", "comm", "exe", "pid"], example: "process:/usr/bin/curl" },
    meaning: "Process on the host: its name, the path of its program (anything with a slash), or its id.",
  },
  {
    ...{ kind: "field", name: "user", aliases: ["uid"], example: "user:root" },
    meaning: "User of the process: name or number.",
  },
  {
    ...{ kind: "field", name: "verdict", aliases: ["action"], values: ["allow", "deny"], example: "verdict:deny" },
    meaning: "What the policies say.",
  },
  {
    ...{
      kind: "field",
      name: "enforced",
      aliases: [],
      values: ["allow", "deny"],
      example: "verdict:deny enforced:allow",
    },
    meaning: "What was done: differs from the verdict in observe mode.",
  },
  {
    ...{ kind: "field", name: "policy", aliases: ["policies"], example: "policy:default/web" },
    meaning: "A policy that decided: its key, or the last parts of it.",
  },
  {
    ...{ kind: "field", name: "rule", aliases: ["decision"], example: 'rule:"*ingress[0]"' },
    meaning: "What decided, in words: the whole sentence as rows and groups show it, or a part between `*`.",
  },
  {
    ...{ kind: "field", name: "direction", aliases: ["dir"], values: ["ingress", "egress"], example: "direction:in" },
    meaning: "Seen from the host: in (ingress) or out (egress).",
  },
  {
    ...{ kind: "field", name: "subject", aliases: ["workload"], example: "subject:Workload/default/nginx" },
    meaning: "Whose policies decided: key of the host or workload, or the last parts of it.",
  },
  {
    ...{ kind: "field", name: "cgroup", aliases: ["unit"], example: "cgroup:/system.slice/nginx.service" },
    meaning: "Cgroup of the process, with everything below it.",
  },
  {
    ...{ kind: "field", name: "text", aliases: [], example: 'text:"over quota"' },
    meaning: "Part of any text of the record. A bare word means the same.",
  },
  {
    ...{ kind: "measure", name: "bytes", unit: "bytes", aliases: ["size"], example: "bytes>1M" },
    meaning: "Bytes in both directions.",
  },
  {
    ...{ kind: "measure", name: "sent", unit: "bytes", aliases: [], example: "sent>=100KiB" },
    meaning: "Bytes that left the host.",
  },
  {
    ...{ kind: "measure", name: "received", unit: "bytes", aliases: ["recv"], example: "received>1G" },
    meaning: "Bytes that came to the host.",
  },
  {
    ...{ kind: "measure", name: "packets", unit: "count", aliases: [], example: "packets>1000" },
    meaning: "Packets of allowed connections.",
  },
  {
    ...{
      kind: "measure",
      name: "connections",
      unit: "count",
      aliases: ["conns", "started"],
      example: "connections>=10",
    },
    meaning: "Connections that began.",
  },
  {
    ...{ kind: "measure", name: "denied", unit: "count", aliases: [], example: "denied>0" },
    meaning: "Packets that were denied.",
  },
  {
    ...{ kind: "measure", name: "duration", unit: "time", aliases: [], example: "duration>5s" },
    meaning: "From the first to the last moment in which the record was seen.",
  },
  {
    ...{ kind: "window", name: "since", aliases: ["after"], example: "since:-2h" },
    meaning: "From when on: how long ago (`-2h`), a moment in UTC (`2026-11-20T10:00`), `today`, `yesterday`.",
  },
  {
    ...{ kind: "window", name: "until", aliases: ["before"], example: "until:2026-11-20" },
    meaning: "Up to when, exclusive.",
  },
];

const BY_WORD: ReadonlyMap<string, FieldInfo> = new Map(
  FIELDS.flatMap((field) => [field.name, ...field.aliases].map((word) => [word, field] as const)),
);

/** By its name or another word for it, in any case. */
export function fieldOf(word: string): FieldInfo | null {
  return BY_WORD.get(word.toLowerCase()) ?? null;
}

export const FIELD_WORDS: readonly string[] = [...BY_WORD.keys()];
