import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseFlowQuery } from "../../flows/index.ts";
import { createAccessModel, diffAccess, formatPortSet, type ReachRow, reach } from "../access/index.ts";
import { isAsked, partyHolds, portsHold, probeFlows, type TestQuestion } from "../access/testing.ts";
import { enforcedVerdict, ruleDecision } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import type { PolicyFlow } from "../evaluation.ts";
import type { PolicyWorld } from "../model.ts";
import { proveTests } from "../proof/index.ts";
import { readPolicyFiles } from "../read.ts";
import { arbitraryWorld, host, policy, selectorFor, world as testWorld, workload } from "../testing/index.ts";
import {
  type Answer,
  type AskedFlow,
  type AskSources,
  AskVocabulary,
  answerQuestion,
  parseQuestion,
  testOfAnswer,
} from "./index.ts";
import { ASKED_SERVICES, askedWorld } from "./testing.ts";

const WORLDS = Number(process.env.WARDLINE_ASK_WORLDS ?? 15);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

function ask(text: string, world: PolicyWorld, sources: Partial<AskSources> = {}): Answer {
  const parsed = parseQuestion(text, new AskVocabulary(world.inventory, ASKED_SERVICES));
  if (parsed.kind !== "question") throw new Error(`${text}: ${parsed.message}`);
  return answerQuestion(parsed.question, { world, ...sources });
}

const GROUPS = [
  "anyone",
  "world",
  "cluster",
  "mesh",
  "app=web",
  "app=db@prod",
  "!zone",
  "@prod",
  "all hosts",
  "10.1.0.0/16",
  "10.1.1.2",
  "2001:db8::/32",
];
const PORTS = ["", " on 80/tcp", " on 81-443/tcp, 53/udp", " on icmp", " on name:dns", " on gre"];

function judged(world: PolicyWorld, flow: PolicyFlow) {
  const { directions } = evaluate(world, flow);
  return {
    isBuiltin: directions.some(({ decision }) => decision.reason === "builtin"),
    isAllowed: directions.every(({ decision }) => enforcedVerdict(decision) === "allow"),
  };
}

function isIn(row: ReachRow, flow: PolicyFlow): boolean {
  const isPort = row.ports.some((part) => portsHold(part, flow));
  return isPort && partyHolds(row.from, flow.from) && partyHolds(row.to, flow.to);
}

describe("answers", () => {
  it("say of every connection what the reference says, and list each in exactly one row", { timeout: 300_000 }, () => {
    const seen = { yes: 0, no: 0, partly: 0, nobody: 0, allowed: 0, denied: 0 };
    const questions = fc.array(
      fc.tuple(fc.constantFrom(...GROUPS), fc.constantFrom(...GROUPS), fc.constantFrom(...PORTS)),
      { minLength: 12, maxLength: 12 },
    );
    fc.assert(
      fc.property(arbitraryWorld({ maxPolicies: 4 }), questions, (world, asked) => {
        const vocabulary = new AskVocabulary(world.inventory, []);
        const model = createAccessModel(world);
        const probes = probeFlows(world, { maxOutside: 6, maxPorts: 10 }).map((flow) => ({
          flow,
          ...judged(world, flow),
        }));
        for (const [from, to, on] of asked) {
          const text = `can ${from} reach ${to}${on}?`;
          const parsed = parseQuestion(text, vocabulary);
          // A port name that the generated world does not have is asked back.
          if (parsed.kind !== "question" || parsed.question.kind !== "can-reach") continue;
          const { question } = parsed;
          const [source, target] = [question.from.ends[0], question.to.ends[0]];
          const ends = { from: source, to: target, ports: question.ports?.matches ?? null } as TestQuestion;
          const answer = answerQuestion(question, { world });
          const rows = (["allow", "deny"] as const).map(
            (verdict) => reach(model, { ...ends, verdict, limit: 100_000 }).rows,
          );
          for (const { flow, isBuiltin, isAllowed } of probes) {
            if (isBuiltin) continue;
            const isMeant = isAsked(world, ends, flow);
            const counts = rows.map((list) => list.filter((row) => isIn(row, flow)).length).join();
            const expected = [isMeant && isAllowed ? 1 : 0, isMeant && !isAllowed ? 1 : 0].join();
            if (counts !== expected) expect.fail(`${text} ${JSON.stringify(flow)}: rows ${counts}, not ${expected}`);
            if (!isMeant) continue;
            seen[isAllowed ? "allowed" : "denied"] += 1;
            if (answer.verdict === "nobody" || answer.verdict === (isAllowed ? "no" : "yes")) {
              expect.fail(`${text} is ${answer.verdict}, and ${JSON.stringify(flow)} says otherwise`);
            }
          }
          for (const { connection, walkthrough } of answer.examples) {
            expect(isAsked(world, ends, connection)).toBe(true);
            const walked = walkthrough().directions.every(({ decision }) => enforcedVerdict(decision) === "allow");
            expect(walked).toBe(connection.enforced === "allow");
          }
          const shown = [...new Set(answer.examples.map(({ connection }) => connection.enforced))].sort().join();
          expect(shown).toBe({ yes: "allow", no: "deny", partly: "allow,deny", nobody: "", list: "?" }[answer.verdict]);
          if (answer.verdict !== "list") seen[answer.verdict] += 1;
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    // A test that meets only one kind shows little.
    for (const [what, count] of Object.entries(seen)) expect({ what, isMet: count > 0 }).toEqual({ what, isMet: true });
  });

  it("are the rows of reach and of the access diff, word for word", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(arbitraryWorld({ maxPolicies: 3 }), arbitraryWorld({ maxPolicies: 3 }), (world, other) => {
        const model = createAccessModel(world);
        const text = (
          rows: readonly { from: { text: string }; to: { text: string }; ports: Parameters<typeof formatPortSet>[0] }[],
        ) => rows.map(({ from, to, ports }) => [from.text, to.text, formatPortSet(ports)]);
        const short = (answer: Answer) => answer.rows.map(({ from, to, ports }) => [from, to, ports]);
        const limit = 100_000;
        const who = ask("who can reach cluster?", world, { limit });
        if (who.verdict === "list") {
          expect(short(who)).toEqual(
            text(reach(model, { from: { kind: "any" }, to: { kind: "entity", entity: "cluster" }, limit }).rows),
          );
        }
        const { rows } = diffAccess(model, createAccessModel(other), { limit });
        const change = () => ({ before: world, after: other });
        for (const [verb, kind] of [
          ["open", "gained"],
          ["close", "lost"],
        ] as const) {
          const answer = ask(`what would the draft ${verb}?`, world, { change, limit });
          expect(short(answer)).toEqual(text(rows.filter((row) => row.change === kind)));
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
  });
});

describe("an answer", () => {
  const world = askedWorld();

  it("says yes, no or partly, for whom, by which rule and line", () => {
    const yes = ask("can web reach db on 5432?", world);
    expect(yes).toMatchObject({ verdict: "yes", rowsLeftOut: 0 });
    expect(yes.sentence).toBe(
      "Yes, every connection from app=web to app=db on 5432/tcp is allowed. Host/web-1 (10.0.0.1) → Host/db-1 (10.0.0.7) 5432/tcp: allowed by default/db, ingress[0] (db.yaml:9).",
    );
    expect(yes.rows).toMatchObject([
      { kind: "allowed", from: "app=web", to: "db-1", ports: "5432/tcp", source: { file: "db.yaml", line: 9 } },
    ]);
    const no = ask("can lone reach db on 5432?", world);
    expect(no.sentence).toBe(
      "No, none from host/lone to app=db on 5432/tcp is allowed. Host/lone (10.0.0.9) → Host/db-1 (10.0.0.7) 5432/tcp: denied: default/db isolates ingress and no rule allows it (db.yaml:1).",
    );
    const partly = ask("can web reach db?", world);
    expect(partly.verdict).toBe("partly");
    expect(partly.rows.map(({ kind, ports }) => `${kind} ${ports}`)).toEqual([
      "allowed 5432/tcp",
      expect.stringMatching(/^denied /),
    ]);
    expect(partly.examples.map(({ connection }) => connection.enforced)).toEqual(["deny", "allow"]);
    expect(partly.examples[0]?.walkthrough().directions[1].steps.at(-1)).toMatchObject({
      policyKey: "Policy/default/db",
      outcome: "decided",
    });
    expect(ask("can mesh reach mesh?", world).verdict).toBe("nobody");
  });

  it("lists who, what, which and never", () => {
    expect(ask("who can reach db on 5432?", world).rows.map(({ from }) => from)).toEqual(["app=web"]);
    expect(
      ask("what has no policy?", world)
        .rows.map(({ key }) => key)
        .sort(),
    ).toEqual(["Host/lone", "Workload/prod/api", "Workload/prod/cache", "Workload/test/api"]);
    expect(ask("what has no egress policy?", world).rows).toHaveLength(7);
    expect(ask("which policies select web-1?", world).rows).toMatchObject([
      { key: "Policy/default/web", kind: "policy" },
    ]);
    expect(ask("which policies select world?", world).verdict).toBe("nobody");
    const uses = ask("who uses port 5432?", world);
    expect(uses.rows).toMatchObject([
      { kind: "rule", key: "Policy/default/db", rule: "ingress[0]" },
      { kind: "allowed", from: "app=web", to: "db-1" },
    ]);
    const [db] = world.policies;
    const hit = new Map([[ruleDecision(db!, db!.rules[0]!).id, { packets: 3n }]]);
    expect(ask("which rules were never hit?", world, { counters: () => hit }).rows).toMatchObject([
      { key: "Policy/default/db", rule: "ingress[1]" },
      { key: "Policy/default/web", rule: "ingress[0]" },
    ]);
    expect(() => ask("which rules were never hit?", world)).toThrow("Only a host counts");
  });

  it("says what a change opened for one group, and that it closed something else", () => {
    const before = { ...world, policies: world.policies.filter(({ name }) => name !== "db") };
    const closed = ask("what did the last change close for lone?", world, { change: () => ({ before, after: world }) });
    expect(closed.rows.every(({ kind }) => kind === "lost")).toBe(true);
    expect(closed.rows.length).toBeGreaterThan(0);
    const opened = ask("what did the last change open?", world, { change: () => ({ before, after: world }) });
    expect(opened).toMatchObject({
      rows: [],
      sentence: "The last change opened nothing.",
      notes: [expect.stringMatching(/^It also closed something/)],
    });
  });

  it("explains a recorded flow as it was decided and as it would be", () => {
    const deny = evaluate(world, {
      from: { endpointKey: null, address: "192.0.2.1" },
      to: { endpointKey: "Host/db-1", address: "10.0.0.7" },
      protocol: 6,
      port: 22,
    });
    const flow = () => ({
      id: 812n,
      fromAddress: "192.0.2.1",
      toAddress: "10.0.0.7",
      protocol: 6,
      port: 22,
      decision: deny.directions[1].decision,
      direction: "ingress" as const,
      enforced: "deny" as const,
      host: "db-1",
      subjectKey: "Host/db-1",
    });
    expect(ask("why was flow 812 denied?", world, { flow }).sentence).toBe(
      "192.0.2.1 → Host/db-1 (10.0.0.7) 22/tcp was denied by db-1: denied: default/db isolates ingress and no rule allows it (db.yaml:1). It would be decided the same now: denied: default/db isolates ingress and no rule allows it (db.yaml:1).",
    );
  });

  it("explains a recorded flow of whom its host says it was, also where several have the address", () => {
    const shared = "10.0.0.5";
    const job = workload("job", "app", { labels: new Map([["app", "job"]]) });
    const near = workload("a-near", null, { addresses: [shared] });
    const closed = policy("job", {
      subject: selectorFor("app=job"),
      isolates: { ingress: true, egress: true },
    });
    const ofApp = testWorld([near, job, host("app", { addresses: [shared] })], [closed]);
    const denial = evaluate(ofApp, {
      from: { endpointKey: null, address: "192.0.2.1" },
      to: { endpointKey: job.key, address: shared },
      protocol: 6,
      port: 80,
    }).directions[1].decision;
    const flow = (changes: Partial<AskedFlow>) => () => ({
      ...{ id: 9n, fromAddress: "192.0.2.1", toAddress: shared, protocol: 6, port: 80, host: "app" },
      ...{ direction: "ingress" as const, enforced: "deny" as const, subjectKey: job.key },
      ...{ decision: denial, ...changes },
    });
    const asked = (changes: Partial<AskedFlow>) => ask("why was flow 9 denied?", ofApp, { flow: flow(changes) });
    expect(asked({}).sentence).toContain(`${job.key} (${shared}) 80/tcp was denied`);
    expect(asked({}).sentence).toContain("decided the same now");
    expect(asked({}).notes).toEqual([]);
    // Nobody recorded the other end: the address is the host's, and who else has it is said.
    const outside = asked({ direction: "egress", subjectKey: "", fromAddress: shared, toAddress: "192.0.2.1" });
    expect(outside.sentence).toContain(`Host/app (${shared}) → 192.0.2.1`);
    expect(outside.notes).toEqual([`${near.key} has the address ${shared} too: the answer now is that of Host/app.`]);
    // Refused at connect(), before the connection had an address.
    const early = asked({ direction: "egress", fromAddress: "0.0.0.0", toAddress: "192.0.2.1" });
    expect(early.sentence).toContain(`${job.key} (${shared}) → 192.0.2.1`);
    // What the inventory lost counts as its host's.
    const gone = asked({ subjectKey: "Workload/default/gone", toAddress: "10.9.9.9" });
    expect(gone.sentence).toContain("Host/app (10.9.9.9) 80/tcp was denied by app");
    expect(gone.sentence).toContain("Now it would be allowed");
  });

  it.each([
    "can web reach db on 5432?",
    "can lone reach db on 5432, 22/tcp, 53/udp and icmp?",
    "can web reach db?",
    "who can reach db on 5432?",
    "can web-1 reach service store on ping?",
    "can 192.0.2.0/24 reach prod?",
    "can world reach all hosts on pg?",
    "what can lone reach?",
  ])("%s is kept as a test that holds, and asks for its own flows", (text) => {
    const answer = ask(text, world);
    const kept = testOfAnswer(answer, world.inventory);
    if (!kept.ok) throw new Error(kept.reason);
    const reading = readPolicyFiles([{ path: "kept.yaml", text: kept.text }]);
    expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(reading.tests[0]?.cases.length).toBeGreaterThan(0);
    expect(new Set(proveTests(world, reading.tests).cases.map(({ status }) => status))).toEqual(new Set(["holds"]));
    // It fails once the opposite is so: a test that cannot fail is none.
    const closed = policy("closed", { isolates: { ingress: true, egress: true } });
    const opposite = { ...world, policies: kept.text.includes("expect: deny") ? [] : [closed] };
    if (!(kept.text.includes("expect: deny") && kept.text.includes("expect: allow"))) {
      expect(proveTests(opposite, reading.tests).counts.holds).toBeLessThan(reading.tests[0]?.cases.length ?? 0);
    }
    if (answer.flowQuery !== null) expect(parseFlowQuery(answer.flowQuery, { nowMs: 0 }).diagnostics).toEqual([]);
  });
});
