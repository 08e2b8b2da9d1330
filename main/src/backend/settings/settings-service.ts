import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/settings";
import { MAX_SETTINGS_LENGTH, type SettingsEdits } from "@wardline/domain/settings/file";
import type { Guard } from "../rpc/guard.ts";
import { refuseUnknown } from "./refusals.ts";
import type { SettingsFiles } from "./settings-files.ts";
import { editsFromWire, resetsFromWire, toWireSettings } from "./settings-wire.ts";

const LONGEST_SILENCE_MS = 60_000;

export class SettingsServiceImpl {
  readonly #files: SettingsFiles;

  constructor(files: SettingsFiles) {
    this.#files = files;
  }

  routes(guard: Guard): ServiceImpl<typeof wire.SettingsService> {
    return {
      watchSettings: guard.stream((_: wire.WatchSettingsRequest, signal) => this.watch(signal)),
      setSettings: guard.unary(async ({ values = {}, replaceBroken }: wire.SetSettingsRequest) =>
        create(wire.SetSettingsResponseSchema, await this.#change(editsFromWire(values), replaceBroken)),
      ),
      resetSettings: guard.unary(async ({ keys, replaceBroken }: wire.ResetSettingsRequest) =>
        create(wire.ResetSettingsResponseSchema, await this.#change(resetsFromWire(keys), replaceBroken)),
      ),
      getSettingsFile: guard.unary((_: wire.GetSettingsFileRequest) =>
        create(wire.GetSettingsFileResponseSchema, this.#files.file()),
      ),
      saveSettingsFile: guard.unary((request: wire.SaveSettingsFileRequest) => this.save(request)),
    };
  }

  /** The newest state; a reader who is slow misses states in between, never the last one. */
  async *watch(signal: AbortSignal): AsyncGenerator<wire.WatchSettingsResponse> {
    const { changes } = this.#files;
    let sent = -1;
    for (let sequence = 1n; !signal.aborted; ) {
      const seen = changes.version;
      if (seen !== sent) {
        yield create(wire.WatchSettingsResponseSchema, { sequence, state: this.state() });
        sequence += 1n;
      }
      sent = seen;
      await changes.wait(seen, LONGEST_SILENCE_MS, signal);
    }
  }

  state(): wire.SettingsState {
    return toWireSettings(this.#files.snapshot());
  }

  async save({ text, baseDigest }: wire.SaveSettingsFileRequest): Promise<wire.SaveSettingsFileResponse> {
    if (text.length > MAX_SETTINGS_LENGTH)
      throw refuseUnknown(
        `The text has ${text.length.toLocaleString("en")} characters; a settings file has up to ${MAX_SETTINGS_LENGTH.toLocaleString("en")}.`,
      );
    const digest = await this.#files.save(text, baseDigest);
    return create(wire.SaveSettingsFileResponseSchema, { digest, state: this.state() });
  }

  async #change(edits: SettingsEdits, replaceBroken: boolean) {
    const movedTo = await this.#files.change(edits, { replaceBroken });
    return { movedTo, state: this.state() };
  }
}
