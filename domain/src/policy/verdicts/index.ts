/**
 * The verdict table: what the draft, the next and the present state of the hosts, and their records say of the same
 * connections. `new VerdictTable(options)`, `add` each record, then `rows`; `describeCell` and `describeReported` when a row
 * is shown. docs/user-guide.md, "Verdicts", defines the columns.
 */
export * from "./model.ts";
export {
  describeCell,
  describeReported,
  type RowOptions,
  reportedVerdictOf,
  rowId,
  rowVerdict,
  type VerdictRow,
  VerdictTable,
} from "./table.ts";
