import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { EnvironmentColor, EnvironmentSchema, HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import {
  checkedAccess,
  checkedAlias,
  checkedEnvironment,
  checkedGroups,
  requireDistinct,
} from "../../fleet/host-record.ts";
import { LOCAL_HOST_ID } from "../../hosts/managed-host.ts";
import type { HostRecord, ManagedHostsTable } from "../../store/managed-hosts-table.ts";
import { asObject, type ConfigurationPart, invalid, type PartItem, textIn } from "./part.ts";

const MOST_HOSTS = 5_000;
const ID = /^[A-Za-z0-9-]{1,64}$/;

/** Hosts with their ways, groups and environments. Keys and passwords are never kept here: SSH has them. */
export function hostsPart(table: ManagedHostsTable): ConfigurationPart {
  return {
    title: "hosts and groups",
    fileName: "hosts.json",
    items: () => table.all().sort(byId).map(toItem),
    check: (value) => toItem(toRecord(value)),
    write(next, before) {
      if (next.length > MOST_HOSTS) throw invalid(`A console has up to ${MOST_HOSTS.toLocaleString("en")} hosts.`);
      const records = next.map(({ value }) => toRecord(value));
      requireDistinct(
        records.filter(({ id }) => id !== LOCAL_HOST_ID),
        [],
      );
      const ids = new Set(records.map(({ id }) => id));
      for (const { value } of before) {
        const { id } = toRecord(value);
        // The machine of the console is there whatever an archive says.
        if (!ids.has(id) && id !== LOCAL_HOST_ID) table.delete(id);
      }
      const known = new Map(table.all().map((record) => [record.id, record]));
      const changed = records.filter((record) => JSON.stringify(toItem(record)) !== shownOf(known.get(record.id)));
      if (changed.length > 0) table.put(changed);
    },
  };
}

function shownOf(record: HostRecord | undefined): string {
  return record ? JSON.stringify(toItem(record)) : "";
}

function byId(one: HostRecord, other: HostRecord): number {
  return one.id < other.id ? -1 : 1;
}

function toItem(record: HostRecord): PartItem {
  const { id, alias, access, groups, environment, addedAtMs, documentName } = record;
  return {
    name: alias || id,
    value: {
      ...{ id, alias, groups, documentName },
      addedAt: new Date(addedAtMs).toISOString(),
      access: access ? toJson(HostAccessSchema, access) : null,
      environment: environment ? { name: environment.name, color: EnvironmentColor[environment.color] ?? "" } : null,
    },
  };
}

function toRecord(value: unknown): HostRecord {
  const entry = asObject(value);
  const id = textIn(entry, "id");
  if (!ID.test(id)) throw invalid("The id of a host is not one.");
  const isLocal = id === LOCAL_HOST_ID;
  const { groups, environment, access } = entry;
  if (!Array.isArray(groups)) throw invalid("The groups of a host are no list.");
  const addedAtMs = Date.parse(textIn(entry, "addedAt"));
  if (!Number.isSafeInteger(addedAtMs)) throw invalid("A host was added at no time.");
  const alias = textIn(entry, "alias");
  return {
    id,
    alias: isLocal && alias === "" ? "" : checkedAlias(alias),
    access: isLocal ? null : checkedAccess(fromJson(HostAccessSchema, (access ?? {}) as JsonValue)),
    groups: checkedGroups(groups.map(String)),
    environment: environment === null ? null : toEnvironment(asObject(environment)),
    addedAtMs,
    documentName: textIn(entry, "documentName").slice(0, 300),
  };
}

function toEnvironment(entry: Record<string, unknown>) {
  const color = EnvironmentColor[textIn(entry, "color") as keyof typeof EnvironmentColor];
  return checkedEnvironment(create(EnvironmentSchema, { name: textIn(entry, "name"), color: color ?? 0 }));
}
