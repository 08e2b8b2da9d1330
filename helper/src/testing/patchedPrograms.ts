/**
 * Compiled programs that follow each other and differ by one rule, as those of an agent do that goes on from what it
 * compiled last; each beside what compiling its policies from nothing gives.
 */
import {
  type Compiler,
  compile,
  createCompiler,
  type HostProgram,
  type PolicyRule,
  type PolicyWorld,
  type ProgramPacket,
} from "@wardline/domain/policy";
import { addressPeer, host, policy, ports, rule, world } from "@wardline/domain/policy/testing";

export const PATCHED_HOST = "a";
const TCP = 6;

export interface RuleEdit {
  /** Which rule; taken modulo how many there are. */
  readonly place: number;
  readonly low: number;
  /** How many ports more than one. */
  readonly width: number;
  readonly action: "allow" | "deny";
}

export interface PatchedProgram {
  readonly program: HostProgram;
  /** The same, compiled from nothing when it is asked for. */
  readonly fresh: HostProgram;
  /** To the rule that was changed, at and beside the edges of the ports that it has and had. */
  readonly packets: readonly ProgramPacket[];
}

function ruleAt(index: number, { low, width, action }: Omit<RuleEdit, "place">): PolicyRule {
  const peers = [addressPeer(remoteAt(index).includes(":") ? `${remoteAt(index)}/128` : `${remoteAt(index)}/32`)];
  return rule("egress", { index, action, peers, ports: [ports(TCP, low, low + width)] });
}

function remoteAt(index: number): string {
  return index % 5 === 4 ? `2001:db8::${(index + 1).toString(16)}` : `10.7.${index >> 8}.${index & 255}`;
}

function worldOf(rules: readonly PolicyRule[]): PolicyWorld {
  return world(
    [host(PATCHED_HOST)],
    [policy("many", { tier: "admin", priority: 10, isolates: { ingress: false, egress: false }, rules: [...rules] })],
  );
}

/** The program of `ruleCount` rules, and what becomes of it with each edit. */
export function* patchedPrograms(ruleCount: number, edits: readonly RuleEdit[]): Generator<PatchedProgram> {
  let current = Array.from({ length: ruleCount }, (_, index): RuleEdit => {
    return { place: index, low: 1000 + index * 20, width: index % 4, action: index % 3 === 0 ? "deny" : "allow" };
  });
  let rules = current.map((edit, index) => ruleAt(index, edit));
  const compiler = createCompiler(worldOf(rules));
  yield versionOf(compiler, []);
  for (const edit of edits) {
    const place = edit.place % ruleCount;
    const before = current[place] as RuleEdit;
    rules = rules.map((one, index) => (index === place ? ruleAt(index, edit) : one));
    current = current.map((one, index) => (index === place ? edit : one));
    compiler.update(worldOf(rules));
    const edges = [before, edit].flatMap(({ low, width }) => [low - 1, low, low + width, low + width + 1]);
    const packets = edges.map((port): ProgramPacket => {
      return { set: 0, direction: "egress", remote: remoteAt(place), protocol: TCP, port };
    });
    yield versionOf(compiler, packets);
  }
}

function versionOf(compiler: Compiler, packets: readonly ProgramPacket[]): PatchedProgram {
  const { world: compiled } = compiler;
  let fresh: HostProgram | null = null;
  return {
    program: compiler.program(PATCHED_HOST),
    get fresh() {
      fresh ??= compile(compiled, PATCHED_HOST);
      return fresh;
    },
    packets,
  };
}
