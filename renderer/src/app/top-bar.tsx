import { CircleHelp, Clock, Pause, Play, Search, Server, SlidersHorizontal } from "lucide-react";
import { Button as AriaButton, Dialog, DialogTrigger, Popover } from "react-aria-components";
import { useHostsStream } from "../data/context.tsx";
import {
  changeSettings,
  type Density,
  type Environment,
  type Theme,
  useSetting,
  useSettings,
} from "../data/settings.ts";
import { useWindow } from "../data/window-store.ts";
import { Bell } from "../features/notifications/index.ts";
import { EnvironmentName } from "../features/ship/components/environment-name.tsx";
import { Button, formatShortDateTime, IconButton, KeyHint, Select, visibleText } from "../ui/index.ts";

const TIME_RANGES = [
  { value: "all", label: "All kept", lastMs: null },
  { value: "5m", label: "Last 5 minutes", lastMs: 300_000 },
  { value: "1h", label: "Last hour", lastMs: 3_600_000 },
  { value: "24h", label: "Last 24 hours", lastMs: 86_400_000 },
] as const;

function ScopeSelect() {
  const hosts = useHostsStream().value?.hosts ?? [];
  const { scopeHostId, set } = useWindow();
  return (
    <Select
      label="Scope"
      isLabelHidden
      icon={<Server size={14} aria-hidden="true" />}
      value={scopeHostId ?? "all"}
      choices={[
        { value: "all", label: "All hosts", detail: `${hosts.length} known to this console` },
        ...hosts.map((host) => ({
          value: host.id,
          label: visibleText(host.name),
          detail: host.local ? "this machine" : "",
        })),
      ]}
      onChange={(value) => set({ scopeHostId: value === "all" ? null : value })}
    />
  );
}

function TimeSelect() {
  const { lastMs, markedRange, set } = useWindow();
  const current = markedRange ? "marked" : (TIME_RANGES.find((range) => range.lastMs === lastMs)?.value ?? "all");
  const marked =
    markedRange && `${formatShortDateTime(markedRange.fromMs)} to ${formatShortDateTime(markedRange.untilMs)}`;
  return (
    <Select
      label="Time range"
      isLabelHidden
      icon={<Clock size={14} aria-hidden="true" />}
      value={current}
      choices={marked ? [{ value: "marked", label: marked }, ...TIME_RANGES] : TIME_RANGES}
      onChange={(value) => {
        if (value === "marked") return;
        set({ lastMs: TIME_RANGES.find((range) => range.value === value)?.lastMs ?? null, markedRange: null });
      }}
    />
  );
}

function DisplayMenu() {
  const values = useSettings((store) => store.values);
  return (
    <DialogTrigger>
      <IconButton label="Display">
        <SlidersHorizontal size={16} aria-hidden="true" />
      </IconButton>
      <Popover className="popover" placement="bottom end" offset={6}>
        <Dialog className="display-menu" aria-label="Display">
          <Select<Theme>
            label="Theme"
            value={values["display.theme"]}
            onChange={(value) => void changeSettings({ "display.theme": value })}
            choices={[
              { value: "system", label: "System" },
              { value: "dark", label: "Dark" },
              { value: "light", label: "Light" },
              { value: "contrast", label: "High contrast" },
            ]}
          />
          <Select<Density>
            label="Density"
            value={values["display.density"]}
            onChange={(value) => void changeSettings({ "display.density": value })}
            choices={[
              { value: "compact", label: "Compact" },
              { value: "comfortable", label: "Comfortable" },
            ]}
          />
          <Select<Environment>
            label="Environment"
            value={values["display.environment"]}
            onChange={(value) => void changeSettings({ "display.environment": value })}
            choices={[
              { value: "none", label: "Not named" },
              { value: "lab", label: "Lab" },
              { value: "staging", label: "Staging" },
              { value: "production", label: "Production" },
            ]}
          />
          <label className="check-line">
            <input
              type="checkbox"
              checked={values["keyboard.singleKeys"]}
              onChange={(event) => void changeSettings({ "keyboard.singleKeys": event.target.checked })}
            />
            Single-key shortcuts
          </label>
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}

export function TopBar() {
  const { isFrozen, set, show } = useWindow();
  const environment = useSetting("display.environment");
  return (
    <header className="top-bar" data-environment={environment}>
      <ScopeSelect />
      <TimeSelect />
      <Button
        tone={isFrozen ? "primary" : "plain"}
        icon={isFrozen ? <Play size={14} aria-hidden="true" /> : <Pause size={14} aria-hidden="true" />}
        aria-label={isFrozen ? "Resume live rows" : "Freeze live rows"}
        onPress={() => set({ isFrozen: !isFrozen })}
      >
        {isFrozen ? "Resume" : "Freeze"}
      </Button>
      <EnvironmentName />
      <span className="top-bar-space" />
      <AriaButton className="palette-button" onPress={() => show("palette")}>
        <Search size={14} aria-hidden="true" />
        <span>Ask or go…</span>
        <KeyHint keys="Ctrl+K" />
      </AriaButton>
      <IconButton label="Keyboard shortcuts" keys="?" onPress={() => show("shortcuts")}>
        <CircleHelp size={16} aria-hidden="true" />
      </IconButton>
      <Bell />
      <DisplayMenu />
    </header>
  );
}
