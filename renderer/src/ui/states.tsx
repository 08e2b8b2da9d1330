import { CircleX, RotateCw, Unplug } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import type { ShownFailure } from "../data/failure.ts";
import { Button } from "./controls.tsx";
import { visibleText } from "./text.ts";
import "./states.css";

const SPINNER_AFTER_MS = 400;

/** Keeps the place of what is loading; a spinner joins it when it takes long. */
export function Skeleton({ rows = 6, label }: { rows?: number; label: string }) {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), SPINNER_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="skeleton" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the bars are alike and never move.
        <div key={index} className="skeleton-bar" style={{ width: `${88 - ((index * 23) % 50)}%` }} />
      ))}
      {isLate ? (
        <p className="skeleton-late faint">
          <Spinner /> {label}
        </p>
      ) : null}
    </div>
  );
}

export function Spinner() {
  return (
    <svg className="spinner" width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
      <circle cx="7" cy="7" r="5.5" fill="none" stroke="currentColor" strokeOpacity="0.25" strokeWidth="2" />
      <path d="M7 1.5A5.5 5.5 0 0 1 12.5 7" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}

interface EmptyStateProps {
  readonly picture: ReactNode;
  readonly title: string;
  readonly children?: ReactNode;
  readonly action?: ReactNode;
}

/** Teaches with one sentence, one picture and one button. */
export function EmptyState({ picture, title, children, action }: EmptyStateProps) {
  return (
    <div className="empty-state">
      <div className="empty-picture" aria-hidden="true">
        {picture}
      </div>
      <h2>{title}</h2>
      {children ? <div className="soft empty-text">{children}</div> : null}
      {action}
    </div>
  );
}

interface FailureNoticeProps {
  readonly failure: ShownFailure;
  readonly title?: string;
  readonly onRetry?: () => void;
  readonly retryLabel?: string;
  readonly isCompact?: boolean;
}

/** What happened and why, what to do next, and the code to search for. */
export function FailureNotice({ failure, title, onRetry, retryLabel = "Try again", isCompact }: FailureNoticeProps) {
  return (
    <div className="failure" role="alert" data-compact={isCompact ? "" : undefined}>
      {failure.code === "BACKEND_UNREACHABLE" ? (
        <Unplug size={16} aria-hidden="true" />
      ) : (
        <CircleX size={16} aria-hidden="true" />
      )}
      <div className="failure-text wrap-anywhere">
        {title ? <strong>{title}</strong> : null}
        <p>{visibleText(failure.message)}</p>
        {failure.hint ? <p className="soft">{visibleText(failure.hint)}</p> : null}
        <code className="faint">{failure.code}</code>
      </div>
      {onRetry ? (
        <Button size="small" icon={<RotateCw size={12} aria-hidden="true" />} onPress={onRetry}>
          {retryLabel}
        </Button>
      ) : null}
    </div>
  );
}

export type NoticeTone = "info" | "allow" | "deny" | "observed" | "unknown";

interface NoticeProps {
  readonly tone: NoticeTone;
  readonly icon?: ReactNode;
  readonly children: ReactNode;
  readonly action?: ReactNode;
}

export function Notice({ tone, icon, children, action }: NoticeProps) {
  return (
    <div className="notice" data-tone={tone}>
      {icon}
      <div className="notice-text wrap-anywhere">{children}</div>
      {action}
    </div>
  );
}

/** A short fact beside a name: a state, a count. */
export function Tag({ tone = "unknown", children }: { tone?: NoticeTone; children: ReactNode }) {
  return (
    <span className="tag" data-tone={tone}>
      {children}
    </span>
  );
}
