import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { StoreConfigurationSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigurationFile, encodeConfiguration, type NodeConfiguration } from "./configFile.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "wardline-config-")), "cluster");
  path = join(directory, "config.json");
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true }));

const configuration: NodeConfiguration = {
  clusterName: "prod",
  trustDomain: "prod.wardline",
  clusterId: "0f".repeat(16),
  memberName: "web-1",
  candidate: true,
  peerAddress: "[fd00::1]:7443",
  store: create(StoreConfigurationSchema, {
    kind: StoreKind.ETCD,
    endpoints: ["https://10.0.0.1:2379"],
    userName: "wardline",
    password: "secret",
  }),
  leaseMs: 5_000,
  knownMembers: [
    { name: "a", peerAddress: "10.0.0.1:7443", candidate: true, spiffeId: "spiffe://prod.wardline/host/a" },
  ],
};

describe("ConfigurationFile", () => {
  it("gives back what was written, in a file for its owner alone", async () => {
    const file = new ConfigurationFile(directory);
    expect(await file.read()).toEqual({ kind: "absent" });
    await file.write(configuration);
    expect(await file.read()).toEqual({ kind: "read", configuration });
    expect([statSync(path).mode & 0o777, statSync(directory).mode & 0o777]).toEqual([0o600, 0o700]);
    await file.remove();
    expect(await file.read()).toEqual({ kind: "absent" });
    await file.remove();
  });

  const text = encodeConfiguration(configuration);
  const replaced = (from: string, to: string) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  };
  it.each([
    ["nothing", "", "not JSON"],
    ["a part of it", text.slice(0, text.length / 2), "not JSON"],
    ["another format", replaced('"format": 1', '"format": 2'), "format 2"],
    ["a list", "[]", "not an object"],
    ["a path for a name", replaced('"web-1"', '"../../etc"'), "not the name of a host"],
    ["no address", replaced("[fd00::1]:7443", "everywhere"), "no peer address"],
    ["an endpoint in clear", replaced("https://10.0.0.1", "http://10.0.0.1"), "in clear"],
    ["an endless lease", replaced("5000", "1e99"), "no lease"],
    ["text for a flag", replaced("true", '"true"'), "neither true nor false"],
    ["members that are none", replaced('"name": "a",', '"name": 7,'), "known member is not a text"],
    ["something endless", `"${"x".repeat(9 * 1024 * 1024)}"`, "larger than any valid one"],
  ])("says what is wrong with %s", async (_what, content, expected) => {
    mkdirSync(directory);
    writeFileSync(path, content);
    const read = await new ConfigurationFile(directory).read();
    expect(read).toMatchObject({ kind: "damaged", problem: expect.stringContaining(expected) });
    expect(readFileSync(path, "utf8")).toBe(content);
  });

  it.skipIf(process.geteuid?.() === 0)(
    "keeps the former file where nothing can be written (needs an ordinary user)",
    async () => {
      const file = new ConfigurationFile(directory);
      await file.write(configuration);
      chmodSync(directory, 0o500);
      await expect(file.write({ ...configuration, clusterName: "other" })).rejects.toThrow("could not be written");
      expect(await file.read()).toMatchObject({ configuration: { clusterName: "prod" } });
    },
  );
});
