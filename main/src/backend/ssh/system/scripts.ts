/** Commands of ours for machines that are reached without SFTP. Single quotes around, none inside: every shell takes them. */
import { fixedCommand } from "../fixed-command.ts";

/**
 * Standard input: mode (octal), number of bytes, path, then the bytes. Ends with 11 (no directory), 12 (may not write),
 * 13 (could not write), 14 (bytes are missing: the sender gave up).
 */
export const RECEIVE_FILE = fixedCommand(
  `exec sh -c 'LC_ALL=C; export LC_ALL; umask 077; IFS= read -r mode; IFS= read -r size; IFS= read -r path; dir=$(dirname -- "$path"); test -d "$dir" || exit 11; test -w "$dir" || exit 12; tmp=$(mktemp "$dir/.wardline.XXXXXXXX") || exit 13; trap "rm -f -- \\"\\$tmp\\"" EXIT; cat > "$tmp" || exit 13; test "$(wc -c < "$tmp")" -eq "$size" || exit 14; chmod "$mode" "$tmp" || exit 13; sync "$tmp" 2> /dev/null; mv -f -- "$tmp" "$path" || exit 13; trap - EXIT'`,
);

/** Standard input: the path. Says mode and numbers of owner and group as `ls -n` does; nothing when it is not there. */
export const SHOW_OWNER = fixedCommand(`exec sh -c 'IFS= read -r path; LC_ALL=C ls -ldn -- "$path" 2> /dev/null'`);
