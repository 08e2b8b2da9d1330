/** `wardline mesh watch` */
import { toJson } from "@bufbuild/protobuf";
import { HostHealingRunSchema, MeshChangeSchema } from "@wardline/api/wardline/console/v1/mesh";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { MeshOptions } from "./mesh.options.ts";
import { askHosts } from "./mesh-hosts.ts";
import { stateWord, timeText } from "./mesh-view.ts";

const LONGEST_WAIT_MS = 60_000;
const ENDINGS = ["SIGINT", "SIGTERM"] as const;

/** What changes from now on. JSON is one change or run a line. */
export async function meshWatch(output: Output, options: MeshOptions): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const { registry, services } = session.backend;
    const { mesh } = services;
    const { hostIds } = await askHosts(output, session, options);
    const hosts = registry.select(hostIds);
    const ending = new AbortController();
    const end = () => ending.abort();
    for (const signal of ENDINGS) process.once(signal, end);
    const leave = mesh.onChanges((changes) => {
      for (const change of changes) {
        if (output.format === "json") output.json({ change: toJson(MeshChangeSchema, change) });
        else output.text(`${output.style.dim(timeText(change.at))} ${visible(change.sentence)}\n`);
      }
    });
    const working = [mesh.run(ending.signal), ...hosts.map((host) => mesh.follow(host, ending.signal))];
    output.note(`Watching the meshes of ${hosts.length === 1 ? "1 host" : `${hosts.length} hosts`}.`);
    try {
      const told = new Map(mesh.runs().map(({ run }) => [run?.id ?? "", run?.state]));
      while (!ending.signal.aborted) {
        const seen = mesh.feed.changes.version;
        for (const each of mesh.runs()) {
          const { run } = each;
          if (!run || told.get(run.id) === run.state) continue;
          told.set(run.id, run.state);
          if (output.format === "json") output.json({ healing: toJson(HostHealingRunSchema, each) });
          else output.text(`${output.style.bold(stateWord(run.state))} ${visible(run.id)}: ${visible(run.cause)}\n`);
        }
        await mesh.feed.changes.wait(seen, LONGEST_WAIT_MS, ending.signal);
      }
    } finally {
      ending.abort();
      leave();
      for (const signal of ENDINGS) process.off(signal, end);
      await Promise.allSettled(working);
    }
    return EXIT.done;
  });
}
