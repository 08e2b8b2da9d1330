/** How rules of the one shape are written: the pieces of text around their values. */

export interface Layout {
  readonly peersKey: "to" | "from";
  readonly beforeCidr: string;
  readonly beforeProtocol: string;
  readonly beforePort: string;
  readonly beforeEndPort: string;
  /** Behind the last value, with the line end. */
  readonly end: string;
  /** Characters from the start of the port's node to the protocol. */
  readonly portLead: number;
  /** Characters from the last value to the end of the port's node, and to that of the rule. */
  readonly portTail: number;
  readonly ruleTail: number;
}

/** Nobody indents more. */
const MAX_INDENT = 16;

const LAYOUTS = Array.from({ length: MAX_INDENT + 1 }, (_, indent) => ({
  to: layouts("to", " ".repeat(indent)),
  from: layouts("from", " ".repeat(indent)),
}));

/** The layouts of a rule whose keys stand at column `indent`. */
export function layoutsOf(peersKey: "to" | "from", indent: number): readonly Layout[] {
  return LAYOUTS[indent]?.[peersKey] ?? [];
}

function layouts(key: "to" | "from", margin: string): readonly Layout[] {
  return [inBrackets(key, margin), inLines(key, margin, margin), inLines(key, margin, `${margin}  `)];
}

function inBrackets(peersKey: "to" | "from", margin: string): Layout {
  return {
    peersKey,
    beforeCidr: `${peersKey}: [{ipBlock: {cidr: `,
    beforeProtocol: `}}]\n${margin}ports: [{protocol: `,
    beforePort: ", port: ",
    beforeEndPort: ", endPort: ",
    end: "}]\n",
    portLead: "{protocol: ".length,
    portTail: "}".length,
    ruleTail: "}]".length,
  };
}

/** `listMargin`: before the dashes, which may stand below their key or further in. */
function inLines(peersKey: "to" | "from", margin: string, listMargin: string): Layout {
  return {
    peersKey,
    beforeCidr: `${peersKey}:\n${listMargin}- ipBlock:\n${listMargin}    cidr: `,
    beforeProtocol: `\n${margin}ports:\n${listMargin}- protocol: `,
    beforePort: `\n${listMargin}  port: `,
    beforeEndPort: `\n${listMargin}  endPort: `,
    end: "\n",
    portLead: "protocol: ".length,
    portTail: 0,
    ruleTail: 0,
  };
}
