/** A flow filter as SQL. One place for both the history and the live stream: what matches is decided by SQLite alone. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { FlowFilter } from "@wardline/api/wardline/console/v1/flows";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { addressRange } from "./address-key.ts";

const MAX_VALUES = 200;
const MAX_TEXT_LENGTH = 200;

export interface SqlCondition {
  /** A boolean expression over `flows`; `1` when everything matches. */
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** Every text that a row itself shows, as one: a single LIKE over all of it costs a third of one for each column. */
const ROW_TEXT = [
  "flows.host",
  "flows.source_address",
  "flows.destination_address",
  "flows.source_name",
  "flows.destination_name",
  "flows.subject_key",
  "flows.cgroup_path",
  "flows.source_port",
  "flows.destination_port",
  "flows.process_command",
  "flows.process_executable",
  "flows.process_user_name",
].join(" || char(10) || ");

class Conditions {
  readonly parts: string[] = [];
  readonly values: unknown[] = [];

  add(sql: string, ...values: unknown[]): void {
    this.parts.push(`(${sql})`);
    this.values.push(...values);
  }

  oneOf(column: string, values: readonly (string | number)[]): void {
    if (values.length > 0) this.add(`${column} IN (SELECT value FROM json_each(?))`, JSON.stringify(values));
  }
}

/** @throws Failure INVALID_ARGUMENT for what is not an address, or too many values. */
export function flowCondition(filter: FlowFilter | undefined): SqlCondition {
  if (!filter) return { sql: "1", values: [] };
  requireBounds(filter);
  const conditions = new Conditions();
  conditions.oneOf("flows.host_id", filter.hostIds);
  conditions.oneOf("flows.verdict", filter.verdicts);
  conditions.oneOf("flows.direction", filter.directions);
  conditions.oneOf("flows.protocol", filter.protocols);
  conditions.oneOf("flows.destination_port", filter.ports);
  if (filter.excludePorts.length > 0) {
    conditions.add(
      "flows.destination_port NOT IN (SELECT value FROM json_each(?))",
      JSON.stringify(filter.excludePorts),
    );
  }
  addAddresses(conditions, filter.addresses, false);
  addAddresses(conditions, filter.excludeAddresses, true);
  addPolicyKeys(conditions, filter.policyKeys, false);
  addPolicyKeys(conditions, filter.excludePolicyKeys, true);
  addProcesses(conditions, filter.processes, false);
  addProcesses(conditions, filter.excludeProcesses, true);
  addUsers(conditions, filter.users, false);
  addUsers(conditions, filter.excludeUsers, true);
  addText(conditions, filter.text);
  if (filter.since) conditions.add("flows.time_us >= ?", timestampMs(filter.since) * 1000);
  if (filter.until) conditions.add("flows.time_us < ?", timestampMs(filter.until) * 1000);
  return { sql: conditions.parts.join(" AND ") || "1", values: conditions.values };
}

function requireBounds(filter: FlowFilter): void {
  const lists = [
    filter.hostIds,
    filter.verdicts,
    filter.directions,
    filter.protocols,
    filter.ports,
    filter.excludePorts,
    filter.addresses,
    filter.excludeAddresses,
    filter.policyKeys,
    filter.excludePolicyKeys,
    filter.processes,
    filter.excludeProcesses,
    filter.users,
    filter.excludeUsers,
  ];
  if (lists.some((list) => list.length > MAX_VALUES) || filter.text.length > MAX_TEXT_LENGTH) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `A filter may have ${MAX_VALUES} values of a kind and ${MAX_TEXT_LENGTH} characters of text.`,
      hint: "Use a CIDR or fewer values.",
    });
  }
}

function addAddresses(conditions: Conditions, addresses: readonly string[], exclude: boolean): void {
  if (addresses.length === 0) return;
  const ranges = addresses.map(addressRange);
  const either = ranges.map(() => "flows.source_key BETWEEN ? AND ? OR flows.destination_key BETWEEN ? AND ?");
  const sql = `(${either.join(" OR ")})`;
  conditions.add(exclude ? `NOT ${sql}` : sql, ...ranges.flatMap(({ low, high }) => [low, high, low, high]));
}

/**
 * Keys are kept newline-separated with one at each end, so that a key is found whole. Decisions are few: SQLite finds the
 * matching ones once and then compares numbers.
 */
function addPolicyKeys(conditions: Conditions, keys: readonly string[], exclude: boolean): void {
  if (keys.length === 0) return;
  const matching = `SELECT row FROM flow_decisions WHERE EXISTS
    (SELECT 1 FROM json_each(?) WHERE instr(flow_decisions.policy_keys, char(10) || value || char(10)) > 0)`;
  const sql = exclude
    ? `flows.decision_row IS NULL OR flows.decision_row NOT IN (${matching})`
    : `flows.decision_row IN (${matching})`;
  conditions.add(sql, JSON.stringify(keys));
}

/** What the kernel appends to the path of a program whose file was replaced or removed since it started. */
const DELETED = " (deleted)";
/** No process and no user has it. */
const NO_NUMBER = -1;

/** Compared whole, except that a name also finds the programs of that file name. */
function addProcesses(conditions: Conditions, given: readonly string[], exclude: boolean): void {
  const values = given.map((value) => value.trim()).filter(Boolean);
  if (values.length === 0) return;
  const parameters: (string | number)[] = [];
  const matches = values.map((value) => {
    if (/^\d{1,10}$/.test(value)) {
      parameters.push(Number(value), value);
      return "flows.process_pid = ? OR flows.process_command = ?";
    }
    if (value.includes("/")) {
      parameters.push(value, value + DELETED);
      return "flows.process_executable IN (?, ?)";
    }
    const pattern = `%/${value.replace(/[\\%_]/g, "\\$&")}`;
    parameters.push(value, pattern, pattern + DELETED);
    return `flows.process_command = ? OR flows.process_executable LIKE ? ESCAPE '\\'
      OR flows.process_executable LIKE ? ESCAPE '\\'`;
  });
  const sql = `flows.process_pid > 0 AND (${matches.join(" OR ")})`;
  conditions.add(exclude ? `NOT (${sql})` : sql, ...parameters);
}

function addUsers(conditions: Conditions, given: readonly string[], exclude: boolean): void {
  const values = given.map((value) => value.trim()).filter(Boolean);
  if (values.length === 0) return;
  const ids = values.map((value) => (/^\d{1,10}$/.test(value) ? Number(value) : NO_NUMBER));
  const sql = `flows.process_pid > 0 AND (flows.process_user_name IN (SELECT value FROM json_each(?))
    OR flows.process_user_id IN (SELECT value FROM json_each(?)))`;
  conditions.add(exclude ? `NOT (${sql})` : sql, JSON.stringify(values), JSON.stringify(ids));
}

function addText(conditions: Conditions, given: string): void {
  const text = given.trim();
  if (text === "") return;
  const pattern = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  conditions.add(
    `(${ROW_TEXT}) LIKE ? ESCAPE '\\' OR flows.decision_row IN (SELECT row FROM flow_decisions
       WHERE summary LIKE ? ESCAPE '\\' OR policy_keys LIKE ? ESCAPE '\\')`,
    pattern,
    pattern,
    pattern,
  );
}
