import type { LineMeaning, PolicyMeaning, RuleMeaning, SideMeaning } from "@wardline/domain/policy/language";
import { useWindow } from "../../../data/window-store.ts";
import { formatClock, formatQuantity, visibleText } from "../../../ui/index.ts";

const TIERS = { safety: "safety", admin: "admin", application: "app", baseline: "baseline" } as const;
const ACTIONS = { allow: "lets through", deny: "stops", pass: "hands on to the next tier" } as const;

/** What the line under the cursor does. Its place is kept, so that nothing below jumps while the cursor moves. */
export function CursorSection({
  meaning,
  isKnown,
}: {
  readonly meaning: LineMeaning | null;
  readonly isKnown: boolean;
}) {
  return (
    <section className="cursor-section" aria-labelledby="effect-cursor">
      <h2 id="effect-cursor">At the cursor</h2>
      {!isKnown ? (
        <p className="faint">Looking…</p>
      ) : meaning === null ? (
        <p className="soft">Put the cursor on a rule, a policy or a host without errors to see what it does.</p>
      ) : meaning.kind === "rule" ? (
        <Rule rule={meaning.rule} />
      ) : meaning.kind === "policy" ? (
        <Policy policy={meaning.policy} />
      ) : (
        <p className="wrap-anywhere">
          <code>{visibleText(meaning.key)}</code> has{" "}
          {visibleText(meaning.addresses.join(", ") || "no address of its own")}.{" "}
          {meaning.policies.length === 0
            ? "No policy selects it."
            : `Selected by ${visibleText(meaning.policies.join(", "))}.`}
        </p>
      )}
    </section>
  );
}

function Policy({ policy }: { readonly policy: PolicyMeaning }) {
  const { policyKey, tier, mode, subject, isolates, ruleCount } = policy;
  return (
    <>
      <Head policyKey={policyKey} tier={TIERS[tier]} mode={mode} />
      <p>
        For <Side side={subject} />: {formatQuantity(ruleCount, "rule")}.
        {isolates.length > 0 ? ` In ${isolates.join(" and ")} only what some policy allows passes.` : ""}
      </p>
    </>
  );
}

function Rule({ rule }: { readonly rule: RuleMeaning }) {
  const openFile = useWindow((state) => state.openFile);
  const { policyKey, tier, mode, direction, action, subject, peers, ports, use, overshadowing } = rule;
  const who = peers === null ? ["anybody"] : null;
  return (
    <>
      <Head policyKey={policyKey} tier={TIERS[tier]} mode={mode} rule={rule.rule} />
      <p>
        It {ACTIONS[action]} {direction === "ingress" ? "connections to" : "connections from"} <Side side={subject} />{" "}
        {direction === "ingress" ? "from" : "to"}{" "}
        {who ??
          (peers?.length
            ? peers.map((peer, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: two peers may say the same
                <span key={index}>
                  {index > 0 ? " or " : ""}
                  <Side side={peer} />
                </span>
              ))
            : "nobody")}{" "}
        on {ports === null ? "every port" : visibleText(ports.join(", ")) || "no port"}.
      </p>
      <p className="soft">{useText(use)}</p>
      {overshadowing.map(({ code, message, source }) => (
        <p key={`${code}:${source.line}:${source.column}`} className="cursor-warning wrap-anywhere">
          {visibleText(message)}{" "}
          <button type="button" className="link" onClick={() => openFile(source.file, source.line, source.column)}>
            {code}
          </button>
        </p>
      ))}
    </>
  );
}

function Head({ policyKey, tier, mode, rule }: { policyKey: string; tier: string; mode: string; rule?: string }) {
  return (
    <p className="wrap-anywhere">
      <strong>{visibleText(rule === undefined ? policyKey : `${policyKey}, ${rule}`)}</strong>{" "}
      <span className="faint">
        {tier} tier{mode === "observe" ? ", only observed" : ""}
      </span>
    </p>
  );
}

function Side({ side }: { readonly side: SideMeaning }) {
  const { members } = side;
  const who = members && [
    ...(members.hosts > 0 ? [formatQuantity(members.hosts, "host")] : []),
    ...(members.workloads > 0 ? [formatQuantity(members.workloads, "workload")] : []),
  ];
  return (
    <span className="wrap-anywhere" title={visibleText(members?.names.join(", ") ?? "")}>
      <code>{visibleText(side.text)}</code>
      {who ? <span className="soft"> ({who.length === 0 ? "nobody at present" : who.join(", ")})</span> : null}
    </span>
  );
}

function useText(use: RuleMeaning["use"]): string {
  if (use === null || (use.flows === 0 && use.hostCount === 0)) {
    return "Nothing recorded was decided by this rule as it stands.";
  }
  const flows =
    use.flows > 0 ? `It decided ${use.flows.toLocaleString("en")} recorded flows` : "It decided no recorded flow";
  const denied = use.denied > 0 ? `, ${use.denied.toLocaleString("en")} of them denied` : "";
  const hits =
    use.hostCount > 0
      ? ` ${formatQuantity(use.hostCount, "host")} counted ${use.packets.toLocaleString("en")} packets${use.countedAtUnixMs === null ? "" : `, at ${formatClock(use.countedAtUnixMs)}`}.`
      : " No host has it loaded.";
  return `${flows}${denied}.${hits}`;
}
