/** The plainest inventory: one `user@host:port` a line; `#` begins a comment. */
import { EMPTY_DRAFT, type HostBuilder } from "./host-builder.ts";
import { type InventoryProblems, shown } from "./model.ts";
import { parseDestination } from "./values.ts";

export function readLines(text: string, builder: HostBuilder, problems: InventoryProblems): void {
  for (const [index, raw] of text.split("\n").entries()) {
    if (builder.isFull) return;
    const line = raw.replace(/(^|\s)#.*$/, "").trim();
    if (line === "") continue;
    const destination = parseDestination(line);
    if (destination) builder.add({ ...EMPTY_DRAFT, ...destination, line: index + 1 });
    else {
      const message = `"${shown(line)}" is not a host. A line looks like web-1.example.com, ops@192.0.2.10:2222 or [2001:db8::1]:22.`;
      problems.report("WL501", index + 1, message);
    }
  }
}
