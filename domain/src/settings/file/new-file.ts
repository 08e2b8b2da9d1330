/** What a new settings file says: how to edit it, and nothing that counts. */
export const NEW_SETTINGS_FILE = `# Settings of the Wardline console. Edit it whenever you like: every open window follows.
# Which settings there are: \`wardline settings list\`, or docs/settings.md.
# A mistake is shown with its place, what counted before goes on counting, and nothing writes over it.
`;
