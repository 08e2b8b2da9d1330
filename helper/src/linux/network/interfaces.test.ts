import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KernelLab, kernelLabProblem } from "../../testing/kernelLab.ts";
import { InterfaceList, parseLink } from "./interfaces.ts";
import { inNetworkNamespace } from "./namespace.ts";

const problem = kernelLabProblem();

describe("parseLink", () => {
  it("takes no message of a bridge about its port for an interface", () => {
    const payload = Buffer.alloc(16);
    payload.writeUInt8(7, 0);
    expect(parseLink(payload)).toBe(null);
    expect(parseLink(Buffer.alloc(4))).toBe(null);
  });
});

describe.skipIf(problem !== null)(`interfaces of a network namespace${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let list: InterfaceList;
  const ip = (...words: string[]): void => void execFileSync("ip", ["-n", `${lab.name}-host`, ...words]);

  beforeEach(() => {
    lab = new KernelLab();
    list = new InterfaceList(lab.hostNamespace);
  });

  afterEach(async () => {
    list.close();
    await lab.close();
  });

  it("are listed with what is known of each", () => {
    ip("link", "add", "br0", "type", "bridge");
    ip("link", "add", "inner0", "type", "veth", "peer", "name", "inner1");
    ip("link", "set", "inner0", "master", "br0");
    const entries = new Map(list.read().map((entry) => [entry.name, entry]));
    expect(entries.get("lo")).toMatchObject({ index: 1, isLoopback: true });
    expect(entries.get("eth0")).toMatchObject({ hardwareType: 1, kind: "veth", crossesNamespace: true, master: 0 });
    expect(entries.get("br0")).toMatchObject({ kind: "bridge", crossesNamespace: false, xdp: "none" });
    const master = entries.get("br0")?.index;
    expect(entries.get("inner0")).toMatchObject({ kind: "veth", crossesNamespace: false, master, portKind: "bridge" });
  });

  it("say when one of them changed, once", () => {
    list.hasChanged();
    expect(list.hasChanged()).toBe(false);
    ip("link", "add", "br0", "type", "bridge");
    expect(list.hasChanged()).toBe(true);
    expect(list.hasChanged()).toBe(false);
    ip("link", "del", "br0");
    expect(list.hasChanged()).toBe(true);
  });

  it("are not those of the caller, who is back in his own namespace afterwards", () => {
    const own = new InterfaceList(null);
    const names = (): readonly string[] => own.read().map(({ name }) => name);
    const before = names();
    own.close();
    const inside = inNetworkNamespace(lab.hostNamespace, () => {
      const there = new InterfaceList(null);
      const found = there.read().map(({ name }) => name);
      there.close();
      return found;
    });
    expect(inside).toEqual(list.read().map(({ name }) => name));
    const again = new InterfaceList(null);
    expect(again.read().map(({ name }) => name)).toEqual(before);
    again.close();
    expect(() => inNetworkNamespace("/run/netns/there-is-none", () => 0)).toThrow();
  });
});
