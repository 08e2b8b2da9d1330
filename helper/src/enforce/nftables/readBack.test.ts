import { ErrorCode } from "@wardline/domain/errors";
import { compile, type HostProgram } from "@wardline/domain/policy";
import { emitNftablesSlot, type NftablesPiece, pieceLines } from "@wardline/domain/policy/emit";
import { addressPeer, host, policy, ports, rule, selectorFor, world } from "@wardline/domain/policy/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { NftablesReader } from "../../linux/netfilter/nftablesReader.ts";
import { NetfilterLab, netfilterLabProblem } from "../../testing/netfilterLab.ts";
import { verifyPieces } from "./readBack.ts";
import { namesOfSlot } from "./tableView.ts";

const problem = netfilterLabProblem();
const [ICMP, TCP, UDP] = [1, 6, 17];

/** Neighbouring ranges, ranges up to the last address and port, single values, and more ports than are compared. */
function program(): HostProgram {
  const peers = [
    ["10.0.0.0/8", 80],
    ["11.0.0.0/8", 81],
    ["255.255.255.0/24", 82],
    ["192.0.2.7/32", 83],
    ["2001:db8::/32", 84],
    ["ffff:ffff::/32", 85],
    ["0.0.0.0/8", 86],
  ] as const;
  const rules = peers.map(([prefix, port]) =>
    rule("ingress", {
      peers: [addressPeer(prefix)],
      ports: [port, port + 100, port + 200, 65_535].map((each) => ports(TCP, each)),
    }),
  );
  const others = [1, 2, 3, 4].map((protocol) => rule("egress", { ports: [ports(40 + protocol, 0)] }));
  const pings = rule("egress", { ports: [ports(ICMP, 8 << 8), ports(UDP, 0, 65_535)] });
  return compile(
    world([host("web")], [policy("p", { subject: selectorFor("name=web"), rules: [...rules, ...others, pings] })]),
    "web",
  );
}

describe.skipIf(problem !== null)(`what the kernel holds of a slot${problem ? ` (${problem})` : ""}`, () => {
  let lab: NetfilterLab;
  let reader: NftablesReader;
  const deny: NftablesPiece = { kind: "chain", name: "b_deny", hook: null, rules: ['drop comment "x"'] };
  const pieces = [deny, ...emitNftablesSlot(program(), "b_").pieces];
  const verify = async () => verifyPieces(reader, "b_", pieces, await namesOfSlot(reader, "b"));

  beforeAll(() => {
    lab = new NetfilterLab();
    reader = new NftablesReader("wardline", lab.namespacePath("host"));
  });

  beforeEach(() => {
    lab.load(
      `table inet wardline {\nset inner { type ifname; }\nset overlay { type ifname; }\n${pieces.flatMap((piece) => [...pieceLines(piece)]).join("\n")}\n}\n`,
    );
  });

  afterEach(() => {
    lab.inside("host", "nft", ["delete", "table", "inet", "wardline"]);
  });

  afterAll(async () => {
    reader.close();
    await lab.close();
  });

  it("is found to be what was sent, every element of every kind of map", async () => {
    const maps = pieces.filter((piece) => piece.kind === "map");
    expect(new Set(maps.map(({ key }) => key)).size).toBe(4);
    await verify();
  });

  const map = pieces.find((piece) => piece.kind === "map" && piece.name === "b_ingress_by_source_4");
  const element = map?.kind === "map" ? map.elements[1] : undefined;
  const otherTarget = "b_deny";

  it.each([
    ["an element is gone", () => `delete element inet wardline ${map?.name} { ${element?.text} }`],
    [
      "an element leads elsewhere",
      () => `delete element inet wardline ${map?.name} { ${element?.text} }
             add element inet wardline ${map?.name} { ${element?.text} : goto ${otherTarget} }`,
    ],
    ["an element is added", () => `add element inet wardline ${map?.name} { 100.64.0.1 : goto ${otherTarget} }`],
    ["a rule is gone", () => "flush chain inet wardline b_builtin"],
    ["a rule is added", () => "insert rule inet wardline b_input accept"],
    ["a rule does something else", () => "flush chain inet wardline b_deny\nadd rule inet wardline b_deny accept"],
    ["a chain is added", () => "add chain inet wardline b_more"],
    ["a counter is added", () => "add counter inet wardline b_more"],
    ["a map is added", () => "add map inet wardline b_more { type inet_proto : verdict; }"],
  ])("is found out when %s", async (_, damage) => {
    lab.load(damage());
    await expect(verify()).rejects.toMatchObject({ code: ErrorCode.SELF_TEST_FAILED });
  });
});
