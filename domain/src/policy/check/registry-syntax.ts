import { type DiagnosticDefinition, hostExample } from "./definition.ts";

/** `WL1xx`: the text is not YAML that can be read. */
export const SYNTAX_DIAGNOSTICS = {
  WL101: {
    title: "Not valid YAML",
    severity: "error",
    meaning: "The text breaks a rule of YAML, so its document cannot be read.",
    remedy: "Correct the place that is named; an unclosed quote or bracket is often a few lines above it.",
    example: { text: 'kind: "NetworkPolicy\nmetadata: {name: example}\n⟦⟧' },
  },
  WL102: {
    title: "Tab in the indentation",
    severity: "error",
    meaning: "YAML is indented with spaces. How wide a tab is differs between editors, so it is not allowed there.",
    remedy: "Replace the tab by spaces.",
    example: { text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata:\n⟦\t⟧name: example\n" },
  },
  WL103: {
    title: "Key set twice",
    severity: "error",
    meaning: "A mapping sets the same key twice; most programs silently keep one of the two.",
    remedy: "Remove one, or merge the two into one.",
    example: { text: hostExample("addresses: [192.0.2.1]\n⟦addresses⟧: [192.0.2.2]") },
  },
  WL104: {
    title: "Indentation does not fit",
    severity: "error",
    meaning: "The line is indented to a column that belongs to no list or mapping above it.",
    remedy: "Align the line with its neighbours.",
    example: { text: "apiVersion: ztap/v1\nmetadata:\n    name: a\n⟦ ⟧ labels: {}\n" },
  },
  WL105: {
    title: "Character not allowed",
    severity: "error",
    meaning:
      "Control characters, NUL bytes, halves of surrogate pairs, lone carriage returns and byte order marks inside the text are not allowed.",
    remedy: "Delete the character; many editors show it only when asked to show invisible characters.",
    example: { text: "# a bell: ⟦\u0007⟧\n" },
  },
  WL106: {
    title: "Alias that cannot be followed",
    severity: "error",
    meaning:
      "An alias (*name) must name an anchor (&name) that stands before it in the same document and does not contain it.",
    remedy: "Correct the name, move the anchor up, or write the value out.",
    example: { text: hostExample("addresses: ⟦*shared⟧") },
  },
  WL107: {
    title: "Too much behind aliases",
    severity: "error",
    meaning:
      "Each alias stands for a copy of its anchor's value. The document would expand to more values than are read.",
    remedy: "Use fewer aliases, or split the document.",
    example: {
      text: "a: &a [1, 2, 3]\nb: &b [*a, *a, *a]\nc: [*b, ⟦*b⟧, *b]\n",
      limits: { maxNodesPerDocument: 40 },
      alone: true,
    },
  },
  WL108: {
    title: "Nested too deeply",
    severity: "error",
    meaning: "Lists and mappings stand inside each other more often than any policy needs.",
    remedy: "Check for a missing closing bracket.",
    example: { text: "a: [[⟦[⟧1]]]\n", limits: { maxDepth: 3 }, alone: true },
  },
  WL109: {
    title: "File too large",
    severity: "error",
    meaning: "The file is larger than a policy file may be, so it is not read.",
    remedy: "Split it into several files.",
    example: { text: "# far too long\n", limits: { maxFileLength: 10 }, alone: true },
  },
  WL110: {
    title: "Too much at once",
    severity: "error",
    meaning: "The files together are larger, or more, than is read at once.",
    remedy: "Read fewer files, or remove what is not policy.",
    example: { text: "# one of too many\n", limits: { maxTotalLength: 10 }, alone: true },
  },
  WL111: {
    title: "Too many documents in a file",
    severity: "error",
    meaning: "The file has more documents than are read from one file.",
    remedy: "Split it into several files.",
    example: { text: "---\n# the first\n⟦---⟧\n# the second\n", limits: { maxDocumentsPerFile: 1 }, alone: true },
  },
  WL112: {
    title: "Tag or directive not supported",
    severity: "error",
    meaning: "Tags (!name) and directives (%NAME) change what a value means. Policies need none.",
    remedy: "Remove it and write the plain value.",
    example: { text: "⟦%YAML 1.1⟧\n---\n" },
  },
  WL113: {
    title: "Key is no name",
    severity: "error",
    meaning: "A key is empty, a list, or a mapping. Every key in a policy is a plain name.",
    remedy: "Write a name before the colon.",
    example: { text: hostExample("⟦[a, b]⟧: 1") },
  },
  WL114: {
    title: "Not a text file",
    severity: "error",
    meaning: "The file holds bytes that text does not have, so it is no policy.",
    remedy: "Choose the right file.",
    example: {
      bytes: [0x7f, 0x45, 0x4c, 0x46, 0x02, 0x01, 0x01, 0x00, 0x03],
      description: "the start of a program file",
    },
  },
  WL115: {
    title: "UTF-16 text",
    severity: "error",
    meaning: "The file is text in UTF-16. Policies are UTF-8 everywhere, so that every tool sees the same bytes.",
    remedy: "Save the file as UTF-8.",
    example: { bytes: [0xff, 0xfe, 0x61, 0x00, 0x3a, 0x00], description: "`a:` in UTF-16 with a byte order mark" },
  },
  WL116: {
    title: "Not valid UTF-8",
    severity: "error",
    meaning: "The file is text in another encoding, such as Latin-1, or is damaged.",
    remedy: "Save the file as UTF-8.",
    example: { bytes: [0xe9], description: "`é` in Latin-1" },
  },
  WL117: {
    title: "More problems not listed",
    severity: "info",
    meaning: "There are more problems than are listed. One mistake, such as an unclosed quote, can cause hundreds.",
    remedy: "Correct the first ones and check again.",
    example: { text: "# two bells: \u0007 ⟦\u0007⟧\n", limits: { maxDiagnostics: 0 }, alone: true },
  },
  WL118: {
    title: "Merge key",
    severity: "error",
    meaning: "Merge keys (<<) belong to YAML 1.1 and are not part of YAML 1.2; some tools read them and some do not.",
    remedy: "Write the fields out.",
    example: { text: hostExample("⟦<<⟧: {addresses: [192.0.2.1]}") },
  },
  WL119: {
    title: "Too large for what it uses",
    severity: "error",
    meaning:
      "Plain YAML is read quickly at any size. Anchors, tags, values over several lines and mistakes take the full parser, which is slow, so it reads only so much of a file.",
    remedy: "Correct or simplify the place that is named, or split the file.",
    example: {
      text: "labels: {app: ⟦⟧&name web}\n",
      limits: { maxFullParserTokensPerFile: 5 },
      alone: true,
    },
  },
} as const satisfies Record<`WL1${string}`, DiagnosticDefinition>;
