import { type FormEdit, isMapping, type ValuePath, type YamlValue } from "@wardline/domain/policy/edit";
import type { Field, ObjectShape } from "@wardline/domain/policy/formats/schema";
import { useState } from "react";
import { Select, visibleText } from "../../../../ui/index.ts";
import { fieldId, type Offer, useForm, useProblems } from "../model/form-context.ts";
import { textOf } from "../model/words.ts";
import { wordsOf } from "./choice-input.tsx";
import { Problems } from "./problems.tsx";
import { TextInput } from "./text-input.tsx";

const NO_WORDS: readonly Offer[] = [];

/** A protocol with a port, a range of ports, or a type of ICMP: in one line. */
export function PortFields({ path, shape, value }: { path: ValuePath; shape: ObjectShape; value: YamlValue }) {
  const form = useForm();
  const problems = useProblems(path, false);
  const protocolProblems = useProblems([...path, "protocol"], true);
  const [reason, setReason] = useState<string | null>(null);
  const fields: Readonly<Record<string, Field>> = shape.fields;
  const order = Object.keys(fields);
  const port = isMapping(value) ? value : {};
  const part = form.part.index;
  const protocol = textOf(port.protocol);
  const words = wordsOf(fields.protocol!.shape) ?? [];
  const isIcmp = /^icmp/i.test(protocol);
  const choose = (word: string) => {
    const at = [...path, "protocol"];
    const edits: FormEdit[] = [
      word === "" ? { kind: "unset", part, path: at } : { kind: "set", part, path: at, value: word, order },
    ];
    const gone = /^icmp/i.test(word) ? ["endPort", "port"] : ["code", "type"];
    for (const name of gone) if (name in port) edits.push({ kind: "unset", part, path: [...path, name] });
    setReason(form.apply(edits));
  };
  // Without a port there would be nothing left to say.
  const canLeaveOut = "port" in port && !fields.protocol?.required;
  const isKnown = protocol === "" || words.includes(protocol);
  const choices = [
    ...(canLeaveOut || protocol === "" ? [{ value: "", label: "TCP (when left out)" }] : []),
    ...(isKnown
      ? []
      : [
          {
            value: protocol,
            label: /^\d+$/.test(protocol) ? `protocol ${protocol}` : visibleText(protocol).slice(0, 40),
          },
        ]),
    ...words.map((word) => ({ value: word, label: word })),
  ];
  const number = (name: string, label: string) =>
    fields[name] ? (
      <TextInput
        path={[...path, name]}
        field={fields[name]}
        label={label}
        value={port[name]}
        order={order}
        isLabelHidden
        width="port"
        words={name === "port" ? form.words.ports : NO_WORDS}
      />
    ) : null;
  return (
    <div className="form-port">
      {"name" in fields ? number("name", "Name of the port") : null}
      <Select
        id={fieldId([...path, "protocol"])}
        label="Protocol"
        isLabelHidden
        isDisabled={form.isLocked}
        value={protocol}
        choices={choices}
        onFocus={() => form.enter([...path, "protocol"], "Protocol", fields.protocol!)}
        onChange={choose}
      />
      {isIcmp ? (
        <>
          {number("type", "ICMP type")}
          {"type" in port ? number("code", "ICMP code") : null}
        </>
      ) : (
        <>
          {number("port", "Port")}
          {"port" in port && "endPort" in fields ? (
            <>
              <span className="faint">to</span>
              {number("endPort", "Last port of the range")}
            </>
          ) : null}
        </>
      )}
      <Problems problems={[...protocolProblems, ...problems]} reason={reason} />
    </div>
  );
}
