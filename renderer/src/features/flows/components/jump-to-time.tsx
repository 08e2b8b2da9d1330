import { useState } from "react";
import { Dialog, DialogTrigger, Popover } from "react-aria-components";
import { useSetting } from "../../../data/settings.ts";
import { Button, shownZoneName, TextField } from "../../../ui/index.ts";
import { readMoment } from "../model/moment.ts";

interface JumpToTimeProps {
  readonly isDisabled: boolean;
  readonly onGo: (timeMs: number) => void;
}

/** To the row of a moment, in the zone that the window shows, or a time of today. */
export function JumpToTime({ isDisabled, onGo }: JumpToTimeProps) {
  const [text, setText] = useState("");
  const zone = useSetting("time.zone");
  const nowMs = Date.now();
  const timeMs = readMoment(text, nowMs, zone);
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
                  label={`Time (${zone === "utc" ? "UTC" : shownZoneName(timeMs ?? nowMs)})`}
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
