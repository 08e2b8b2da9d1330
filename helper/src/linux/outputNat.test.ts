import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { hasTranslatingRule, mayTranslateOutgoing, parseOutputNatChains } from "./outputNat.ts";

const CHAINS = `table ip filter {
	chain INPUT {
		type filter hook input priority filter; policy accept;
	}
}
table ip nat {
	chain OUTPUT {
		type nat hook output priority -100; policy accept;
	}
	chain DOCKER {
	}
}
`;
const DOCKER = `table ip nat {
	chain OUTPUT {
		type nat hook output priority -100; policy accept;
		ip daddr != 127.0.0.0/8 fib daddr type local counter packets 0 bytes 0 jump DOCKER
	}
}
`;

function nftWorksInNamespaces(): boolean {
  try {
    execFileSync("unshare", ["--net", "nft", "list", "ruleset"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("translation of outgoing connections", () => {
  it("finds the chains at the output hook", () => {
    expect(parseOutputNatChains(CHAINS)).toEqual([{ family: "ip", table: "nat", chain: "OUTPUT" }]);
  });

  it("does not count rules for the host's own addresses", () => {
    expect(hasTranslatingRule(DOCKER)).toBe(false);
    expect(hasTranslatingRule(DOCKER.replace("fib daddr type local ", ""))).toBe(true);
    expect(hasTranslatingRule(DOCKER.replace("fib daddr type local", 'xt match "addrtype"'))).toBe(true);
  });

  it("is assumed when nft cannot be asked", async () => {
    expect(await mayTranslateOutgoing(() => Promise.reject(new Error("no nft")))).toBe(true);
    expect(await mayTranslateOutgoing(async (args) => (args[1] === "chains" ? CHAINS : DOCKER))).toBe(false);
  });

  it.skipIf(!nftWorksInNamespaces())("is read from the real nft (needs root and nft)", async () => {
    const ask = (setUp: string) => (args: readonly string[]) =>
      Promise.resolve(
        execFileSync("unshare", ["--net", "sh", "-c", `${setUp} exec nft "$@"`, "sh", ...args]).toString(),
      );
    const chain = "nft add table ip t; nft add chain ip t o '{ type nat hook output priority -100; }';";
    expect(await mayTranslateOutgoing(ask(""))).toBe(false);
    expect(await mayTranslateOutgoing(ask(chain))).toBe(false);
    expect(await mayTranslateOutgoing(ask(`${chain} nft add rule ip t o ip daddr 192.0.2.1 dnat to 192.0.2.9;`))).toBe(
      true,
    );
    expect(
      await mayTranslateOutgoing(
        ask(`${chain} nft add rule ip t o fib daddr type local tcp dport 80 redirect to :81;`),
      ),
    ).toBe(false);
  });
});
