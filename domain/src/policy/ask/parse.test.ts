import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { completeQuestion, EXAMPLES, FORMS, formatQuestion, looksLikeQuestion, parseQuestion } from "./index.ts";
import { askedVocabulary } from "./testing.ts";

const vocabulary = askedVocabulary();
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

const read = (text: string): string => {
  const parsed = parseQuestion(text, vocabulary);
  if (parsed.kind === "question") return parsed.text;
  const hints = parsed.kind === "ambiguous" ? parsed.choices : parsed.didYouMean;
  return `${parsed.kind}: ${parsed.message} [${hints.map(({ text: hint }) => hint).join(" | ")}]`;
};

describe("questions in words", () => {
  it.each([
    ["can web reach db on 5432?", "can app=web reach app=db on 5432/tcp?"],
    ["Can the web talk to db-1 over tcp 5432", "can app=web reach host/db-1 on 5432/tcp?"],
    ["can 10.0.0.7 reach host/db-1 over udp 53", "can 10.0.0.7 reach host/db-1 on 53/udp?"],
    [
      "is web allowed to connect to db on ports 80, 443 and 8000-8010/tcp",
      "can app=web reach app=db on 80/tcp, 443/tcp, 8000-8010/tcp?",
    ],
    ["is db reachable from web on ssh?", "can app=web reach app=db on 22/tcp?"],
    ["web -> db:5432", "can app=web reach app=db on 5432/tcp?"],
    ["can db be reached from the internet on postgres?", "can world reach app=db on 5432/tcp?"],
    ["who can reach db?", "who can reach app=db?"],
    ["who can reach db on ssh", "who can reach app=db on 22/tcp?"],
    ["who can talk to db on dns", "who can reach app=db on 53/udp, 53/tcp?"],
    ["who has access to namespace prod?", "who can reach @prod?"],
    ["what can web reach?", "what can app=web reach?"],
    ["what is reachable from world?", "what can world reach?"],
    ["what can api in prod reach on any port", "what can workload/prod/api reach?"],
    ["what can everything in prod reach over udp", "what can @prod reach on udp?"],
    ["which rule stops web from db on 5432", "which rule stops app=web from app=db on 5432/tcp?"],
    ["why can't web reach db on 22?", "which rule stops app=web from app=db on 22/tcp?"],
    ["why can’t web reach db on 22?", "which rule stops app=web from app=db on 22/tcp?"],
    ["which policy lets web reach db", "which rule lets app=web reach app=db?"],
    ["why was flow #812 denied?", "why was flow 812 decided?"],
    ["what did the last change open?", "what did the last change open?"],
    ["what did the last change close for web", "what did the last change close for app=web?"],
    ["what did version 3 open", "what did version 3 open?"],
    ["what would the draft open?", "what would the draft open?"],
    ["what would my changes close for db-1", "what would the draft close for host/db-1?"],
    ["what has no policy?", "what has no policy?"],
    ["which hosts have no ingress policy", "what has no ingress policy?"],
    ["which policies select web-1?", "which policies select host/web-1?"],
    ["which rules were never hit?", "which rules were never hit?"],
    ["which rules have never been used", "which rules were never hit?"],
    ["who uses port 5432?", "who uses 5432/tcp?"],
    ["which rules mention ssh", "who uses 22/tcp?"],
    ["can web reach db on pg", "can app=web reach app=db on name:pg?"],
    ["who can reach service store", "who can reach service/prod/store?"],
    [
      "can app=web,tier!=db reach zone in (a, b)@prod on icmp?",
      "can app=web,tier!=db reach zone in (a,b)@prod on icmp?",
    ],
    ["can all hosts reach 2001:db8::/32", "can all hosts reach 2001:db8::/32?"],
  ])("%s", (text, canonical) => {
    expect(read(text)).toBe(canonical);
  });

  it.each([
    [
      "can api reach db",
      "ambiguous: “api” can mean several. Which one? [can workload/prod/api reach db | can workload/test/api reach db | can app=api reach db]",
    ],
    [
      "can web reach db on https",
      "ambiguous: “https” can mean two ports. Which one? [can web reach db on 443/tcp | can web reach db on name:https]",
    ],
    [
      "can web reach dv-1",
      'unknown: Nobody is called "dv-1": no host, workload, label, service or namespace. [can web reach db-1]',
    ],
    [
      "can wob reach db",
      'unknown: Nobody is called "wob": no host, workload, label, service or namespace. [can web reach db]',
    ],
    ["can web raech db", "unknown: “can web raech db” is no question that is understood here. [can web reach db]"],
    ["can web reach db on shh", 'unknown: No port is called "shh". [can web reach db on ssh]'],
    ["can web reach db on 70000", 'unknown: "70000" is not a port: they go from 0 to 65535. []'],
    ["can web reach db on 90-80", "unknown: 90-80 is no range: it ends before it begins. []"],
    ["can 10.0.0.300 reach db", expect.stringMatching(/^unknown: "10\.0\.0\.300" /)],
    ["make me a sandwich", "unknown: “make me a sandwich” is no question that is understood here. []"],
    ["", "unknown: Ask something. []"],
  ])("%s: asks back or says why", (text, said) => {
    expect(read(text)).toEqual(said);
  });

  it("points at the word that is not understood, and lists one example of each form", () => {
    const parsed = parseQuestion("can web reach dv-1 on 22", vocabulary);
    expect(parsed).toMatchObject({ kind: "unknown", start: 14, end: 18, examples: EXAMPLES });
    expect(EXAMPLES.length).toBe(FORMS.length);
  });

  it("understands its own examples, and finds them worth asking about while they are typed", () => {
    for (const example of EXAMPLES) {
      expect({ example, read: read(example) }).toEqual({
        example,
        read: expect.not.stringMatching(/^(unknown|ambiguous)/),
      });
      expect({ example, looks: looksLikeQuestion(example) }).toEqual({ example, looks: true });
    }
    expect(["policies", "web-1", "open settings", "dark theme"].map(looksLikeQuestion)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it("reads its own canonical wording as the same question", () => {
    const nouns = [
      "app=web",
      "host/db-1",
      "workload/prod/api",
      "@prod",
      "anyone",
      "world",
      "cluster",
      "mesh",
      "all hosts",
      "10.0.0.0/8",
      "2001:db8::1",
      "service/prod/store",
      "zone in (a,b)",
      "!legacy",
      "label/app",
      "label/app@prod",
      "app!=db@prod",
    ];
    const ports = [
      "",
      " on 5432/tcp",
      " on 53/udp, 53/tcp",
      " on name:pg",
      " on 1-65535/sctp",
      " on icmp",
      " on ping",
      " on gre",
    ];
    const noun = fc.constantFrom(...nouns);
    const port = fc.constantFrom(...ports);
    const text = fc.oneof(
      fc.tuple(noun, noun, port).map(([from, to, on]) => `can ${from} reach ${to}${on}?`),
      fc.tuple(noun, port).map(([to, on]) => `who can reach ${to}${on}?`),
      fc.tuple(noun, port).map(([from, on]) => `what can ${from} reach${on}?`),
      fc.tuple(noun, noun, port).map(([from, to, on]) => `which rule lets ${from} reach ${to}${on}?`),
      fc.tuple(noun, noun, port).map(([from, to, on]) => `which rule stops ${from} from ${to}${on}?`),
      fc
        .tuple(
          fc.constantFrom("would the draft", "did the last change", "did version 12"),
          fc.constantFrom("open", "close", "change"),
          noun,
        )
        .map(([what, verb, about]) => `what ${what} ${verb} for ${about}?`),
      noun.map((subject) => `which policies select ${subject}?`),
      fc.constantFrom(...ports.slice(1)).map((on) => `who uses ${on.slice(4)}?`),
    );
    fc.assert(
      fc.property(text, (canonical) => {
        const parsed = parseQuestion(canonical, vocabulary);
        expect(parsed.kind === "question" ? parsed.text : `${canonical}: ${parsed.message}`).toBe(canonical);
        if (parsed.kind === "question") expect(formatQuestion(parsed.question)).toBe(canonical);
      }),
      { numRuns: 200, seed: SEED },
    );
  });

  it("never throws and always ends, whatever is typed and wherever the cursor stands", { timeout: 60_000 }, () => {
    const words = [
      ..."can web reach db-1 on 5432 who what rule stops from to for host/ app=web @prod ( ) , ? -> : 10.0.0.1 in and the service #".split(
        " ",
      ),
      "\u202e",
      "💥",
      "'",
      "\u0000",
      "a".repeat(200),
    ];
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 80 }),
      fc.array(fc.constantFrom(...words), { maxLength: 60 }).map((list) => list.join(" ")),
    );
    fc.assert(
      fc.property(text, fc.nat(600), (typed, cursor) => {
        const parsed = parseQuestion(typed, vocabulary);
        if (parsed.kind === "question") expect(read(parsed.text)).toBe(parsed.text);
        else expect(parsed.start).toBeLessThanOrEqual(parsed.end);
        for (const { start, end } of completeQuestion(typed, cursor, vocabulary).completions) {
          expect(start).toBeLessThanOrEqual(end);
        }
      }),
      { numRuns: 250, seed: SEED },
    );
    expect(read("x ".repeat(200))).toBe("unknown: The question has too many words. []");
    expect(read("x".repeat(501))).toMatch(/^unknown: A question may have 500 characters/);
  });
});

describe("completion", () => {
  const offered = (text: string): readonly string[] =>
    completeQuestion(text, text.length, vocabulary).completions.map((each) => text.slice(0, each.start) + each.text);

  it("offers names where a group stands, words of the language where one ends, and ports", () => {
    expect(offered("can we")).toContain("can app=web");
    expect(offered("can web ")).toContain("can web reach");
    expect(offered("can web re")).toContain("can web reach");
    expect(offered("can web reach d")).toContain("can web reach host/db-1");
    expect(offered("can web reach db ")).toContain("can web reach db on");
    expect(offered("can web reach db on s")).toContain("can web reach db on ssh");
    expect(offered("can web reach db on p")).toContain("can web reach db on pg");
    expect(offered("wh")).toEqual(expect.arrayContaining(["who", "what", "which"]));
    expect(offered("what did the last change ")).toContain("what did the last change open");
    expect(completeQuestion("open the settings", 17, vocabulary).isBeginning).toBe(false);
  });
});
