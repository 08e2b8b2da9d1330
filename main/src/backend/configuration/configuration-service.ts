/** The whole configuration out of this console and into another, signed, previewed, all or nothing. */
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/configuration";
import { ChangeKind } from "@wardline/api/wardline/console/v1/ship";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { readPolicyFiles } from "@wardline/domain/policy";
import { toWireDiagnostic } from "@wardline/domain/wire";
import type { HostManager } from "../hosts/host-manager.ts";
import type { Workspace } from "../policies/workspace.ts";
import type { Clock } from "../ports.ts";
import { boundedReason, boundedTicket, type Guard } from "../rpc/guard.ts";
import type { Store } from "../store/store.ts";
import type { MeaningOfChanges } from "../versions/meaning.ts";
import type { SidePorts } from "../versions/sides.ts";
import { VersionWriter } from "../versions/version-wire.ts";
import { open, type SealedFiles, seal } from "./archive/sealed-archive.ts";
import { fingerprintOf, ownSigningKey, readSigningKey } from "./archive/signing-key.ts";
import type { ConfigurationKeys, TrustedKey } from "./configuration-keys.ts";
import {
  type Content,
  contentToFiles,
  filesToContent,
  type ImportPlan,
  planImport,
  readContent,
  WORKSPACE_TITLE,
} from "./import-plan.ts";
import type { ConfigurationPart } from "./parts/part.ts";

const MAX_CHANGES = 1_000;
const MAX_CHARACTERS = 8 * 1024 * 1024;
const MAX_DIAGNOSTICS = 200;

export interface ConfigurationPorts extends SidePorts {
  readonly store: Store;
  readonly workspace: Workspace;
  readonly manager: HostManager;
  readonly parts: readonly ConfigurationPart[];
  readonly keys: ConfigurationKeys;
  readonly meaning: MeaningOfChanges;
  readonly clock: Clock;
  readonly stateDir: string;
  readonly userName: string;
  readonly isReadOnly: boolean;
}

interface Judged {
  readonly sealed: SealedFiles;
  readonly fingerprint: string;
  readonly signer: wire.Signer;
  readonly current: Content;
  readonly archive: Content;
  readonly plan: ImportPlan;
  readonly previewId: string;
}

export class ConfigurationExchange {
  readonly #ports: ConfigurationPorts;

  constructor(ports: ConfigurationPorts) {
    this.#ports = ports;
  }

  routes(guard: Guard) {
    return {
      exportConfiguration: guard.unary((_request: wire.ExportConfigurationRequest) => this.export()),
      previewConfiguration: guard.unary((request: wire.PreviewConfigurationRequest) => this.preview(request)),
      importConfiguration: guard.unary((request: wire.ImportConfigurationRequest) => this.import(request)),
      getConfigurationKeys: guard.unary((_request: wire.GetConfigurationKeysRequest) => this.keys()),
      trustConfigurationKey: guard.unary((request: wire.TrustConfigurationKeyRequest) => {
        const { keys, userName, clock } = this.#ports;
        const key = keys.trust(request.publicKey, request.name, userName, clock.nowMs());
        return create(wire.TrustConfigurationKeyResponseSchema, { key: toWireKey(key) });
      }),
      distrustConfigurationKey: guard.unary((request: wire.DistrustConfigurationKeyRequest) => {
        this.#ports.keys.distrust(request.fingerprint);
        return create(wire.DistrustConfigurationKeyResponseSchema);
      }),
    };
  }

  export() {
    const { stateDir, isReadOnly, clock } = this.#ports;
    const key = isReadOnly ? readSigningKey(stateDir) : ownSigningKey(stateDir);
    if (!key) {
      throw new Failure({
        code: ErrorCode.NOT_FOUND,
        message: "This console has no key yet to sign with, and makes none while it is in read-only mode.",
        hint: "Export once without --read-only.",
      });
    }
    const content = this.#current();
    return create(wire.ExportConfigurationResponseSchema, {
      archive: seal(contentToFiles(content), key),
      fileName: `wardline-configuration-${new Date(clock.nowMs()).toISOString().slice(0, 10)}.tar`,
      parts: this.#counts(content),
      keyFingerprint: key.fingerprint,
    });
  }

  preview(request: wire.PreviewConfigurationRequest) {
    const { meaning, clock } = this.#ports;
    const { signer, current, archive, plan, previewId } = this.#judge(request.archive, request.removesMissing);
    const countOf = (kind: ChangeKind) => plan.changes.filter((change) => change.kind === kind).length;
    const response = create(wire.PreviewConfigurationResponseSchema, {
      signer,
      parts: this.#counts(archive),
      changeCount: plan.changes.length,
      addedCount: countOf(ChangeKind.ADDED),
      replacedCount: countOf(ChangeKind.CHANGED),
      removedCount: countOf(ChangeKind.REMOVED),
      sameCount: plan.sameCount,
      meaning: meaning.compare(current.files, plan.next.files),
      diagnostics: readPolicyFiles(plan.next.files, { nowUnixMs: clock.nowMs() })
        .diagnostics.slice(0, MAX_DIAGNOSTICS)
        .map(toWireDiagnostic),
      previewId,
      leftToDo: [...this.#leftToDo(current, plan)],
    });
    let characters = 0;
    for (const change of plan.changes) {
      characters += change.oldText.length + change.newText.length;
      if (response.changes.length >= MAX_CHANGES || characters > MAX_CHARACTERS) break;
      response.changes.push(create(wire.ConfigurationChangeSchema, change));
    }
    return response;
  }

  /** @throws Failure as the preview, REVISION_CONFLICT, UNAUTHENTICATED (a signer that nobody accepted): nothing was changed */
  import(request: wire.ImportConfigurationRequest) {
    const { store, workspace, manager, parts, userName } = this.#ports;
    const reason = boundedReason(request.reason);
    const ticket = boundedTicket(request.ticket);
    const judged = this.#judge(request.archive, request.removesMissing);
    requireAccepted(judged, request.acceptFingerprint);
    if (request.previewId !== judged.previewId) {
      throw new Failure({
        code: ErrorCode.REVISION_CONFLICT,
        message:
          "The configuration was changed since the preview was made, or this is another archive. Nothing was changed.",
        hint: "Look at the preview again.",
      });
    }
    const { current, plan } = judged;
    const leftToDo = this.#leftToDo(current, plan);
    const words = reason || `Configuration of ${judged.signer.name || judged.fingerprint}`;
    const version = store.transaction(() => {
      for (const part of parts) {
        part.write(plan.next.parts.get(part.fileName) ?? [], current.parts.get(part.fileName) ?? []);
      }
      const files = new Map<string, string | null>(current.files.map(({ path }) => [path, null]));
      for (const { path, text } of plan.next.files) files.set(path, text);
      return workspace.change(files, { author: userName, reason: words, ticket, kind: "imported" });
    });
    manager.reload();
    return create(wire.ImportConfigurationResponseSchema, {
      version: new VersionWriter(this.#ports).entry(version, new Set([version.id])),
      changedCount: plan.changes.length,
      leftToDo: [...leftToDo],
    });
  }

  keys() {
    const own = readSigningKey(this.#ports.stateDir);
    return create(wire.GetConfigurationKeysResponseSchema, {
      own: own ? { fingerprint: own.fingerprint, publicKey: own.publicKey, name: "this console" } : {},
      trusted: this.#ports.keys.all().map(toWireKey),
    });
  }

  #current(): Content {
    return readContent(this.#ports.parts, this.#ports.workspace.snapshot().files);
  }

  #judge(bytes: Uint8Array, removesMissing: boolean): Judged {
    const { parts } = this.#ports;
    const sealed = open(bytes);
    const archive = filesToContent(parts, sealed.files);
    const current = this.#current();
    const plan = planImport(current, archive, parts, removesMissing);
    const fingerprint = fingerprintOf(sealed.publicKey);
    const hash = createHash("sha256")
      .update(bytes)
      .update(removesMissing ? "1" : "0");
    for (const [name, content] of contentToFiles(current)) hash.update(`\n${name}\n`).update(content);
    const previewId = hash.digest("hex");
    return { sealed, fingerprint, signer: this.#signer(fingerprint), current, archive, plan, previewId };
  }

  #signer(fingerprint: string): wire.Signer {
    const own = readSigningKey(this.#ports.stateDir);
    const known = this.#ports.keys.find(fingerprint);
    const isOwn = own?.fingerprint === fingerprint;
    const state = isOwn ? wire.SignerState.OWN : known ? wire.SignerState.KNOWN : wire.SignerState.UNKNOWN;
    return create(wire.SignerSchema, { state, fingerprint, name: isOwn ? "this console" : (known?.name ?? "") });
  }

  #leftToDo(current: Content, plan: ImportPlan): readonly string[] {
    return this.#ports.parts.flatMap(
      (part) => part.leftToDo?.(plan.next.parts.get(part.fileName) ?? [], current.parts.get(part.fileName) ?? []) ?? [],
    );
  }

  #counts({ files, parts }: Content) {
    return [
      { name: WORKSPACE_TITLE, count: files.length },
      ...this.#ports.parts.map(({ title, fileName }) => ({ name: title, count: parts.get(fileName)?.length ?? 0 })),
    ];
  }
}

function requireAccepted({ signer, fingerprint }: Judged, accepted: string): void {
  if (signer.state !== wire.SignerState.UNKNOWN || accepted === fingerprint) return;
  throw new Failure({
    code: ErrorCode.UNAUTHENTICATED,
    message: `Nobody here knows the key ${fingerprint} that signed this archive. Nothing was changed.`,
    hint: "Compare the fingerprint with the person who exported it; then trust the key, or accept it this once.",
  });
}

function toWireKey({ fingerprint, publicKey, name, addedAtMs, addedBy }: TrustedKey) {
  return { fingerprint, publicKey, name, addedBy, addedAt: timestampFromMs(addedAtMs) };
}
