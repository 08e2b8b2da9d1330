import { useState } from "react";
import { Dialog, DialogTrigger, Popover } from "react-aria-components";
import { Button, TextField } from "../../../ui/index.ts";

interface JumpToTimeProps {
  readonly isDisabled: boolean;
  readonly onGo: (timeMs: number) => void;
}

/** To the row of a moment, in UTC as it is shown, or a time of today. */
export function JumpToTime({ isDisabled, onGo }: JumpToTimeProps) {
  const [text, setText] = useState("");
  const timeMs = readMoment(text, Date.now());
  return (
    <DialogTrigger>
      <Button size="small" isDisabled={isDisabled}>
        Go to time…
      </Button>
      <Popover className="popover" placement="bottom end" offset={4}>
        <Dialog className="flow-menu" aria-label="Go to a time">
          {({ close }) => {
            const go = () => {
              if (timeMs === null) return;
              onGo(timeMs);
              close();
            };
            return (
              <>
                <TextField
                  label="Time (UTC)"
                  isCode
                  placeholder="14:03 or 2026-11-20 14:03:22"
                  value={text}
                  onChange={setText}
                  onSubmit={go}
                />
                <Button size="small" tone="primary" isDisabled={timeMs === null} onPress={go}>
                  Go there
                </Button>
              </>
            );
          }}
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}

const CLOCK = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$/;

/** Unix ms; `null` while it is none. */
export function readMoment(text: string, nowMs: number): number | null {
  const trimmed = text.trim();
  const [, hours, minutes, seconds = "0"] = CLOCK.exec(trimmed) ?? [];
  if (hours !== undefined && Number(hours) < 24 && Number(minutes) < 60 && Number(seconds) < 60) {
    const midnight = Math.floor(nowMs / 86_400_000) * 86_400_000;
    return midnight + (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
  }
  if (!MOMENT.test(trimmed)) return null;
  const timeMs = Date.parse(trimmed.length === 10 ? `${trimmed}T00:00Z` : `${trimmed.replace(" ", "T")}Z`);
  return Number.isNaN(timeMs) ? null : timeMs;
}
