import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { IdentityLab } from "../testing/identityLab.ts";
import { formatJoinToken, parseJoinToken } from "./joinTokenText.ts";

const MINUTE_MS = 60_000;

let clock: FakeClock;
let lab: IdentityLab;

beforeEach(async () => {
  clock = new FakeClock();
  lab = await IdentityLab.create({ clock });
});
afterEach(() => lab.close());

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: unknown) => (error instanceof Failure ? ErrorCode[error.code] : String(error)),
  );

describe("tokens", () => {
  it("keep no secret in the store", async () => {
    const { secret } = parseJoinToken(await lab.token());
    const { items } = await lab.store.range(lab.keys.tokens);
    expect(items).toHaveLength(1);
    const kept = Buffer.from(items[0]?.value ?? []).toString();
    for (const encoding of ["hex", "base64", "base64url"] as const)
      expect(kept).not.toContain(Buffer.from(secret).toString(encoding));
  });

  it("are dropped when their time is over, and only then", async () => {
    await lab.token({ lifeMs: MINUTE_MS });
    await lab.token({ lifeMs: 3 * MINUTE_MS });
    clock.wallOffsetMs += 2 * MINUTE_MS;
    expect(await lab.tokens.removeExpired(() => [])).toBe(1);
    expect((await lab.store.range(lab.keys.tokens)).items).toHaveLength(1);
  });

  it("are refused when the leader is none any more, and for times and names out of range", async () => {
    const origin = {
      trustDomain: "demo.wardline",
      rootFingerprint: "0".repeat(64),
      candidates: [{ name: "a", peerAddress: "10.0.0.1:7443" }],
    };
    const request = { memberName: "", candidate: false, labels: {}, lifeMs: 600_000, createdBy: "x" };
    const deposed = () => [{ key: lab.keys.leader, target: "create" as const, operator: ">" as const, number: 0n }];
    expect(await codeOf(lab.tokens.create(request, origin, deposed))).toBe("NOT_LEADER");
    for (const change of [{ lifeMs: 0 }, { lifeMs: 25 * 60 * MINUTE_MS }, { memberName: "A b" }]) {
      expect(await codeOf(lab.tokens.create({ ...request, ...change }, origin, () => []))).toBe("INVALID_ARGUMENT");
    }
    expect((await lab.store.range(lab.keys.tokens)).items).toHaveLength(0);
  });

  it("come back from their text, and no other text is one", async () => {
    const text = await lab.token();
    const token = parseJoinToken(` ${text}\n`);
    expect(formatJoinToken(token)).toBe(text);
    const inside = JSON.parse(Buffer.from(text.slice(4), "base64url").toString()) as Record<string, unknown>;
    const wrap = (content: unknown) => `wl1.${Buffer.from(JSON.stringify(content)).toString("base64url")}`;
    const wrong = [
      "",
      "wl1.",
      text.slice(0, -5),
      text.slice(4),
      `${text}!`,
      `wl2${text.slice(3)}`,
      wrap(null),
      wrap([]),
      wrap({ ...inside, s: "AA" }),
      wrap({ ...inside, d: "De mo" }),
      wrap({ ...inside, c: [] }),
      wrap({ ...inside, c: [["a", "nowhere"]] }),
      wrap({ ...inside, c: [["../a", "10.0.0.1:1"]] }),
      wrap({ ...inside, r: 5 }),
      "x".repeat(10_000),
    ];
    for (const one of wrong) {
      try {
        parseJoinToken(one);
        expect.unreachable(one.slice(0, 40));
      } catch (error) {
        expect(error).toMatchObject({ code: ErrorCode.TOKEN_INVALID });
        expect((error as Failure).message).not.toContain(one.slice(0, 20) || "never");
      }
    }
  });
});
