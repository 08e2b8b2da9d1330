/** `wardline cluster watch`: what changes from one status to the next, as lines. */
import { toJson } from "@bufbuild/protobuf";
import { type ClusterStatus, ClusterStatusSchema, type Member } from "@wardline/api/wardline/v1/cluster";
import { boundStatus } from "../../backend/cluster/cluster-calls.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { visible } from "../terminal/visible.ts";
import type { ClusterOptions } from "./cluster.options.ts";
import { untilInterrupted, withCluster } from "./cluster-target.ts";
import { isLed, MEMBER_STATES, setText, storeText } from "./cluster-view.ts";

export async function clusterWatch(output: Output, options: ClusterOptions): Promise<ExitCode> {
  return withCluster(options, async ({ read }) => {
    let before: ClusterStatus | null = null;
    await untilInterrupted(output.note, (signal) =>
      read(async (client) => {
        for await (const { status } of client.watchCluster({}, { signal })) {
          if (!status) continue;
          const now = boundStatus(status);
          if (output.format === "json") process.stdout.write(`${JSON.stringify(toJson(ClusterStatusSchema, now))}\n`);
          else for (const line of changesOf(before, now)) output.text(`${output.style.dim(time())} ${line}\n`);
          before = now;
        }
      }),
    );
    return EXIT.done;
  });
}

function time(): string {
  return new Date().toISOString().slice(11, 19);
}

/** Of a first status everything. */
export function changesOf(before: ClusterStatus | null, now: ClusterStatus): string[] {
  const lines: string[] = [];
  const leader = leaderText(now);
  if (!before || leaderText(before) !== leader) lines.push(leader);
  const known = byName(before?.members ?? []);
  for (const [name, member] of byName(now.members)) {
    const old = known.get(name);
    if (!old && before) lines.push(`${visible(name)} is let in`);
    if (old?.state !== member.state) lines.push(`${visible(name)} is ${MEMBER_STATES[member.state]}`);
    const active = member.report?.activeSetNumber ?? 0n;
    if (old && active !== (old.report?.activeSetNumber ?? 0n)) lines.push(`${visible(name)} enforces set ${active}`);
    known.delete(name);
  }
  for (const name of known.keys()) lines.push(`${visible(name)} is no member any more`);
  const [setBefore, setNow] = [before ? setText(before.head) : null, setText(now.head)];
  if (setBefore !== setNow) {
    const author = now.head?.author ? ` by ${visible(now.head.author)}` : "";
    const reason = now.head?.reason ? `: ${visible(now.head.reason)}` : "";
    lines.push(`${setNow}${author}${reason}`);
  }
  if (!before || storeText(before) !== storeText(now)) lines.push(storeText(now));
  const said = new Set(before?.problems ?? []);
  for (const problem of now.problems) if (!said.has(problem)) lines.push(`! ${visible(problem)}`);
  return lines;
}

function leaderText(status: ClusterStatus): string {
  if (!isLed(status)) return "nobody leads";
  return `${visible(status.currentTerm?.leader ?? "")} leads in term ${status.currentTerm?.number}`;
}

function byName(members: readonly Member[]): Map<string, Member> {
  return new Map(members.map((member) => [member.record?.name ?? "", member]));
}
