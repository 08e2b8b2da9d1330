/** Settings, notifications, audit and support of the fake backend. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type AuditService,
  AuditState,
  ListAuditResponseSchema,
  VerifyAuditResponseSchema,
} from "@wardline/api/wardline/console/v1/audit";
import {
  type NotificationList,
  NotificationListSchema,
  type NotificationService,
  NotificationSource,
} from "@wardline/api/wardline/console/v1/notifications";
import {
  SettingOrigin,
  type SettingsService,
  type SettingsState,
  SettingsStateSchema,
} from "@wardline/api/wardline/console/v1/settings";
import type { SupportService } from "@wardline/api/wardline/console/v1/support";
import { ErrorCode, Severity } from "@wardline/api/wardline/v1/error";
import { Role } from "@wardline/api/wardline/v1/host";
import { goodValues, type SettingsValues, withDefaults } from "@wardline/domain/settings";
import { HOSTILE_NAME } from "./fake-data.ts";
import { failure } from "./fake-workspace.ts";

export type SettingsKind = "well" | "broken" | "locked" | "hostile" | "safe-mode";

interface FakePorts {
  readonly notify: () => void;
  readonly gate: () => Promise<void>;
}

const PATH = "/home/lena/.config/wardline/settings.yaml";
const LOCKED_PATH = "/etc/wardline/settings.yaml";

export class FakeSettings {
  readonly kind: SettingsKind;
  readonly #ports: FakePorts;
  readonly #bornMs = Date.now();
  #values: JsonObject;
  #gone = new Set<string>();
  text = "# mine\ndisplay:\n  theme: [dark\n";
  isMended = false;
  /** Built anew at each change only: a stream that sends the same object says that nothing has changed. */
  #state: SettingsState;
  #list: NotificationList;

  constructor(kind: SettingsKind, ports: FakePorts) {
    this.kind = kind;
    this.#ports = ports;
    // As if the file said what the window remembers: tests choose a theme that way.
    this.#values = { ...goodValues(JSON.parse(localStorage.getItem("wardline.settings") ?? "{}")) };
    this.#state = this.#makeState();
    this.#list = this.#makeList();
  }

  state(): SettingsState {
    return this.#state;
  }

  notifications(): NotificationList {
    return this.#list;
  }

  #changed(): void {
    this.#state = this.#makeState();
    this.#list = this.#makeList();
    this.#ports.notify();
  }

  #makeState(): SettingsState {
    const isBroken = this.kind === "broken" && !this.isMended;
    const isLocked = this.kind === "locked" || this.kind === "hostile";
    const locked: Partial<SettingsValues> = isLocked
      ? { "safety.readOnly": false, "display.environment": "production" }
      : {};
    const place = { file: PATH, line: 4, column: 1, endLine: 4, endColumn: 1 };
    const problem = { code: "WL109", severity: Severity.ERROR, source: place };
    return create(SettingsStateSchema, {
      values: withDefaults({ ...this.#values, ...locked }) as unknown as JsonObject,
      facts: [
        ...Object.keys(locked).map((key, index) => ({
          key,
          origin: SettingOrigin.LOCKED,
          file: LOCKED_PATH,
          line: index + 2,
        })),
        ...Object.keys(this.#values).map((key) => ({
          key,
          origin: isBroken ? SettingOrigin.KEPT : SettingOrigin.USER,
          file: PATH,
          line: isBroken ? 0 : 3,
        })),
      ],
      problems: [
        ...(isBroken ? [{ ...problem, message: 'An opening bracket has no "]".' }] : []),
        ...(this.kind === "hostile"
          ? Array.from({ length: 60 }, (_, index) => ({
              ...problem,
              code: "SET201",
              message: `${HOSTILE_NAME.repeat(10)} ${index}`,
            }))
          : []),
      ],
      ...{
        path: PATH,
        exists: true,
        lockedPath: isLocked ? LOCKED_PATH : "",
        broken: isBroken,
        safeMode: this.kind === "safe-mode",
      },
    });
  }

  #makeList(): NotificationList {
    const at = (minutes: number) => timestampFromMs(this.#bornMs - minutes * 60_000);
    const base = { hostId: "local", hostName: "laptop", count: 1, open: true, read: false };
    const all = [
      {
        ...base,
        key: "host/db-1/away",
        source: NotificationSource.HOST,
        urgency: 2,
        title: "db-1 cannot be reached",
        body: "Nothing listens on port 22 of 10.0.4.7.",
        firstAt: at(12),
        lastAt: at(12),
        place: "hosts/db-1",
      },
      {
        ...base,
        key: "anomaly/a1",
        source: NotificationSource.ANOMALY,
        urgency: 3,
        title: "Unusual on web-1",
        body: "nginx talks to 300 addresses that it never talked to.",
        firstAt: at(3),
        lastAt: at(3),
        count: 4,
        place: "anomalies/a1",
      },
      {
        ...base,
        key: "mesh/r1",
        source: NotificationSource.MESH,
        urgency: 2,
        title: "Healing of the mesh gave up",
        body: "",
        firstAt: at(90),
        lastAt: at(60),
        open: false,
        read: true,
        place: "mesh",
      },
      ...(this.kind === "hostile"
        ? Array.from({ length: 150 }, (_, index) => ({
            ...base,
            key: `h${index}`,
            source: NotificationSource.HOST,
            urgency: 2,
            title: `${HOSTILE_NAME} ${index}`,
            body: HOSTILE_NAME.repeat(30),
            firstAt: at(1),
            lastAt: at(1),
            place: "hosts",
          }))
        : []),
    ].filter(({ key }) => !this.#gone.has(key));
    const needing = all.filter(({ open }) => open).length;
    return create(NotificationListSchema, { notifications: all, needingPerson: needing, unread: needing });
  }

  settingsService(): Partial<ServiceImpl<typeof SettingsService>> {
    return {
      setSettings: async ({ values = {}, replaceBroken }) => {
        await this.#ports.gate();
        if (this.kind === "broken" && !this.isMended && !replaceBroken)
          throw failure(
            ErrorCode.SETTINGS_BROKEN,
            Code.FailedPrecondition,
            `Nothing was written to ${PATH}: the file has a mistake, line 4, column 1.`,
          );
        if (replaceBroken) this.isMended = true;
        this.#values = { ...this.#values, ...values };
        this.#changed();
        return { state: this.#state };
      },
      resetSettings: async ({ keys }) => {
        await this.#ports.gate();
        this.#values = Object.fromEntries(Object.entries(this.#values).filter(([key]) => !keys.includes(key)));
        this.#changed();
        return { state: this.#state };
      },
      getSettingsFile: async () => ({ path: PATH, text: this.text, digest: "1" }),
      saveSettingsFile: async ({ text }) => {
        this.text = text;
        this.isMended = true;
        this.#changed();
        return { state: this.#state, digest: "2" };
      },
    };
  }

  notificationService(): ServiceImpl<typeof NotificationService> {
    const put = async ({ keys }: { keys: string[] }) => {
      for (const key of keys.length === 0 ? this.#list.notifications.map((each) => each.key) : keys)
        this.#gone.add(key);
      this.#changed();
      return {};
    };
    return { dismissNotifications: put, snoozeNotifications: put, markNotificationsRead: async () => ({}) };
  }

  auditService(): Partial<ServiceImpl<typeof AuditService>> {
    const count = this.kind === "hostile" ? 10_000 : 120;
    const actions = ["apply", "confirm", "settings.set-settings", "quarantine", "rollback.expired"];
    const outcomes = ["started", "done", "done", "refused", "automatic"];
    const name = (index: number) =>
      this.kind === "hostile" ? HOSTILE_NAME : index % 3 === 0 ? "this console" : "laptop";
    const entries = Array.from({ length: count }, (_, index) => ({
      id: BigInt(count - index),
      hostId: index % 3 === 0 ? "console" : "local",
      hostName: name(index),
      log: 1,
      entry: {
        sequence: BigInt(count - index),
        time: timestampFromMs(this.#bornMs - index * 600_000),
        actor: this.kind === "hostile" ? HOSTILE_NAME : index % 2 === 0 ? "lena (1000)" : "agent",
        role: Role.OPERATOR,
        action: actions[index % actions.length] ?? "",
        outcome: outcomes[index % outcomes.length] ?? "",
        detail: this.kind === "hostile" ? HOSTILE_NAME.repeat(20) : `generation ${count - index}`,
        argumentDigest: "a1".repeat(32),
        previousHash: String(index % 10).repeat(64),
        hash: String((index + 1) % 10).repeat(64),
      },
    }));
    const verdicts = (state: AuditState) => [
      {
        hostId: "local",
        hostName: name(1),
        state,
        atSequence: state === AuditState.BROKEN ? 14n : 0n,
        entryCount: BigInt(count),
        explanation:
          state === AuditState.BROKEN
            ? "Entry 14 does not follow from the one before it: it was changed, or one between them was removed."
            : `The chain is whole: ${count} entries are kept here.`,
      },
      {
        hostId: "console",
        hostName: "this console",
        state: AuditState.VERIFIED,
        entryCount: 40n,
        explanation: "The chain is whole: 40 entries are kept here.",
      },
    ];
    const isBroken = this.kind === "broken" || this.kind === "hostile";
    return {
      listAudit: async ({ text, outcome, hostIds, limit, beforeId }) => {
        await this.#ports.gate();
        const found = entries.filter(
          ({ id, hostId, entry }) =>
            (beforeId === 0n || id < beforeId) &&
            (hostIds.length === 0 || hostIds.includes(hostId)) &&
            (outcome === "" || entry.outcome === outcome) &&
            `${entry.actor} ${entry.action} ${entry.detail}`.toLowerCase().includes(text.toLowerCase()),
        );
        return create(ListAuditResponseSchema, {
          entries: found.slice(0, limit || 100),
          hosts: verdicts(AuditState.VERIFIED),
        });
      },
      verifyAudit: async () =>
        create(VerifyAuditResponseSchema, { hosts: verdicts(isBroken ? AuditState.BROKEN : AuditState.VERIFIED) }),
    };
  }

  supportService(): Partial<ServiceImpl<typeof SupportService>> {
    const texts: Record<string, string> = {
      "versions.json": '{\n  "wardline": "0.1.0"\n}\n',
      "console.log": '{"level":30,"host":"host-1","msg":"connected"}\n'.repeat(40),
    };
    return {
      previewSupportBundle: async () => ({
        previewId: "p1",
        fileName: "wardline-support.tar.gz",
        archiveBytes: 4_096n,
        files: Object.entries(texts).map(([path, text]) => ({
          path,
          about: path === "console.log" ? "the end of the console's log" : "versions of everything",
          sizeBytes: BigInt(text.length),
          redactions: path === "console.log" ? [{ kind: "address", count: 40 }] : [],
        })),
        missing: [],
        neverIncluded: ["Texts of policies, keys, tokens, passwords and the environment are never in it."],
      }),
      getSupportFile: async ({ path }) => {
        const text = texts[path];
        if (text === undefined) throw new ConnectError("no such file", Code.NotFound);
        return { text };
      },
    };
  }
}
