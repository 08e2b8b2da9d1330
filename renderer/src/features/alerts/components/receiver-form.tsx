import { create } from "@bufbuild/protobuf";
import { EmailSecurity, type Receiver, ReceiverSchema } from "@wardline/api/wardline/console/v1/alerts";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, SecretField, Select, TextField } from "../../../ui/index.ts";

type Kind = "email" | "webhook" | "alertmanager";
const KINDS = [
  { value: "email", label: "E-mail" },
  { value: "webhook", label: "Webhook" },
  { value: "alertmanager", label: "Alertmanager" },
] as const;
const SECURITY = [
  { value: String(EmailSecurity.TLS), label: "TLS from the start" },
  { value: String(EmailSecurity.STARTTLS), label: "STARTTLS, or nothing is sent" },
  { value: String(EmailSecurity.NONE), label: "None (this machine only)" },
];

interface Fields {
  readonly name: string;
  readonly kind: Kind;
  readonly server: string;
  readonly port: string;
  readonly security: string;
  readonly user: string;
  readonly secret: string;
  readonly from: string;
  readonly to: string;
  readonly url: string;
  readonly allowLocal: boolean;
}

function fieldsOf(receiver: Receiver | null): Fields {
  const kind = receiver?.kind;
  const email = kind?.case === "email" ? kind.value : null;
  const hook = kind?.case === "webhook" || kind?.case === "alertmanager" ? kind.value : null;
  return {
    name: receiver?.name ?? "",
    kind: kind?.case === "webhook" || kind?.case === "alertmanager" ? kind.case : "email",
    server: email?.server ?? "",
    port: String(email?.port ?? 465),
    security: String(email?.security ?? EmailSecurity.TLS),
    user: email?.user ?? "",
    secret: "",
    from: email?.from ?? "",
    to: email?.to.join(", ") ?? "",
    url: hook?.url ?? "",
    allowLocal: hook?.allowLocal ?? false,
  };
}

function receiverOf(fields: Fields): Receiver {
  const { name, url, allowLocal } = fields;
  if (fields.kind === "webhook")
    return create(ReceiverSchema, {
      name,
      kind: { case: "webhook", value: { url, secret: fields.secret, allowLocal } },
    });
  if (fields.kind === "alertmanager")
    return create(ReceiverSchema, { name, kind: { case: "alertmanager", value: { url, allowLocal } } });
  const { server, security, user, secret, from, to } = fields;
  return create(ReceiverSchema, {
    name,
    kind: {
      case: "email",
      value: {
        server,
        port: Number(fields.port) || 0,
        security: Number(security),
        user,
        password: secret,
        from,
        to: to.split(/[\s,;]+/).filter((address) => address !== ""),
      },
    },
  });
}

/** Where messages go. Secrets are given once and never shown again. */
export function ReceiverForm({ receiver, onDone }: { receiver: Receiver | null; onDone: () => void }) {
  const { connection } = useConsole();
  const [fields, setFields] = useState(() => fieldsOf(receiver));
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const change = (part: Partial<Fields>) => setFields({ ...fields, ...part });
  const kind = receiver?.kind;
  const hasSecret = kind?.case === "email" ? kind.value.hasPassword : kind?.case === "webhook" && kind.value.hasSecret;
  const act = async (action: () => Promise<unknown>) => {
    setFailure(null);
    try {
      await action();
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <div className="alert-form">
      <div className="alert-fields">
        {receiver ? null : (
          <>
            <TextField label="Name" isCode value={fields.name} onChange={(name) => change({ name })} />
            <Select label="Kind" value={fields.kind} onChange={(chosen) => change({ kind: chosen })} choices={KINDS} />
          </>
        )}
        {fields.kind === "email" ? (
          <>
            <TextField label="Server" isCode value={fields.server} onChange={(server) => change({ server })} />
            <TextField label="Port" value={fields.port} onChange={(port) => change({ port })} />
            <Select
              label="Encryption"
              value={fields.security}
              onChange={(security) => change({ security })}
              choices={SECURITY}
            />
            <TextField label="User" value={fields.user} onChange={(user) => change({ user })} />
            <SecretField
              label="Password"
              {...(hasSecret ? { hint: "Kept; empty leaves it as it is" } : {})}
              value={fields.secret}
              onChange={(secret) => change({ secret })}
            />
            <TextField label="From" isCode value={fields.from} onChange={(from) => change({ from })} />
            <TextField label="To" isCode value={fields.to} onChange={(to) => change({ to })} />
          </>
        ) : (
          <TextField
            label="URL"
            isCode
            placeholder="https://…"
            value={fields.url}
            onChange={(url) => change({ url })}
          />
        )}
        {fields.kind === "webhook" ? (
          <SecretField
            label="Secret that signs each message"
            {...(hasSecret ? { hint: "Kept; empty leaves it as it is" } : {})}
            value={fields.secret}
            onChange={(secret) => change({ secret })}
          />
        ) : null}
      </div>
      {fields.kind === "email" ? null : (
        <label>
          <input
            type="checkbox"
            checked={fields.allowLocal}
            onChange={(event) => change({ allowLocal: event.target.checked })}
          />{" "}
          It may be an address of this machine or network
        </label>
      )}
      {failure ? <FailureNotice isCompact failure={failure} title="The receiver is as it was" /> : null}
      <span className="alert-buttons">
        <Button
          tone="primary"
          isDisabled={fields.name.trim() === ""}
          onPress={() => void act(() => connection.alerts.putReceiver({ receiver: receiverOf(fields) }))}
        >
          {receiver ? "Keep the receiver" : "Add the receiver"}
        </Button>
        <Button onPress={onDone}>Cancel</Button>
        {receiver ? (
          <Button onPress={() => void act(() => connection.alerts.deleteReceiver({ name: receiver.name }))}>
            Remove the receiver
          </Button>
        ) : null}
      </span>
    </div>
  );
}
