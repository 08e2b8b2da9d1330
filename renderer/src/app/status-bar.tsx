import { JobState } from "@wardline/api/wardline/console/v1/jobs";
import { RolloutHostState, RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import { BackendKind, Role } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { Button as AriaButton, Dialog, DialogTrigger, Popover } from "react-aria-components";
import { isOpen, isRunning } from "../data/activity.ts";
import { useActivity, useFlowStream, useHostsStream, useMonotonicNow } from "../data/context.tsx";
import { flowsBehindMs } from "../data/flow-buffer.ts";
import { BACKEND_NAMES, isConnected, ROLE_NAMES } from "../data/hosts-snapshot.ts";
import { changeSettings, useSetting } from "../data/settings.ts";
import { useWindow } from "../data/window-store.ts";
import { JobCard } from "../features/activity/index.ts";
import { waitsWithCluster } from "../features/cluster/index.ts";
import { useShip } from "../features/ship/model/ship-store.ts";
import {
  formatAge,
  formatCount,
  formatCountdown,
  formatQuantity,
  formatRate,
  shownZoneName,
  VerdictMark,
  visibleText,
} from "../ui/index.ts";

interface ItemProps {
  /** What the item is, in front of its text for screen readers and as the title of its details. */
  readonly label: string;
  readonly tone?: "deny" | "observed" | "allow";
  readonly onPress?: () => void;
  readonly children: React.ReactNode;
  /** Details that open above the bar. */
  readonly details?: React.ReactNode;
}

function Item({ label, tone, onPress, children, details }: ItemProps) {
  const button = (
    <AriaButton className="status-item" data-tone={tone} {...(onPress ? { onPress } : {})}>
      <span className="visually-hidden">{label}: </span>
      {children}
    </AriaButton>
  );
  if (!details) return button;
  return (
    <DialogTrigger>
      {button}
      <Popover className="popover" placement="top" offset={4}>
        <Dialog className="status-details" aria-label={label}>
          {details}
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}

function HostsItem() {
  const { value, status } = useHostsStream();
  const goTo = useWindow((state) => state.goTo);
  const connected = value?.hosts.filter(isConnected).length ?? 0;
  const total = value?.hosts.length ?? 0;
  const text = value ? `hosts ${connected}/${total}` : "hosts –";
  return (
    <Item
      label="Open Hosts"
      {...(connected < total || status === "stale" ? { tone: "deny" as const } : {})}
      onPress={() => goTo("hosts")}
    >
      {text}
    </Item>
  );
}

function StreamItems() {
  const { value, status } = useFlowStream();
  const isFrozen = useWindow((state) => state.isFrozen);
  const goTo = useWindow((state) => state.goTo);
  const losses = value?.losses ?? { ringFull: 0n, rateLimited: 0n, readerLag: 0n, notFollowed: 0n };
  const notShown = losses.ringFull + losses.rateLimited + losses.readerLag;
  const rate = status === "live" && value ? `stream ${formatRate(value.ratePerSecond)}` : `stream ${status}`;
  return (
    <>
      <Item label="Open Flows" {...(status === "stale" ? { tone: "deny" as const } : {})} onPress={() => goTo("flows")}>
        {rate}
        {isFrozen ? " · frozen" : ""}
      </Item>
      <Item
        label="Flow events not shown"
        {...(notShown > 0n ? { tone: "observed" as const } : {})}
        details={
          <>
            <h3>Flow events that were not shown</h3>
            <p className="soft">Counted since this window began to read, by cause.</p>
            <dl className="facts">
              <dt>Rate limit on the host</dt>
              <dd>{formatCount(losses.rateLimited)}</dd>
              <dt>Ring buffer of the kernel was full</dt>
              <dd>{formatCount(losses.ringFull)}</dd>
              <dt>The console could not store them in time</dt>
              <dd>{formatCount(losses.readerLag)}</dd>
              <dt>Shown, but their end will be missing</dt>
              <dd>{formatCount(losses.notFollowed)}</dd>
              <dt>Passed too fast to list, and stored</dt>
              <dd>{formatCount(value?.passed ?? 0)}</dd>
            </dl>
            <p className="soft">Counters and verdicts are not affected: only the event was left out.</p>
          </>
        }
      >
        {value ? `${formatCount(notShown)} not shown` : "losses –"}
      </Item>
    </>
  );
}

function JobItem() {
  const { rollouts, clusters } = useActivity();
  // What waits with a set of a cluster is decided there, and the rail says so.
  const pending = (useHostsStream().value?.pending ?? []).filter((entry) => !waitsWithCluster(entry, clusters ?? []));
  const job = useShip((state) => state.job);
  const show = useWindow((state) => state.show);
  const nowMs = useMonotonicNow(500);
  const rollout = rollouts.find(isOpen);
  if (rollout) {
    const confirmed = rollout.hosts.filter(({ state }) => state === RolloutHostState.CONFIRMED).length;
    const waits = rollout.state === RolloutState.WAITING ? " · waits for you" : "";
    return (
      <Item label="Open the roll-out" tone="observed" onPress={() => show("ship")}>
        {`roll-out ${confirmed}/${rollout.hosts.length}${waits}`}
      </Item>
    );
  }
  const [first] = [...pending].sort((a, b) => a.deadlineMonotonicMs - b.deadlineMonotonicMs);
  if (first) {
    const remaining = formatCountdown(first.deadlineMonotonicMs - nowMs);
    const others = pending.length > 1 ? ` and ${pending.length - 1} more` : "";
    return (
      <Item label="Open the countdown" tone="observed" onPress={() => show("ship")}>
        <VerdictMark
          verdict="observed"
          words={`generation ${first.pending.generation?.number ?? "?"} waits · ${remaining}${others}`}
        />
      </Item>
    );
  }
  if (!job) return null;
  if (job.isRunning) {
    return (
      <Item label="Open the apply" tone="observed" onPress={() => show("ship")}>
        applying…
      </Item>
    );
  }
  return job.failure ? (
    <Item label="Open the apply" tone="deny" onPress={() => show("ship")}>
      <VerdictMark verdict="deny" words={`apply failed · ${job.failure.code}`} />
    </Item>
  ) : null;
}

/** In which zone times are written; a press writes them in the other. */
function ZoneItem() {
  const zone = useSetting("time.zone");
  return (
    <Item
      label={zone === "utc" ? "Times are in UTC; write them in local time" : "Times are local; write them in UTC"}
      onPress={() => void changeSettings({ "time.zone": zone === "utc" ? "local" : "utc" })}
    >
      {zone === "utc" ? "UTC" : `${shownZoneName(Date.now())} (local)`}
    </Item>
  );
}

function DataAgeItem() {
  const { receivedAtMs, status } = useHostsStream();
  const flows = useFlowStream();
  const nowMs = useMonotonicNow(1_000);
  if (receivedAtMs === null) return <Item label="Age of the data">no data yet</Item>;
  const behindMs = flowsBehindMs(flows, nowMs);
  const text = `data ${formatAge(Math.max(nowMs - receivedAtMs, behindMs))} old`;
  return (
    <Item
      label="Age of the data"
      {...(status === "stale" ? { tone: "deny" as const } : behindMs > 0 ? { tone: "observed" as const } : {})}
      details={
        <>
          <p>
            {status === "live"
              ? "The backend sends the state of every host at least every 2 seconds. The age of a single host's own data is in Hosts."
              : "The stream of host states is interrupted. Everything in this window is at least this old."}
          </p>
          {behindMs > 0 ? (
            <p>{`The live flows are ${formatAge(behindMs)} behind, by the clocks of the hosts that recorded them.`}</p>
          ) : null}
        </>
      }
    >
      {text}
    </Item>
  );
}

function JobsItem() {
  const { jobs } = useActivity();
  const running = jobs.filter(isRunning);
  const [newest] = jobs;
  if (!newest) return null;
  const hasFailed = running.length === 0 && newest.state === JobState.FAILED;
  return (
    <Item
      label="Jobs"
      {...(hasFailed ? { tone: "deny" as const } : running.length > 0 ? { tone: "observed" as const } : {})}
      details={
        <div className="jobs-panel scroll">
          {jobs.slice(0, 10).map((job) => (
            <JobCard key={job.id} job={job} />
          ))}
        </div>
      }
    >
      {running.length > 0
        ? `${formatQuantity(running.length, "job")} running`
        : hasFailed
          ? "a job failed"
          : formatQuantity(jobs.length, "job")}
    </Item>
  );
}

/** Never says more than is known: losses, ages, roles and running jobs, each with its details. */
export function StatusBar() {
  const hosts = useHostsStream().value?.hosts ?? [];
  const scopeHostId = useWindow((state) => state.scopeHostId);
  const openHost = useWindow((state) => state.openHost);
  const host =
    hosts.find((candidate) => candidate.id === scopeHostId) ?? hosts.find((candidate) => candidate.local) ?? hosts[0];
  const backend = host?.status?.info?.backend ?? BackendKind.UNSPECIFIED;
  const enforced = host?.status?.enforced;
  // Generation 0 is the state before any apply; its mode means nothing.
  const mode = enforced && enforced.number > 0n ? enforced.mode : null;
  const modeText =
    mode === EnforcementMode.ENFORCE
      ? "enforcing"
      : mode === EnforcementMode.OBSERVE
        ? "observing"
        : "no policy applied";
  const backendText = !host?.status
    ? "backend unknown"
    : backend === BackendKind.OBSERVE
      ? "observe only"
      : `${BACKEND_NAMES[backend]} · ${modeText}`;
  return (
    <footer className="status-bar">
      <HostsItem />
      <StreamItems />
      <JobItem />
      <JobsItem />
      <span className="status-space" />
      <ZoneItem />
      <DataAgeItem />
      <Item
        label="Backend"
        {...(backend === BackendKind.OBSERVE ? { tone: "observed" as const } : {})}
        onPress={() => host && openHost(host.id)}
      >
        {backendText}
      </Item>
      <Item
        label="Role on this host"
        details={
          <p className="wrap-anywhere">
            {host?.actor
              ? `You are ${visibleText(host.actor)} on ${visibleText(host.name)}. `
              : "The host has not said who you are. "}
            A viewer reads; an operator applies, keeps and rolls back; an admin also changes roles and the agent.
          </p>
        }
      >
        {ROLE_NAMES[host?.role ?? Role.UNSPECIFIED]}
      </Item>
    </footer>
  );
}
