import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { useConsoleNow } from "../../../data/context.tsx";
import {
  BACKEND_NAMES,
  ENVIRONMENT_TONES,
  isConnected,
  optionalMs,
  REACHABILITY_NAMES,
} from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  EnvironmentTag,
  formatAge,
  formatQuantity,
  VerdictMark,
  type VerdictShape,
  visibleText,
} from "../../../ui/index.ts";

/** State of a host as one mark and words: enforcing, observing, nothing, or not known. */
export function hostState(host: Host): { readonly shape: VerdictShape; readonly words: string } {
  if (!isConnected(host)) return { shape: "unknown", words: REACHABILITY_NAMES[host.reachability] };
  const enforced = host.status?.enforced;
  if (!host.status?.attached) return { shape: "observed", words: "not enforcing: nothing is attached" };
  if (!enforced || enforced.number === 0n) return { shape: "unknown", words: "no policy applied: everything passes" };
  return enforced.mode === EnforcementMode.ENFORCE
    ? { shape: "allow", words: `enforces generation ${enforced.number}` }
    : { shape: "observed", words: `observes generation ${enforced.number}` };
}

export function HostCard({ host }: { host: Host }) {
  const nowMs = useConsoleNow();
  const openHost = useWindow((state) => state.openHost);
  const state = hostState(host);
  const heardMs = optionalMs(host.lastHeardAt);
  const enforced = host.status?.enforced;
  return (
    <button type="button" className="host-card" onClick={() => openHost(host.id)}>
      <span className="host-card-line">
        <strong className="truncate">{visibleText(host.name)}</strong>
        {host.environment ? (
          <EnvironmentTag name={host.environment.name} color={ENVIRONMENT_TONES[host.environment.color]} />
        ) : null}
        {host.local ? <span className="faint">this machine</span> : null}
        <span className="host-card-age faint">
          {heardMs === null ? "never heard" : `heard ${formatAge(nowMs - heardMs)} ago`}
        </span>
      </span>
      <span className="host-card-line">
        <VerdictMark verdict={state.shape} words={state.words} />
      </span>
      <span className="host-card-line soft">
        {host.status?.info ? BACKEND_NAMES[host.status.info.backend] : "backend unknown"}
        {enforced
          ? ` · ${formatQuantity(enforced.policyCount, "policy", "policies")}, ${formatQuantity(enforced.ruleCount, "rule")}`
          : ""}
      </span>
    </button>
  );
}
