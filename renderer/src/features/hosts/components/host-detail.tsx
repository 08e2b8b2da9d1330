import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { Check, Minus } from "lucide-react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { failureFromDetail } from "../../../data/failure.ts";
import {
  BACKEND_NAMES,
  ENVIRONMENT_TONES,
  isConnected,
  optionalMs,
  REACHABILITY_NAMES,
  ROLE_NAMES,
} from "../../../data/hosts-snapshot.ts";
import {
  EnvironmentTag,
  FailureNotice,
  formatAge,
  formatBytes,
  formatQuantity,
  Moment,
  Notice,
  shortDigest,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { hostState } from "../../overview/index.ts";
import { ConnectionSection } from "./connection-section.tsx";
import { CounterTable } from "./counter-table.tsx";
import { LabelsEditor } from "./labels-editor.tsx";

/** Everything the console knows of a host, and how old that is. */
export function HostDetail({ host }: { host: Host }) {
  const { connection } = useConsole();
  const state = hostState(host);
  const info = host.status?.info;
  return (
    <article className="host-detail scroll" aria-label={visibleText(host.name)}>
      <header className="host-header">
        <h1 className="wrap-anywhere">{visibleText(host.name)}</h1>
        <p className="host-header-line">
          {host.environment ? (
            <EnvironmentTag name={host.environment.name} color={ENVIRONMENT_TONES[host.environment.color]} />
          ) : null}
          <VerdictMark verdict={state.shape} words={state.words} />
          <span className="soft">
            {host.local ? "this machine" : ""} {info ? `· ${visibleText(info.operatingSystem)}` : ""}
          </span>
        </p>
      </header>
      {!isConnected(host) && host.problem ? (
        <FailureNotice
          failure={failureFromDetail(host.problem)}
          title={`Not connected: ${REACHABILITY_NAMES[host.reachability]}`}
          onRetry={() => void connection.fleet.connectHost({ hostId: host.id }).catch(() => undefined)}
        />
      ) : null}
      {!isConnected(host) && host.status ? (
        <Notice tone="unknown">Everything below is the last known state.</Notice>
      ) : null}
      {(host.status?.problems ?? []).map((problem) => (
        <Notice key={problem} tone="deny">
          {visibleText(problem)}
        </Notice>
      ))}
      {host.local ? null : <ConnectionSection host={host} />}
      {host.status ? (
        <div className="host-sections">
          <Enforcement host={host} />
          <Agent host={host} />
          <Backend host={host} />
          <Capabilities host={host} />
        </div>
      ) : null}
      <LabelsEditor host={host} />
      {host.status ? <CounterTable counters={host.status.counters} /> : null}
    </article>
  );
}

function Enforcement({ host }: { host: Host }) {
  const nowMs = useConsoleNow();
  const enforced = host.status?.enforced;
  const appliedMs = optionalMs(enforced?.appliedAt);
  const observedMs = optionalMs(host.status?.observedAt);
  return (
    <section className="host-section" aria-labelledby="host-enforcement">
      <h2 id="host-enforcement">Enforcement</h2>
      <dl className="facts">
        <dt>Generation</dt>
        <dd>{enforced && enforced.number > 0n ? String(enforced.number) : "none: nothing was ever applied"}</dd>
        <dt>Mode</dt>
        <dd>
          {/* Before the first apply there is nothing that a mode could be about. */}
          {!enforced || enforced.number === 0n ? (
            "–"
          ) : enforced.mode === EnforcementMode.ENFORCE ? (
            "enforce"
          ) : enforced.mode === EnforcementMode.OBSERVE ? (
            <VerdictMark verdict="observed" words="observe: denies are let through" />
          ) : (
            "–"
          )}
        </dd>
        <dt>Attached</dt>
        <dd>
          {host.status?.attached ? (
            "yes, checked in the kernel"
          ) : (
            <VerdictMark verdict="deny" words="no: nothing is enforced" />
          )}
        </dd>
        <dt>Content</dt>
        <dd>
          {enforced
            ? `${formatQuantity(enforced.policyCount, "policy", "policies")}, ${formatQuantity(enforced.ruleCount, "rule")}`
            : "–"}
        </dd>
        <dt>Applied</dt>
        <dd className="wrap-anywhere">
          {appliedMs === null ? (
            "–"
          ) : (
            <>
              <Moment timeMs={appliedMs} nowMs={nowMs} /> by {visibleText(enforced?.appliedBy ?? "")}
            </>
          )}
        </dd>
        <dt>Tables</dt>
        <dd>
          {enforced?.programDigest ? (
            <code title={enforced.programDigest}>{shortDigest(enforced.programDigest)}</code>
          ) : (
            "–"
          )}
        </dd>
        <dt>Age of this data</dt>
        <dd>{observedMs === null ? "unknown" : formatAge(nowMs - observedMs)}</dd>
      </dl>
    </section>
  );
}

function Backend({ host }: { host: Host }) {
  const info = host.status?.info;
  if (!info) return null;
  return (
    <section className="host-section" aria-labelledby="host-backend">
      <h2 id="host-backend">Backend: {BACKEND_NAMES[info.backend]}</h2>
      <p className="wrap-anywhere">{visibleText(info.backendReason)}</p>
      {info.backendLimits.length > 0 ? (
        <>
          <h3>What it cannot do</h3>
          <ul className="host-limits">
            {info.backendLimits.map((limit) => (
              <li key={limit} className="wrap-anywhere">
                {visibleText(limit)}
              </li>
            ))}
          </ul>
        </>
      ) : null}
    </section>
  );
}

function Capabilities({ host }: { host: Host }) {
  const capabilities = host.status?.info?.capabilities ?? [];
  return (
    <section className="host-section" aria-labelledby="host-capabilities">
      <h2 id="host-capabilities">Capabilities</h2>
      <ul className="capabilities">
        {capabilities.map((capability) => (
          <li key={capability.name} data-available={capability.available ? "" : undefined}>
            {capability.available ? (
              <Check size={14} aria-label="available" />
            ) : (
              <Minus size={14} aria-label="missing" />
            )}
            <span className="wrap-anywhere">
              <code>{visibleText(capability.name)}</code> <span className="soft">{visibleText(capability.detail)}</span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Agent({ host }: { host: Host }) {
  const nowMs = useConsoleNow();
  const info = host.status?.info;
  const startedMs = optionalMs(info?.startedAt);
  return (
    <section className="host-section" aria-labelledby="host-agent">
      <h2 id="host-agent">Agent and session</h2>
      <dl className="facts">
        <dt>You are</dt>
        <dd className="wrap-anywhere">
          {visibleText(host.actor) || "unknown"} · {ROLE_NAMES[host.role]}
        </dd>
        <dt>Agent</dt>
        <dd>
          {info ? `${visibleText(info.agentVersion)} (${visibleText(info.agentBuild)}), pid ${info.processId}` : "–"}
        </dd>
        <dt>Running since</dt>
        <dd>
          {startedMs === null ? (
            "–"
          ) : (
            <>
              <Moment timeMs={startedMs} form="full" /> · {formatAge(nowMs - startedMs)}
            </>
          )}
        </dd>
        <dt>Memory</dt>
        <dd>{formatBytes(host.status?.memoryBytes ?? 0n)}</dd>
        <dt>Kernel</dt>
        <dd className="wrap-anywhere">
          {info ? `${visibleText(info.kernelRelease)} ${visibleText(info.architecture)}` : "–"}
        </dd>
        <dt>Addresses</dt>
        <dd>
          {info && info.addresses.length > 0 ? (
            <ul>
              {info.addresses.map((address) => (
                <li key={address} className="wrap-anywhere">
                  <code>{visibleText(address)}</code>
                </li>
              ))}
            </ul>
          ) : (
            "–"
          )}
        </dd>
        <dt>Attached at</dt>
        <dd className="wrap-anywhere">{info?.cgroupRoot ? <code>{visibleText(info.cgroupRoot)}</code> : "nowhere"}</dd>
      </dl>
    </section>
  );
}
