/** Programs that follow each other and differ by a little, as those of an operator do, for tests of applying by difference. */
import { type HostProgram, PROTOCOL, type ProgramPacket } from "@wardline/domain/policy";
import fc from "fast-check";
import { type HandRule, handProgram } from "./handProgram.ts";

const REMOTES = 12;

type Rules = readonly HandRule[];
type Edit = (rules: Rules, place: number) => Rules;

function remoteAt(index: number): string {
  return index % 3 === 2 ? `2001:db8::${(index + 1).toString(16)}` : `10.20.${index}.${(index * 7) % 250}`;
}

function ruleAt(index: number): HandRule {
  const direction = index % 4 === 0 ? "egress" : "ingress";
  const protocol = index % 5 === 0 ? PROTOCOL.udp : PROTOCOL.tcp;
  return { direction, remote: remoteAt(index % REMOTES), protocol, port: 1000 + index * 10, verdict: "allow" };
}

export const FIRST_RULES: Rules = Array.from({ length: 30 }, (_, index) => ruleAt(index));

function changeOne(rules: Rules, place: number, change: (rule: HandRule) => Partial<HandRule>): Rules {
  return rules.map((rule, at) => (at === place % rules.length ? { ...rule, ...change(rule) } : rule));
}

/** By what they do to the tables. */
const EDITS: Record<string, Edit> = {
  "another port": (rules, place) => changeOne(rules, place, ({ port }) => ({ port: (port + 1 + place * 13) % 65_536 })),
  "another verdict": (rules, place) =>
    changeOne(rules, place, ({ verdict }) => ({ verdict: verdict === "allow" ? "deny" : "allow" })),
  "only observed": (rules, place) => changeOne(rules, place, ({ observeOnly }) => ({ observeOnly: !observeOnly })),
  "one port more": (rules, place) => {
    const like = rules[place % Math.max(1, rules.length)] ?? ruleAt(place);
    return [...rules, { ...like, port: (like.port + 3 + place) % 65_536 }];
  },
  "so many ports that they need a tree": (rules, place) => {
    const like = rules[place % Math.max(1, rules.length)] ?? ruleAt(place);
    return [...rules, ...Array.from({ length: 90 }, (_, step) => ({ ...like, port: 30_000 + place + step * 7 }))];
  },
  "back to few ports": (rules) => rules.filter(({ port }) => port < 30_000),
  "another address": (rules, place) => {
    const old = rules[place % Math.max(1, rules.length)]?.remote;
    const isIpv6 = old?.includes(":") === true;
    const remote = isIpv6 ? `2001:db8:1::${place.toString(16)}` : `10.30.${place}.1`;
    return rules.map((rule) => (rule.remote === old ? { ...rule, remote } : rule));
  },
  "a rule goes": (rules, place) => rules.filter((_, at) => at !== place % rules.length),
  "an address comes": (rules, place) => [...rules, ruleAt(REMOTES + place)],
  nothing: (rules) => rules,
};

/** No two rules for one port. */
function distinct(rules: Rules): Rules {
  const keyOf = ({ direction, remote, protocol, port }: HandRule): string =>
    `${direction} ${remote} ${protocol} ${port}`;
  return [...new Map(rules.map((rule) => [keyOf(rule), rule])).values()];
}

export interface EditedProgram {
  readonly edit: string;
  readonly program: HostProgram;
  /** Reach every rule, what is right beside it, and what no rule names; those of the program before too. */
  readonly packets: readonly ProgramPacket[];
}

function packetsOf(rules: Rules): readonly ProgramPacket[] {
  const unnamed = { set: 0, direction: "ingress", remote: "192.0.2.77", protocol: PROTOCOL.tcp, port: 80 } as const;
  return [
    ...rules.flatMap(({ direction, remote, protocol, port }) =>
      [port - 1, port, port + 1]
        .filter((each) => each >= 0 && each < 65_536)
        .map((each) => ({ set: 0, direction, remote: remote ?? unnamed.remote, protocol, port: each })),
    ),
    unnamed,
    { ...unnamed, remote: "2001:db8:ffff::1" },
  ];
}

/** The first program, and what becomes of it. */
export const editedPrograms: fc.Arbitrary<readonly EditedProgram[]> = fc
  .array(fc.record({ edit: fc.constantFrom(...Object.keys(EDITS)), place: fc.integer({ min: 0, max: 200 }) }), {
    minLength: 3,
    maxLength: 12,
  })
  .map((edits) => {
    const programs: EditedProgram[] = [];
    let rules = FIRST_RULES;
    let before: Rules = [];
    for (const { edit, place } of [{ edit: "nothing", place: 0 }, ...edits]) {
      rules = distinct(EDITS[edit]?.(rules, place) ?? rules);
      programs.push({ edit, program: handProgram({ rules }), packets: [...packetsOf(rules), ...packetsOf(before)] });
      before = rules;
    }
    return programs;
  });
