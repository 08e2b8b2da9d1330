import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Notification,
  type NotificationList,
  NotificationSource,
  NotificationUrgency,
} from "@wardline/api/wardline/console/v1/notifications";
import { BellOff, Check, Clock, X } from "lucide-react";
import { useEffect, useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  Button,
  EmptyState,
  FailureNotice,
  formatCountdown,
  formatQuantity,
  IconButton,
  Moment,
  Skeleton,
  Tag,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { openPlace } from "../model/desktop-notes.ts";

const SOURCES: Readonly<Record<NotificationSource, string>> = {
  [NotificationSource.UNSPECIFIED]: "Other",
  [NotificationSource.PENDING]: "Waiting to be kept",
  [NotificationSource.QUESTION]: "Questions of hosts",
  [NotificationSource.AUDIT]: "Audit",
  [NotificationSource.ROLLOUT]: "Roll-outs",
  [NotificationSource.ALERT]: "Alerts",
  [NotificationSource.ANOMALY]: "Anomalies",
  [NotificationSource.HOST]: "Hosts",
  [NotificationSource.MESH]: "Mesh",
  [NotificationSource.SETTINGS]: "Settings",
};
const HOUR_MS = 3_600_000;
/** Of one group, before the rest is asked for. */
const SHOWN = 5;

/** What needs a person, by where it comes from; then what is over. */
export function NotificationCentre({ list, onGone }: { list: NotificationList | null; onGone: () => void }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const attempt = (work: Promise<unknown>) =>
    work.then(
      () => setFailure(null),
      (error: unknown) => setFailure(shownFailure(error)),
    );
  // Opened is read; the badge counts what is open, not what is new.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the list is opened.
  useEffect(() => {
    if ((list?.unread ?? 0) > 0) connection.notifications.markNotificationsRead({}).catch(() => undefined);
  }, []);
  const all = list?.notifications ?? [];
  const sleeps = (each: Notification) => each.snoozedUntil !== undefined && timestampMs(each.snoozedUntil) > nowMs;
  const open = all.filter((each) => each.open && !sleeps(each));
  const sources = [...new Set(open.map(({ source }) => source))];
  const asleep = all.filter((each) => each.open && sleeps(each));
  const over = all.filter((each) => !each.open);
  const props = {
    nowMs,
    onGo: (place: string) => {
      openPlace(place);
      onGone();
    },
    onDismiss: (keys: string[]) => attempt(connection.notifications.dismissNotifications({ keys })),
    onSnooze: (keys: string[]) =>
      attempt(connection.notifications.snoozeNotifications({ keys, until: timestampFromMs(nowMs + HOUR_MS) })),
  };
  return (
    <>
      <header className="notifications-head">
        <h2>Notifications</h2>
        <Button size="small" tone="quiet" onPress={() => props.onGo("settings")}>
          Settings
        </Button>
        <Button size="small" isDisabled={all.length === 0} onPress={() => void props.onDismiss([])}>
          Dismiss all
        </Button>
      </header>
      {failure ? <FailureNotice failure={failure} isCompact /> : null}
      <div className="notifications-list scroll">
        {list === null ? <Skeleton rows={4} label="Asking what needs you" /> : null}
        {list !== null && open.length === 0 ? (
          <EmptyState picture={<Check size={28} />} title="Nothing needs you">
            What waits for a person, and what goes wrong, is listed here until it is over.
          </EmptyState>
        ) : null}
        {sources.map((source) => (
          <Group
            key={source}
            title={SOURCES[source]}
            entries={open.filter((each) => each.source === source)}
            {...props}
          />
        ))}
        {asleep.length > 0 ? <Group title="Later" entries={asleep} {...props} /> : null}
        {over.length > 0 ? <Group title="Over" entries={over} {...props} /> : null}
      </div>
    </>
  );
}

interface GroupProps {
  readonly title: string;
  readonly entries: readonly Notification[];
  readonly nowMs: number;
  readonly onGo: (place: string) => void;
  readonly onDismiss: (keys: string[]) => void;
  readonly onSnooze: (keys: string[]) => void;
}

function Group({ title, entries, ...rest }: GroupProps) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? entries : entries.slice(0, SHOWN);
  return (
    <section className="notifications-group" aria-label={title}>
      <h3>
        {title} <span className="faint">{entries.length}</span>
      </h3>
      <ul>
        {shown.map((entry) => (
          <Item key={entry.key} entry={entry} {...rest} />
        ))}
      </ul>
      {entries.length > shown.length ? (
        <Button size="small" tone="quiet" onPress={() => setWhole(true)}>
          Show {formatQuantity(entries.length - shown.length, "more", "more")}
        </Button>
      ) : null}
    </section>
  );
}

function Item({
  entry,
  nowMs,
  onGo,
  onDismiss,
  onSnooze,
}: Omit<GroupProps, "title" | "entries"> & { entry: Notification }) {
  const isUrgent = entry.urgency === NotificationUrgency.URGENT;
  const leftMs = entry.deadline ? timestampMs(entry.deadline) - nowMs : null;
  const title = visibleText(entry.title);
  return (
    <li className="notification" data-open={entry.open ? "" : undefined}>
      <button type="button" className="notification-go" onClick={() => onGo(entry.place)}>
        <VerdictMark verdict={entry.open ? (isUrgent ? "deny" : "observed") : "unknown"} words={title} />
        {entry.body ? <span className="soft notification-body">{visibleText(entry.body)}</span> : null}
        <span className="faint">
          {entry.lastAt ? <Moment timeMs={timestampMs(entry.lastAt)} nowMs={nowMs} className="faint" /> : null}
          {entry.hostName ? ` · ${visibleText(entry.hostName)}` : ""}
          {entry.count > 1 ? ` · ${entry.count} times` : ""}
        </span>
        {leftMs !== null && leftMs > 0 ? <Tag tone="observed">{formatCountdown(leftMs)} left</Tag> : null}
      </button>
      {entry.open ? (
        <IconButton label={`Leave out for an hour: ${title}`} onPress={() => onSnooze([entry.key])}>
          {entry.snoozedUntil ? <BellOff size={14} aria-hidden="true" /> : <Clock size={14} aria-hidden="true" />}
        </IconButton>
      ) : null}
      <IconButton label={`Dismiss: ${title}`} onPress={() => onDismiss([entry.key])}>
        <X size={14} aria-hidden="true" />
      </IconButton>
    </li>
  );
}
