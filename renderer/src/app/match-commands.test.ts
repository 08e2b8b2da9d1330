import { expect, it } from "vitest";
import type { Command } from "../data/command-registry.ts";
import { makeFindable, matchCommands } from "./match-commands.ts";

const command = (id: string, group: string, title: string, over: Partial<Command> = {}): Command => ({
  id,
  group,
  title,
  run: () => {},
  ...over,
});
const FEW = makeFindable([
  command("view:flows", "Go to", "Flows"),
  command("theme:dark", "Display", "Dark theme"),
  command("host:1", "Hosts", "db-1", { detail: "10.0.0.7" }),
  command("host:2", "Hosts", "old-db"),
  command("host:3", "Hosts", "hdbx"),
  command("policy:1", "Policies", "default/db", { words: "database" }),
]);
const ids = (text: string, recent: readonly string[] = []) => matchCommands(FEW, text, { recent }).map(({ id }) => id);

it("ranks beginnings before words before parts, groups, and puts what was used of late first", () => {
  expect(ids("db")).toEqual(["host:1", "host:2", "host:3", "policy:1"]);
  expect(ids("db", ["policy:1"])[0]).toBe("policy:1");
  expect(ids("", ["theme:dark"])[0]).toBe("theme:dark");
  expect(ids("10.0.0.7")).toEqual(["host:1"]);
  expect(ids("database")).toEqual(["policy:1"]);
  expect(ids("dark flows")).toEqual([]);
});

it("finds the first 60 of 20,000 in under 16 ms of processor time", () => {
  const many = makeFindable(
    Array.from({ length: 20_000 }, (_, index) =>
      command(`host:${index}`, "Hosts", `web-${index}.example.net`, { detail: `10.${index >> 8}.${index & 255}.7` }),
    ),
  );
  const times = ["w", "web", "web-19", "example 77", "10.7", "", "nothing-has-this"].map((text) => {
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 7; run++) {
      const before = process.cpuUsage();
      const found = matchCommands(many, text, { recent: ["host:5"] });
      const { user, system } = process.cpuUsage(before);
      best = Math.min(best, (user + system) / 1_000);
      expect(found.length).toBeLessThanOrEqual(60);
    }
    return { text, isFast: best < 16, best };
  });
  expect(times.filter(({ isFast }) => !isFast)).toEqual([]);
});
