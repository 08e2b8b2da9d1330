import { PassThrough, Readable } from "node:stream";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { compile, PROTOCOL } from "@wardline/domain/policy";
import { host, policy, ports, rule, world } from "@wardline/domain/policy/testing";
import { decodeTestRunAnswers, encodeTestRunRequest, TEST_RUN_LIMITS } from "@wardline/domain/policy/vectors";
import { describe, expect, it } from "vitest";
import { kernelLabProblem, readBpfObject } from "../testing/kernelLab.ts";
import { KernelUnavailable, testRun } from "./testRun.ts";

const problem = kernelLabProblem();

const PROGRAM = compile(
  world([host("alpha")], [policy("web", { rules: [rule("ingress", { ports: [ports(PROTOCOL.tcp, 443)] })] })]),
  "alpha",
);

function packet(port: number, fields: { direction?: "ingress" | "egress"; remote?: string } = {}) {
  const { direction = "ingress", remote = "192.0.2.1" } = fields;
  return { set: 0, direction, remote, protocol: PROTOCOL.tcp, port, packetPort: port };
}

async function run(...chunks: readonly (string | Buffer)[]): Promise<readonly string[]> {
  const output = new PassThrough();
  const text = output.setEncoding("utf8").toArray();
  await testRun(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), output);
  output.end();
  return (await text).join("").split("\n").slice(0, -1);
}

const request = (...packets: readonly ReturnType<typeof packet>[]) =>
  encodeTestRunRequest({ program: PROGRAM, packets });

describe.skipIf(problem !== null)(`wardline-agent test-run${problem === null ? "" : ` (${problem})`}`, () => {
  readBpfObject();

  it("answers the packets of each line from the tables of that line", async () => {
    const denyAll = compile(world([host("alpha")], [policy("none")]), "alpha");
    const other = encodeTestRunRequest({ program: denyAll, packets: [packet(443)] });
    const lines = await run(`${request(packet(443), packet(80), packet(443, { remote: "2001:db8::1" }))}\n\n`, other);
    const denials = [3, 1].map((count, index) =>
      decodeTestRunAnswers("answer", lines[index] ?? "", count).map(({ deny }) => deny),
    );
    expect(denials).toEqual([[false, true, false], [true]]);
    expect(lines).toHaveLength(2);
  });

  it("reads lines that come in pieces", async () => {
    const bytes = Buffer.from(`${request(packet(443))}\n`);
    expect(await run(bytes.subarray(0, 10), bytes.subarray(10, 300), bytes.subarray(300))).toHaveLength(1);
  });

  it("gives nothing for nothing", async () => {
    expect(await run()).toEqual([]);
  });

  const valid = () => JSON.parse(request(packet(443))) as { program: Record<string, unknown>; packets: unknown[] };
  const withProgram = (fields: object) => JSON.stringify({ ...valid(), program: { ...valid().program, ...fields } });
  const withPacket = (fields: object) =>
    JSON.stringify({ ...valid(), packets: [{ ...(valid().packets[0] as object), ...fields }] });

  it.each([
    ["no JSON", "{", /line 1: the file is not JSON/],
    ["a field too many", JSON.stringify({ ...valid(), more: 1 }), /more is not known here/],
    ["another format", withProgram({ formatVersion: 2 }), /program\.formatVersion must be a whole number from 1 to 1/],
    ["half a prefix", withProgram({ addresses: [{ prefix: "0a", prefixLength: 8, atom: 1 }] }), /4 or 16 bytes in hex/],
    ["tables without a default", withProgram({ ports: [] }), /has no default entry/],
    ["a decision that is not there", withProgram({ decisions: [] }), /which does not exist/],
    ["no address", withPacket({ remote: "example.org" }), /packets\[0\]\.remote must be an IPv4 or IPv6 address/],
    ["two families", withPacket({ local: "2001:db8::1" }), /two addresses of one family/],
    ["an extension header", withPacket({ remote: "2001:db8::1", protocol: 44 }), /packets\[0\] has a protocol that no/],
  ])("refuses %s", async (_, line, reason) => {
    const refusal = run(line);
    await expect(refusal).rejects.toThrow(Failure);
    await expect(refusal).rejects.toThrow(reason);
  });

  it("refuses bytes that are no text, and a line without an end", async () => {
    await expect(run(Buffer.from([0xff, 0xfe, 0x0a]))).rejects.toThrow("not UTF-8");
    const mebibyte = Buffer.alloc(1 << 20, 0x20);
    const endless = Array.from({ length: TEST_RUN_LIMITS.lineLength / mebibyte.length + 1 }, () => mebibyte);
    await expect(run(...endless)).rejects.toMatchObject({ code: ErrorCode.TOO_LARGE });
  });
});

describe.skipIf(process.geteuid?.() === 0)("wardline-agent test-run without root (needs an ordinary user)", () => {
  it("says that it needs it", async () => {
    await expect(run()).rejects.toThrow(KernelUnavailable);
  });
});
