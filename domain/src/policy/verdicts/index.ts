/**
 * The verdict table: what the draft, the next and the present state of the hosts, and their records say of the same
 * connections. `new VerdictTable(options)`, `add` each record, then `rows`; `describeCell` and `describeReported` when a row
 * is shown. docs/user-guide.md, "Verdicts", defines the columns.
 */
export { describeCell, describeReported, reportedVerdictOf, rowVerdict } from "./cells.ts";
export * from "./model.ts";
export { type RowOptions, rowId, type VerdictRow, VerdictTable } from "./table.ts";
