import { create } from "@bufbuild/protobuf";
import {
  MeshObservationSchema,
  MeshProvider,
  type MeshProviderReport,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { yggdrasilAddressBytes } from "@wardline/domain/mesh";
import { afterEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../testing/fakeClock.ts";
import { FakeEnforcer } from "../../testing/fakeEnforcer.ts";
import type { OverlayInterface } from "../enforcer.ts";
import { EnforcerSession } from "../enforcerSession.ts";
import { findOverlayInterface, OverlayWatch, overlayClaim } from "./overlayWatch.ts";

const KEY = "6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a";
const OTHER_KEY = "51c38aa7a908bf4740dd11243a265a740981827e52dc82f3f283983bf72dbe32";

/** A line of /proc/net/if_inet6. */
function line(key: string, index: number, name: string): string {
  const address = Buffer.from(yggdrasilAddressBytes(key)!).toString("hex");
  return `${address} ${index.toString(16).padStart(2, "0")} 07 00 80 ${name.padStart(8)}\n`;
}

const LOOPBACK = "00000000000000000000000000000001 01 80 10 80       lo\n";

describe("the interface of a node", () => {
  it("is the one with the address of its key, of the name that the daemon says", () => {
    const text = `${LOOPBACK}${line(OTHER_KEY, 3, "ygg1")}${line(KEY, 0x1f, "ygg0")}`;
    expect(findOverlayInterface(text, { key: KEY, interfaceName: "ygg0" })).toEqual({ name: "ygg0", index: 31 });
    expect(findOverlayInterface(text, { key: KEY.toUpperCase(), interfaceName: "" })).toEqual({
      name: "ygg0",
      index: 31,
    });
  });

  it.each([
    ["another interface carries the address", line(KEY, 4, "eth0"), "ygg0"],
    ["the interface carries another key's address", line(OTHER_KEY, 4, "ygg0"), "ygg0"],
    ["two carry it and nobody says which", line(KEY, 4, "ygg0") + line(KEY, 5, "eth0"), ""],
    ["there is none", LOOPBACK, "ygg0"],
    ["the list is no list", "nonsense\n\n", "ygg0"],
  ])("is nobody's when %s", (_, text, interfaceName) => {
    expect(findOverlayInterface(text, { key: KEY, interfaceName })).toBeNull();
  });

  it("is nobody's without a key", () => {
    expect(findOverlayInterface(line(KEY, 4, "ygg0"), { key: "", interfaceName: "" })).toBeNull();
  });
});

describe("what a daemon says of its node", () => {
  function observation(...reports: Partial<Pick<MeshProviderReport, "provider" | "state" | "interfaceName">>[]) {
    const providers = reports.map((report) => {
      return create(MeshProviderReportSchema, { ...report, self: { key: KEY.toUpperCase() } });
    });
    return create(MeshObservationSchema, { providers });
  }
  const yggdrasil = MeshProvider.YGGDRASIL;

  it("is taken from a daemon that runs, and from no other mesh", () => {
    const up = { provider: yggdrasil, state: MeshProviderState.UP, interfaceName: "ygg0" };
    expect(overlayClaim(observation(up))).toEqual({ key: KEY, interfaceName: "ygg0" });
    expect(overlayClaim(observation({ ...up, state: MeshProviderState.UNRESPONSIVE }))).toBeNull();
    expect(overlayClaim(observation({ ...up, provider: MeshProvider.BATMAN }))).toBeNull();
    expect(overlayClaim(observation())).toBeNull();
  });

  it("needs a key", () => {
    const report = create(MeshProviderReportSchema, { provider: yggdrasil, state: MeshProviderState.UP });
    expect(overlayClaim(create(MeshObservationSchema, { providers: [report] }))).toBeNull();
  });
});

describe("the watch", () => {
  const told: (OverlayInterface | null)[] = [];
  const problems: (string | null)[] = [];
  let addresses = "";
  let held: Partial<OverlayInterface> | null = null;
  let refuses = false;
  const watches: OverlayWatch[] = [];

  function watch(): OverlayWatch {
    const enforcer = {
      setOverlay: (overlay: OverlayInterface | null) => {
        if (refuses) throw new Error("no table");
        told.push(overlay);
      },
      heldOverlay: () => held,
    };
    const made = new OverlayWatch({
      enforcer,
      readAddresses: () => addresses,
      onProblem: (problem) => void problems.push(problem),
    });
    watches.push(made);
    return made;
  }

  afterEach(() => {
    for (const each of watches.splice(0)) each.close();
    told.splice(0);
    problems.splice(0);
    [addresses, held, refuses] = ["", null, false];
  });

  it("tells what it finds once, and again when the interface was made anew", () => {
    addresses = line(KEY, 7, "ygg0");
    const overlay = watch();
    overlay.learn({ key: KEY, interfaceName: "ygg0" });
    overlay.learn({ key: KEY, interfaceName: "ygg0" });
    overlay.refresh();
    expect(told).toEqual([{ name: "ygg0", index: 7 }]);
    addresses = "";
    overlay.refresh();
    addresses = line(KEY, 9, "ygg0");
    overlay.refresh();
    expect(told.slice(1)).toEqual([null, { name: "ygg0", index: 9 }]);
    expect(problems).toEqual([expect.stringContaining("ygg0 does not carry the address"), null]);
  });

  it("keeps the interface of a daemon that does not answer", () => {
    addresses = line(KEY, 7, "ygg0");
    const overlay = watch();
    overlay.learn({ key: KEY, interfaceName: "ygg0" });
    overlay.learn(null);
    overlay.refresh();
    expect(told).toHaveLength(1);
  });

  it("follows a daemon that has a new key", () => {
    addresses = line(KEY, 7, "ygg0") + line(OTHER_KEY, 8, "ygg1");
    const overlay = watch();
    overlay.learn({ key: KEY, interfaceName: "ygg0" });
    overlay.learn({ key: OTHER_KEY, interfaceName: "ygg1" });
    expect(told.map((each) => each?.index)).toEqual([7, 8]);
  });

  it("leaves what an earlier agent held until the daemon is asked, unless its interface has gone", () => {
    held = { index: 7 };
    addresses = line(KEY, 7, "ygg0");
    expect(watch().interface).toEqual({ name: "ygg0", index: 7 });
    expect(told).toEqual([]);
    addresses = `${LOOPBACK}fe800000000000000000000000000001 07 40 20 80     eth7\n`;
    expect(watch().interface).toBeNull();
    expect(told).toEqual([null]);
    held = { name: "ygg0" };
    addresses = line(KEY, 8, "ygg0");
    expect(watch().interface).toEqual({ name: "ygg0", index: 8 });
  });

  it("tells again what could not be told", () => {
    addresses = line(KEY, 7, "ygg0");
    refuses = true;
    const overlay = watch();
    overlay.learn({ key: KEY, interfaceName: "ygg0" });
    expect(problems).toEqual([expect.stringContaining("no table")]);
    expect(overlay.interface).toBeNull();
    refuses = false;
    overlay.refresh();
    expect(told).toEqual([{ name: "ygg0", index: 7 }]);
    expect(problems.at(-1)).toBeNull();
  });
});

describe("an enforcer that is released and opened again", () => {
  it("is told once more what the overlay's interface is", async () => {
    const told: (OverlayInterface | null)[] = [];
    const inner = new FakeEnforcer(new FakeClock());
    const session = new EnforcerSession(
      Object.assign(inner, { setOverlay: (overlay: OverlayInterface | null) => void told.push(overlay) }),
    );
    const overlay = { name: "ygg0", index: 7 };
    session.setOverlay(overlay);
    expect([told, session.heldOverlay()]).toEqual([[], null]);
    await session.open();
    await session.release();
    await session.open();
    expect(told).toEqual([overlay, overlay]);
  });
});
