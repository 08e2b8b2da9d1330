/** Messages as the store keeps them: proto3 JSON in UTF-8. */
import { type DescMessage, fromJsonString, type MessageShape, toJsonString } from "@bufbuild/protobuf";
import type { KeyValue } from "../store/clusterStore.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeMessage<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  return Buffer.from(toJsonString(schema, message));
}

/**
 * What each item of a prefix says, read once per revision. What cannot be read is left out: another version may have written
 * it, and one bad value must not hide the others.
 */
export class MessageReader<Desc extends DescMessage> {
  readonly #schema: Desc;
  readonly #known = new WeakMap<KeyValue, MessageShape<Desc> | null>();

  constructor(schema: Desc) {
    this.#schema = schema;
  }

  read(item: KeyValue): MessageShape<Desc> | null {
    let message = this.#known.get(item);
    if (message === undefined) {
      message = this.#decode(item.value);
      this.#known.set(item, message);
    }
    return message;
  }

  #decode(value: Uint8Array): MessageShape<Desc> | null {
    try {
      return fromJsonString(this.#schema, decoder.decode(value), { ignoreUnknownFields: true });
    } catch {
      return null;
    }
  }
}
