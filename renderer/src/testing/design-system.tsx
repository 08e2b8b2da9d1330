/**
 * Every component of the design system in every state: `dev.html#scenario=design-system`. Who draws a new component shows it here;
 * a test compares this page with what `ui/` exports, and looks at it in all themes.
 */
import { AnomalySeverity } from "@wardline/api/wardline/v1/anomaly";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { EllipsisVertical, Network, Play, ShieldCheck } from "lucide-react";
import { type ReactNode, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { useLook } from "../app/use-look.ts";
import type { ShownFailure } from "../data/failure.ts";
import {
  ActionMenu,
  announce,
  announceCounts,
  announceUrgent,
  Button,
  Checkbox,
  ChoiceCards,
  CountdownRing,
  DataGrid,
  EmptyState,
  ENVIRONMENT_COLORS,
  EnvironmentTag,
  FailureNotice,
  formatCount,
  type GridColumn,
  IconButton,
  KeyHint,
  LiveAnnouncements,
  Moment,
  MomentTooltip,
  Notice,
  type NoticeTone,
  ScrollRegion,
  SecretField,
  Select,
  SeverityMark,
  Sheet,
  Skeleton,
  Spinner,
  Switch,
  Tabs,
  Tag,
  TextField,
  type Tone,
  VerdictMark,
  type VerdictShape,
} from "../ui/index.ts";
import { TimeChart } from "../ui/time-chart.tsx";
import "./design-system.css";

const TONES: readonly Tone[] = ["plain", "primary", "danger", "quiet"];
const NOTICE_TONES: readonly NoticeTone[] = ["info", "allow", "deny", "observed", "unknown"];
const VERDICTS: readonly VerdictShape[] = ["allow", "deny", "observed", "unknown"];
const SEVERITIES = [
  AnomalySeverity.LOW,
  AnomalySeverity.MEDIUM,
  AnomalySeverity.HIGH,
  AnomalySeverity.CRITICAL,
  AnomalySeverity.UNSPECIFIED,
];
const SIZES = ["small", "normal", "large"] as const;
const LONG_NAME = "an-endpoint-with-a-name-that-goes-on-for-much-longer-than-anybody-would-want-to-read".repeat(3);
const MODES = [
  { value: "observe", label: "Observe", detail: "Nothing is dropped; what would be is logged." },
  { value: "enforce", label: "Enforce", detail: "What no rule allows is dropped." },
  { value: "long", label: LONG_NAME, detail: LONG_NAME },
] as const;
const FAILURE: ShownFailure = {
  code: ErrorCode[ErrorCode.INTERNAL],
  message: "The host did not answer within 5 seconds.",
  hint: "Look at its connection in Hosts; it is tried again by itself.",
  retryable: true,
  diagnostics: [],
};

function Part({ name, children }: { name: string; children: ReactNode }) {
  return (
    <section className="design-part" data-component={name} aria-label={name}>
      <h2>{name}</h2>
      <div className="design-states">{children}</div>
    </section>
  );
}

function DesignSystem() {
  useLook();
  return (
    <main className="design scroll" aria-label="Design system">
      <h1>Design system</h1>
      <Buttons />
      <Fields />
      <Selections />
      <Marks />
      <States />
      <Data />
      <Overlays />
    </main>
  );
}

function Buttons() {
  return (
    <>
      <Part name="Button">
        {TONES.map((tone) => (
          <Button key={tone} tone={tone}>
            {tone}
          </Button>
        ))}
        {SIZES.map((size) => (
          <Button key={size} size={size} icon={<Play size={14} aria-hidden="true" />} keys="Ctrl+↵">
            {size}
          </Button>
        ))}
        <Button isDisabled>disabled</Button>
        <Button>{LONG_NAME}</Button>
      </Part>
      <Part name="IconButton">
        <IconButton label="Open the menu">
          <EllipsisVertical size={16} aria-hidden="true" />
        </IconButton>
        <IconButton label="Shown" isPressedState keys="?">
          <EllipsisVertical size={16} aria-hidden="true" />
        </IconButton>
        <IconButton label="Not to be had" isDisabled>
          <EllipsisVertical size={16} aria-hidden="true" />
        </IconButton>
      </Part>
      <Part name="KeyHint">
        <KeyHint keys="Ctrl+K" /> <KeyHint keys="?" />
      </Part>
    </>
  );
}

function Fields() {
  const [text, setText] = useState("web-1");
  const [mode, setMode] = useState<(typeof MODES)[number]["value"]>("observe");
  return (
    <>
      <Part name="TextField">
        <TextField label="Name" value={text} onChange={setText} hint="As its owner calls it" />
        <TextField label="Address" value="10.0.0.300" onChange={setText} isInvalid isCode hint="No such address" />
        <TextField label="Empty" value="" onChange={setText} placeholder="10.0.0.7" />
      </Part>
      <Part name="SecretField">
        <SecretField label="Passphrase" value="secret" onChange={() => {}} />
      </Part>
      <Part name="Select">
        <Select label="Mode" value={mode} choices={MODES} onChange={setMode} />
        <Select label="Mode without a label" isLabelHidden value={mode} choices={MODES} onChange={setMode} />
      </Part>
      <Part name="ChoiceCards">
        <ChoiceCards label="What happens" value={mode} choices={MODES} onChange={setMode} />
      </Part>
    </>
  );
}

function Selections() {
  const [isOn, setOn] = useState(true);
  const [tab, setTab] = useState<"text" | "form">("text");
  const [said, setSaid] = useState("");
  return (
    <>
      <Part name="Checkbox">
        <Checkbox isSelected={isOn} onChange={setOn} hint="Also those that are away">
          All hosts
        </Checkbox>
        <Checkbox isSelected={false} isIndeterminate onChange={setOn}>
          Some of them
        </Checkbox>
        <Checkbox isSelected={false} isDisabled onChange={setOn}>
          Not yours to change
        </Checkbox>
      </Part>
      <Part name="Switch">
        <Switch isSelected={isOn} onChange={setOn}>
          Live rows
        </Switch>
        <Switch isSelected={!isOn} onChange={() => setOn(!isOn)}>
          Frozen
        </Switch>
        <Switch isSelected isDisabled onChange={setOn}>
          Locked
        </Switch>
      </Part>
      <Part name="Tabs">
        <Tabs
          label="Faces"
          value={tab}
          tabs={[
            { value: "text", label: "Text" },
            { value: "form", label: "Form", badge: "2" },
          ]}
          onChange={setTab}
        >
          <p>{tab === "text" ? "The text" : "The form"}</p>
        </Tabs>
      </Part>
      <Part name="ActionMenu">
        <ActionMenu
          label="Actions"
          actions={[
            { id: "copy", label: "Copy as YAML", keys: "Ctrl+C", run: () => setSaid("copied") },
            { id: "cut", label: "Cut it off", detail: "Opens its dialog", run: () => setSaid("cut") },
            { id: "none", label: "Not yours to do", isDisabled: true, run: () => setSaid("never") },
          ]}
        >
          <Button>Actions</Button>
        </ActionMenu>
        <output>{said}</output>
      </Part>
    </>
  );
}

function Marks() {
  return (
    <>
      <Part name="VerdictMark">
        {VERDICTS.map((verdict) => (
          <VerdictMark key={verdict} verdict={verdict} />
        ))}
        <VerdictMark verdict="deny" words={null} />
      </Part>
      <Part name="SeverityMark">
        {SEVERITIES.map((severity) => (
          <SeverityMark key={severity} severity={severity} />
        ))}
      </Part>
      <Part name="EnvironmentTag">
        {ENVIRONMENT_COLORS.map((color) => (
          <EnvironmentTag key={color} name={color} color={color} />
        ))}
      </Part>
      <Part name="Tag">
        {NOTICE_TONES.map((tone) => (
          <Tag key={tone} tone={tone}>
            {tone}
          </Tag>
        ))}
      </Part>
      <Part name="Moment">
        {(["moment", "clock", "clock-ms", "short", "full"] as const).map((form) => (
          <Moment key={form} timeMs={CHART_TIMES[0] ?? 0} form={form} />
        ))}
      </Part>
      <Part name="MomentTooltip">
        <ul>
          {CHART_TIMES.slice(0, 3).map((timeMs) => (
            <li key={timeMs}>
              <Moment timeMs={timeMs} form="short" />
            </li>
          ))}
        </ul>
        <Button>
          Kept at <Moment timeMs={CHART_TIMES[9] ?? 0} form="clock" />
        </Button>
        <MomentTooltip />
      </Part>
      <Part name="LiveAnnouncements">
        <Button onPress={() => announce("The draft is saved.")}>Say it politely</Button>
        <Button onPress={() => announceUrgent("10 s left to keep generation 42.")}>Say it at once</Button>
        <Button onPress={() => announceCounts({ "new flows": 240, refused: 3 })}>Count with a stream</Button>
        <LiveAnnouncements />
      </Part>
      <Part name="Spinner">
        <Spinner />
      </Part>
      <Part name="CountdownRing">
        <CountdownRing remainingMs={90_000} totalMs={120_000} />
        <CountdownRing remainingMs={9_000} totalMs={120_000} />
      </Part>
    </>
  );
}

function States() {
  return (
    <>
      <Part name="Notice">
        {NOTICE_TONES.map((tone) => (
          <Notice key={tone} tone={tone} icon={<ShieldCheck size={16} aria-hidden="true" />}>
            A notice of tone {tone}.
          </Notice>
        ))}
        <Notice tone="observed" action={<Button size="small">Look</Button>}>
          {LONG_NAME}
        </Notice>
      </Part>
      <Part name="FailureNotice">
        <FailureNotice title="Not read" failure={FAILURE} onRetry={() => {}} />
        <FailureNotice isCompact failure={FAILURE} />
      </Part>
      <Part name="EmptyState">
        <EmptyState
          picture={<Network size={36} strokeWidth={1.2} />}
          title="Nothing here yet"
          action={<Button tone="primary">Begin</Button>}
        >
          One sentence that teaches what would be here.
        </EmptyState>
      </Part>
      <Part name="Skeleton">
        <Skeleton rows={3} label="Reading" />
      </Part>
    </>
  );
}

interface Row {
  readonly name: string;
  readonly count: number | null;
}
const ROWS: readonly Row[] = Array.from({ length: 10_000 }, (_, index) => ({
  name: index === 3 ? LONG_NAME : `host-${index}`,
  count: index % 7 === 0 ? null : (index * 7919) % 10_007,
}));
const COLUMNS: readonly GridColumn<Row>[] = [
  { key: "name", name: "Name", width: "minmax(0, 2fr)", show: ({ name }) => name, order: ({ name }) => name },
  {
    key: "count",
    name: "Connections",
    width: "minmax(0, 1fr)",
    show: ({ count }) => (count === null ? "not known" : formatCount(count)),
    order: ({ count }) => count,
  },
];
const CHART_TIMES = Array.from({ length: 60 }, (_, index) => Date.UTC(2026, 10, 22) + index * 60_000);
const CHART_LINES = [
  { name: "allowed", tone: "allow" as const, values: CHART_TIMES.map((_, index) => 40 + ((index * 13) % 17)) },
  {
    name: "denied",
    tone: "deny" as const,
    values: CHART_TIMES.map((_, index) => (index > 20 && index < 26 ? null : 5)),
  },
];

function Data() {
  const [selectedId, setSelectedId] = useState<string | null>("host-2");
  return (
    <>
      <Part name="DataGrid">
        <div className="design-grid">
          <DataGrid
            label="Ten thousand rows"
            rows={ROWS}
            columns={COLUMNS}
            idOf={({ name }) => name}
            selectedId={selectedId}
            marked={null}
            onSelect={setSelectedId}
          />
        </div>
      </Part>
      <Part name="TimeChart">
        <div className="design-chart">
          <TimeChart
            summary="Connections a minute for an hour."
            timesMs={CHART_TIMES}
            lines={CHART_LINES}
            format={formatCount}
          />
        </div>
      </Part>
      <Part name="ScrollRegion">
        <ScrollRegion label="A long text" className="design-scroll">
          {"A text that is longer than its place. ".repeat(30)}
        </ScrollRegion>
      </Part>
    </>
  );
}

function Overlays() {
  const [shape, setShape] = useState<"dialog" | "drawer" | "palette" | null>(null);
  return (
    <Part name="Sheet">
      {(["dialog", "drawer", "palette"] as const).map((each) => (
        <Button key={each} onPress={() => setShape(each)}>
          Open a {each}
        </Button>
      ))}
      <Sheet
        shape={shape ?? "dialog"}
        title={`A ${shape ?? "dialog"}`}
        isOpen={shape !== null}
        onClose={() => setShape(null)}
        footer={<Button onPress={() => setShape(null)}>Done</Button>}
      >
        <p className="design-sheet-text">What it is about.</p>
      </Sheet>
    </Part>
  );
}

export function showDesignSystem(): void {
  const root = document.getElementById("root");
  if (!root) throw new Error("The page has no #root.");
  createRoot(root).render(
    <StrictMode>
      <DesignSystem />
    </StrictMode>,
  );
}
