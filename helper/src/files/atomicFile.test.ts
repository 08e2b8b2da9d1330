/** What is there after a disk refused to make the name of a new version stay. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { StoreConfigurationSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigurationFile, type NodeConfiguration } from "../cluster/node/configFile.ts";
import { pfConfFile, replaceFileSync } from "../enforce/pf/pfConfFile.ts";
import { refuseDirectorySyncs } from "../testing/unsyncedDirectory.ts";
import { NotPutBackError, replaceFile } from "./atomicFile.ts";

let directory: string;
let refused: number;
let onRefusal: () => void;
let restore: () => void;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "wardline-atomic-"));
  refused = 0;
  onRefusal = () => {};
  restore = await refuseDirectorySyncs(() => {
    const isRefused = refused-- > 0;
    if (isRefused) onRefusal();
    return isRefused;
  });
});
afterEach(() => {
  restore();
  rmSync(directory, { recursive: true });
});

const path = () => join(directory, "file");
const names = () => readdirSync(directory);

const WRITERS = {
  asynchronous: (text: string) => replaceFile(path(), text),
  synchronous: async (text: string) => replaceFileSync(path(), text),
};

describe.each(Object.entries(WRITERS))("a file that is replaced (%s)", (_, write) => {
  it("is what it was when its directory is not on disk, so that who was refused knows what counts", async () => {
    await write("old");
    refused = 1;
    await expect(write("new")).rejects.toThrow("EIO");
    expect(readFileSync(path(), "utf8")).toBe("old");
    expect(names()).toEqual(["file"]);
    await write("new");
    expect(readFileSync(path(), "utf8")).toBe("new");
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(names()).toEqual(["file"]);
  });

  it("says so when what was there cannot come back", async () => {
    await write("old");
    refused = 1;
    onRefusal = () => rmSync(join(directory, names().find((name) => name.endsWith("former")) ?? ""));
    await expect(write("new")).rejects.toThrow(NotPutBackError);
    expect(readFileSync(path(), "utf8")).toBe("new");
  });

  it("is not there when there was none before", async () => {
    refused = 1;
    await expect(write("new")).rejects.toThrow("EIO");
    expect(names()).toEqual([]);
  });
});

it("gives /etc/pf.conf back with its mode", () => {
  replaceFileSync(path(), "old\n");
  chmodSync(path(), 0o644);
  refused = 1;
  expect(() => pfConfFile(path()).replace("new\n")).toThrow("EIO");
  expect(readFileSync(path(), "utf8")).toBe("old\n");
  expect(statSync(path()).mode & 0o777).toBe(0o644);
  expect(names()).toEqual(["file"]);
});

it("leaves a host that could not join without a configuration: it would be a member that was told that it is none", async () => {
  const file = new ConfigurationFile(directory);
  const configuration: NodeConfiguration = {
    clusterName: "fleet",
    trustDomain: "fleet.example",
    clusterId: "",
    memberName: "alpha",
    candidate: false,
    peerAddress: "192.0.2.1:7447",
    store: create(StoreConfigurationSchema, { kind: StoreKind.EMBEDDED }),
    leaseMs: 5_000,
    knownMembers: [],
  };
  refused = 1;
  await expect(file.write(configuration)).rejects.toThrow("EIO");
  expect(await file.read()).toEqual({ kind: "absent" });
  await file.write(configuration);
  expect(await file.read()).toMatchObject({ kind: "read" });
});
