import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SourceSettingsSchema } from "@wardline/api/wardline/console/v1/configuration";
import { useState } from "react";
import { Button, ChoiceCards, TextField } from "../../../ui/index.ts";
import { addressProblem } from "../model/source-words.ts";

export type SourceKind = NonNullable<MessageInitShape<typeof SourceSettingsSchema>["kind"]>;

/** What to watch: a folder, or a git remote. */
export function SourceForm({ onSet }: { onSet: (kind: SourceKind) => Promise<void> }) {
  const [kind, setKind] = useState<"folder" | "git">("git");
  const [address, setAddress] = useState("");
  const [branch, setBranch] = useState("main");
  const [folder, setFolder] = useState("");
  const [wasTried, setTried] = useState(false);
  const problem = addressProblem(kind, address);
  const set = () => {
    setTried(true);
    if (problem !== "") return;
    void onSet(
      kind === "folder"
        ? { case: "folder", value: { path: address.trim() } }
        : { case: "git", value: { url: address.trim(), branch: branch.trim(), folder: folder.trim() } },
    );
  };
  return (
    <div className="source-form">
      <ChoiceCards
        label="What is watched"
        value={kind}
        onChange={setKind}
        choices={[
          { value: "git", label: "A git remote", detail: "Fetched every five minutes; drafts can be pushed." },
          { value: "folder", label: "A folder of this machine", detail: "Followed as it changes." },
        ]}
      />
      <TextField
        label={kind === "git" ? "Address" : "Path"}
        isCode
        value={address}
        onChange={setAddress}
        placeholder={kind === "git" ? "git@git.example.com:team/policies.git" : "/srv/policies"}
        isInvalid={wasTried && problem !== ""}
        hint={wasTried ? problem : ""}
        onSubmit={set}
      />
      {kind === "git" ? (
        <>
          <TextField label="Branch" isCode value={branch} onChange={setBranch} onSubmit={set} />
          <TextField label="Folder in it" isCode value={folder} onChange={setFolder} placeholder="all of it" />
        </>
      ) : null}
      <div className="configuration-buttons">
        <Button tone="primary" onPress={set}>
          Watch it
        </Button>
      </div>
    </div>
  );
}
