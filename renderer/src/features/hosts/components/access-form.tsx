import { useId } from "react";
import { EnvironmentTag, Select, TextField } from "../../../ui/index.ts";
import { type AccessDraft, withAddress } from "../model/access-draft.ts";

interface AccessFormProps {
  readonly draft: AccessDraft;
  readonly onChange: (draft: AccessDraft) => void;
  /** Names of environments that exist already. */
  readonly environments: readonly string[];
  readonly groups: readonly string[];
  readonly onSubmit: () => void;
}

/** How a machine is reached. What is left empty is as ~/.ssh/config says. */
export function AccessForm({ draft, onChange, environments, groups, onSubmit }: AccessFormProps) {
  const [environmentListId, groupListId] = [useId(), useId()];
  const field = <Name extends keyof AccessDraft>(name: Name) => ({
    value: draft[name] as string,
    onChange: (value: string) => onChange({ ...draft, [name]: value }),
    onSubmit,
  });
  return (
    <div className="access-form">
      <div className="access-row">
        <TextField
          label="Address"
          isCode
          placeholder="ops@web-1.example.org"
          hint="A name, an address, or a Host of ~/.ssh/config"
          value={draft.address}
          onChange={(typed) => onChange({ ...draft, address: typed })}
          onLeave={() => onChange(withAddress(draft, draft.address))}
          onSubmit={onSubmit}
        />
        <TextField label="Port" isCode placeholder="22" {...field("port")} />
        <TextField label="User" isCode placeholder="yours" {...field("user")} />
      </div>
      <div className="access-row" data-columns="2">
        <TextField
          label="Call it"
          placeholder="its address"
          hint="How commands and this window name it"
          {...field("alias")}
        />
        <TextField label="Groups" placeholder="web edge" list={groupListId} {...field("groups")} />
      </div>
      <div className="access-row" data-columns="3">
        <TextField
          label="Environment"
          placeholder="production"
          hint="Its colour and name are on everything that changes it"
          list={environmentListId}
          {...field("environmentName")}
        />
        <Select
          label="Colour"
          value={draft.environmentColor}
          onChange={(environmentColor) => onChange({ ...draft, environmentColor })}
          choices={[
            { value: "red", label: "Red" },
            { value: "amber", label: "Amber" },
            { value: "blue", label: "Blue" },
            { value: "green", label: "Green" },
            { value: "grey", label: "Grey" },
          ]}
        />
        <span className="access-preview">
          {draft.environmentName.trim() === "" ? null : (
            <EnvironmentTag name={draft.environmentName} color={draft.environmentColor} />
          )}
        </span>
      </div>
      <details>
        <summary>Key, jump host, transport</summary>
        <div className="access-row" data-columns="3">
          <TextField label="Key file" isCode placeholder="~/.ssh/id_ed25519" {...field("identityFile")} />
          <TextField label="Jump through" isCode placeholder="user@bastion" {...field("jump")} />
          <Select
            label="SSH client"
            value={draft.transport}
            onChange={(transport) => onChange({ ...draft, transport })}
            choices={[
              { value: "auto", label: "Automatic", detail: "built in; the system’s where only that can" },
              { value: "built-in", label: "Built in" },
              { value: "system", label: "The system’s ssh", detail: "for certificates, security keys, ProxyCommand" },
            ]}
          />
        </div>
      </details>
      <datalist id={environmentListId}>
        {environments.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <datalist id={groupListId}>
        {groups.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </div>
  );
}
