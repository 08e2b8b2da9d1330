/** What can be wrong with a settings file besides its syntax, whose codes are those of every YAML file (WL1xx). */
export const SETTINGS_PROBLEMS = {
  SET201: { severity: "warning", title: "A setting that this version does not know. It is kept as it is." },
  SET202: { severity: "error", title: "A value that the setting does not take. What counts is what it was before." },
  SET203: {
    severity: "error",
    title: "Something else where a group of settings belongs. Its settings stay as they were.",
  },
  SET204: {
    severity: "error",
    title: "More than one document, or none that is a mapping. Nothing of the file is taken.",
  },
  SET205: { severity: "error", title: "A file of locks that others than root could have written. It is not followed." },
  SET206: { severity: "error", title: "A file that cannot be read from the disk, or is too large." },
} as const;

export type SettingsProblemCode = keyof typeof SETTINGS_PROBLEMS;
