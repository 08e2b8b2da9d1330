/** `wardline mesh …`: the meshes between the hosts, how they were, and the healing of their faults. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface MeshOptions extends CommonOptions {
  readonly host?: string;
}

export interface MeshPathOptions extends CommonOptions {
  readonly mesh?: string;
  readonly count: number;
  readonly at?: number;
}

export interface MeshHistoryOptions extends CommonOptions {
  readonly since: number;
  readonly until: number;
  readonly of: string;
  readonly limit: number;
  readonly at?: number;
  readonly series?: string;
}

export interface MeshPeerOptions extends CommonOptions {
  readonly mesh: string;
  readonly interface: string;
  readonly dryRun: boolean;
  readonly reason: string;
  readonly allowCutOff?: boolean;
}

export interface HealListOptions extends MeshOptions {
  readonly open: boolean;
}

export interface HealDecisionOptions extends MeshOptions {
  readonly reason: string;
  readonly candidate?: number;
}

export interface HealSettingsOptions extends MeshOptions {
  readonly mode?: string;
  readonly hold?: number;
  readonly cooldown?: number;
  readonly actionsPerHour?: number;
  readonly askBefore?: readonly string[];
}

export const MESH_WORDS = ["yggdrasil", "batman", "ip"];
export const MODE_WORDS = ["observe", "suggest", "act"];
export const ACTION_WORDS = ["restart-daemon", "repeer", "add-peer", "remove-peer", "switch-gateway", "reelect"];

const HEAL_HELP = `
Healing decides in the agents: in a cluster the leader for all members, elsewhere each host for itself. Only runs that
were verified count as healed. Modes: observe (tell), suggest (a person approves; the default), act.`;

export function addMesh(program: Command, runner: Runner): void {
  const mesh = program
    .command("mesh")
    .description("the meshes between the hosts: who reaches whom, how well, and healing");
  addReading(mesh, runner);
  addPeers(mesh.command("peer").description("whom a host's mesh daemon peers with"), runner);
  addHealing(mesh.command("heal").description("faults of the meshes and how they are healed"), runner);
}

function common(command: Command): Command {
  return withSessionOptions(withFormat(command)).addOption(
    new Option("--json", "as --format json").implies({ format: "json" }),
  );
}

function ofHost(command: Command): Command {
  return common(command).option("--host <name>", "only this host: its name, alias or id");
}

function addReading(mesh: Command, runner: Runner): void {
  ofHost(mesh.command("status"))
    .description("nodes and links in short, and what is wrong; exit code 1 when something is")
    .action((options: MeshOptions) =>
      runner.run(options, async (output) => (await import("./mesh.ts")).meshStatus(output, options)),
    );
  ofHost(mesh.command("peers"))
    .description("the neighbours of each host, as its mesh reports them")
    .action((options: MeshOptions) =>
      runner.run(options, async (output) => (await import("./mesh.ts")).meshPeers(output, options)),
    );
  ofHost(mesh.command("routes"))
    .description("next hops and gateways, as the meshes report them")
    .action((options: MeshOptions) =>
      runner.run(options, async (output) => (await import("./mesh.ts")).meshRoutes(output, options)),
    );
  common(mesh.command("path"))
    .description("the best ways from one node to another that share no link; exit code 1 when there is none")
    .argument("<from>", "host, key, address or id of a node")
    .argument("<to>", "the other end")
    .addOption(new Option("--mesh <name>", "only over this mesh; all together without").choices(MESH_WORDS))
    .option("--count <number>", "how many ways, at most 8", parseCount, 3)
    .option("--at <time>", "as it was so long ago, such as 10m", parseDuration)
    .action((from: string, to: string, options: MeshPathOptions) =>
      runner.run(options, async (output) => (await import("./mesh-past.ts")).meshPath(output, options, from, to)),
    );
  ofHost(mesh.command("watch"))
    .description("what changes in the meshes and in healing, until it is interrupted")
    .action((options: MeshOptions) =>
      runner.run(options, async (output) => (await import("./mesh-watch.ts")).meshWatch(output, options)),
    );
  common(mesh.command("history"))
    .description("what changed, newest first; recorded while a console runs")
    .option("--since <time>", "beginning, so long ago", parseDuration, 86_400_000)
    .option("--until <time>", "end, so long ago", parseDuration, 0)
    .option("--of <id>", "only of this node or link, by its id", "")
    .option("--limit <number>", "how many, at most 1000", parseLimit, 50)
    .option("--at <time>", "instead: all nodes and links as they were so long ago", parseDuration)
    .addOption(
      new Option("--series <id>", "instead: the figures of a link or node over that time").conflicts(["at", "of"]),
    )
    .action((options: MeshHistoryOptions) =>
      runner.run(options, async (output) => (await import("./mesh-past.ts")).meshHistory(output, options)),
    );
}

function addPeers(peer: Command, runner: Runner): void {
  const changing = (name: string) =>
    common(peer.command(name))
      .argument("<host>", "which host: its name, alias or id")
      .argument("<uri>", "tls://192.0.2.1:4443; tcp, tls, quic, ws or wss")
      .addOption(new Option("--mesh <name>", "which mesh").choices(["yggdrasil"]).default("yggdrasil"))
      .option("--interface <name>", "only over this interface", "")
      .option("--dry-run", "say what would happen, and change nothing", false)
      .option("--reason <text>", "for the audit log of the host", "");
  changing("add")
    .description("let the daemon of a host dial a peer, until it restarts")
    .action((host: string, uri: string, options: MeshPeerOptions) =>
      runner.run(options, async (output) => (await import("./mesh-peer.ts")).meshPeerAdd(output, options, host, uri)),
    );
  changing("remove")
    .description("let the daemon of a host leave a peer; refused where that would cut the host off")
    .option("--allow-cut-off", "also when it is the last peer, or the way of this connection", false)
    .action((host: string, uri: string, options: MeshPeerOptions) =>
      runner.run(options, async (output) =>
        (await import("./mesh-peer.ts")).meshPeerRemove(output, options, host, uri),
      ),
    );
}

function addHealing(heal: Command, runner: Runner): void {
  heal.addHelpText("after", HEAL_HELP);
  ofHost(heal.command("list"))
    .description("runs of healing, newest first; exit code 1 when one needs a person")
    .option("--open", "only those that have not ended", false)
    .action((options: HealListOptions) =>
      runner.run(options, async (output) => (await import("./mesh-heal.ts")).healList(output, options)),
    );
  ofHost(heal.command("show"))
    .description("one run, step by step, with its evidence and what could be done")
    .argument("<run>", "id of the run, or the beginning of it")
    .action((id: string, options: MeshOptions) =>
      runner.run(options, async (output) => (await import("./mesh-heal.ts")).healShow(output, options, id)),
    );
  for (const [name, what] of [
    ["approve", "let a run that waits go on"],
    ["stop", "stop a run: nothing more is done for it"],
  ] as const) {
    const command = ofHost(heal.command(name))
      .description(what)
      .argument("<run>", "id of the run, or the beginning of it")
      .option("--reason <text>", "kept beside it, and in the audit log", "");
    if (name === "approve") command.option("--candidate <number>", "which of them, from 1", parseCandidate);
    command.action((id: string, options: HealDecisionOptions) =>
      runner.run(options, async (output) => (await import("./mesh-heal.ts")).healDecide(output, options, id, name)),
    );
  }
  addHealingSettings(heal, runner);
}

function addHealingSettings(heal: Command, runner: Runner): void {
  ofHost(heal.command("settings"))
    .description("how healing stands; with options for one --host it is changed, in its cluster for all members")
    .addOption(new Option("--mode <mode>", "what the loop may do").choices(MODE_WORDS))
    .option("--hold <time>", "how long a symptom has to be gone", parseDuration)
    .option("--cooldown <time>", "between two actions on one target", parseDuration)
    .option("--actions-per-hour <number>", "over all, at most 1000", parseLimit)
    .addOption(
      new Option("--ask-before <action>", "never without a person; may be given again; `none` = none")
        .choices([...ACTION_WORDS, "none"])
        .argParser(collect([...ACTION_WORDS, "none"])),
    )
    .action((options: HealSettingsOptions) =>
      runner.run(options, async (output) => (await import("./mesh-heal-settings.ts")).healSettings(output, options)),
    );
  ofHost(heal.command("knowledge"))
    .description("which actions worked for which faults, from verified outcomes only")
    .action((options: MeshOptions) =>
      runner.run(options, async (output) => (await import("./mesh-heal-settings.ts")).healKnowledge(output, options)),
    );
  common(heal.command("reset-knowledge"))
    .description("forget what worked")
    .requiredOption("--host <name>", "of this host, or of the cluster that it is in")
    .action((options: MeshOptions) =>
      runner.run(options, async (output) => (await import("./mesh-heal-settings.ts")).healReset(output, options)),
    );
}

function collect(allowed: readonly string[]) {
  return (text: string, before: readonly string[] = []): readonly string[] => {
    if (allowed.includes(text)) return [...before, text];
    throw new InvalidArgumentError(`Allowed choices are ${allowed.join(", ")}.`);
  };
}

const parseCount = parseWithin(8);
const parseLimit = parseWithin(1_000);
const parseCandidate = parseWithin(20);

function parseWithin(most: number) {
  return (text: string): number => {
    const number = /^\d{1,4}$/.test(text) ? Number(text) : 0;
    if (number >= 1 && number <= most) return number;
    throw new InvalidArgumentError(`"${text}" is not a number from 1 to ${most}.`);
  };
}
