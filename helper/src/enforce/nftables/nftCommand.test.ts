import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NftCommand } from "./nftCommand.ts";

const isPosix = process.platform !== "win32";

describe.skipIf(!isPosix)("running nft", () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "wardline-nft-"));
  });

  afterAll(() => rmSync(directory, { recursive: true }));

  /** A program that behaves as told, run by the shell only because it is a double. */
  function double(name: string, text: string): NftCommand {
    const path = join(directory, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return new NftCommand([path]);
  }

  async function bothWays(command: NftCommand, script: string): Promise<readonly unknown[]> {
    const outcomes: unknown[] = [];
    for (const run of [() => command.applyNow(script), () => command.apply(script)]) {
      try {
        await run();
        outcomes.push("done");
      } catch (error) {
        outcomes.push(error);
      }
    }
    return outcomes;
  }

  it("gives it the script on its standard input, and no environment of ours", async () => {
    const seen = join(directory, "seen");
    const command = double("keeps", `{ echo "$@"; /usr/bin/env; cat; } > ${seen}`);
    expect(await bothWays(command, "add table inet x\n")).toEqual(["done", "done"]);
    const text = readFileSync(seen, "utf8");
    expect(text).toMatch(/^-f -\n/);
    expect(text).toContain("LC_ALL=C");
    expect(text).not.toContain("PATH=/");
    expect(text.endsWith("add table inet x\n")).toBe(true);
  });

  it("passes on its own words, on one line and not without end", async () => {
    const command = double(
      "refuses",
      `echo "/dev/stdin:1:1-3: Error: syntax $(printf 'é%.0s' $(seq 2000))" >&2; echo "the script" >&2; exit 1`,
    );
    for (const failure of await bothWays(command, "x".repeat(300_000))) {
      expect(failure).toMatchObject({ code: ErrorCode.KERNEL_REFUSED });
      const { message } = failure as Error;
      expect(message).toContain("nft refused the rules: /dev/stdin:1:1-3: Error: syntax");
      expect(message.length).toBeLessThan(600);
    }
  });

  it("fails plainly when it is not there, is killed, or says too much", async () => {
    const cases: [NftCommand, RegExp][] = [
      [new NftCommand([join(directory, "absent")]), /nft did not run: .*ENOENT/],
      [double("dies", "kill -9 $$"), /nft did not run: it was stopped/],
    ];
    for (const [command, message] of cases) {
      for (const failure of await bothWays(command, "")) {
        expect(failure).toMatchObject({ code: ErrorCode.KERNEL_REFUSED, message: expect.stringMatching(message) });
      }
    }
    const endless = double("talks", "yes");
    expect(() => endless.applyNow("")).toThrow(/nft did not run/);
  });
});
