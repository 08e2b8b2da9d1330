/** What runs as root on a Linux host with systemd. Paths are fixed; parameters are lines, each checked before its use. */
import { fixedScript } from "./script.ts";
import { PRELUDE } from "./shared-scripts.ts";

/** Two consoles must not install at the same time: the lock is let go when the script ends, however it does. */
const BEGIN = `${PRELUDE}
lib=/usr/lib/wardline
agent=$lib/wardline-agent
staged=$lib/staged
units=/etc/systemd/system
socket=/run/wardline/agent.sock
unit_names='wardline-agent.service wardline-boot.service'
[ "$(id -u)" -eq 0 ] || fail root "$(id -un)"
if command -v flock >/dev/null 2>&1; then
  exec 9>/run/wardline-install.lock || fail write /run
  flock -n 9 || fail busy another
fi
` as const;

/** Makes the groups of the roles and adds accounts to them. Nothing is changed when an account is missing. */
export const LINUX_GROUPS = fixedScript(`${BEGIN}
accounts=
while next line; do
  [ "$line" = end ] && break
  role=\${line%% *}
  name=\${line#* }
  case $role in operators|admins) ;; *) fail input "$role" ;; esac
  is_account "$name" || fail input account
  getent passwd "$name" >/dev/null 2>&1 || fail account "$name"
  accounts="$accounts $role:$name"
done
for group in wardline wardline-operators wardline-admins; do
  getent group "$group" >/dev/null 2>&1 || groupadd --system "$group" 9>&- || fail group "$group"
done
add() {
  if command -v gpasswd >/dev/null 2>&1; then gpasswd -a "$1" "$2" >/dev/null 9>&-
  else usermod -a -G "$2" "$1" 9>&-; fi || fail member "$1"
}
for each in $accounts; do
  name=\${each#*:}
  add "$name" wardline
  add "$name" "wardline-\${each%%:*}"
  say member "$name \${each%%:*}"
done
exit 0
`);

/** Unpacks what was uploaded into a directory of root, checks it there, and tries whether it runs. */
export const LINUX_STAGE = fixedScript(`${BEGIN}
next directory
next packed
next bytes
next hash
next needed_kb
is_path "$directory" && is_name "$packed" && is_number "$bytes" && is_hash "$hash" && is_number "$needed_kb" || fail input file
[ -L "$lib" ] && fail layout "$lib"
mkdir -p "$lib" 2>/dev/null && chown 0:0 "$lib" && chmod 0755 "$lib" || fail write "$lib"
rm -rf "$staged" && mkdir "$staged" || fail write "$staged"
free=$(free_kb "$lib")
[ "\${free:-0}" -ge "$needed_kb" ] || fail space "\${free:-0}"
[ -r "$directory/$packed" ] || fail read "$directory"
gzip -dc < "$directory/$packed" 2>/dev/null | head -c "$((bytes + 1))" > "$staged/wardline-agent" || fail unpack "$packed"
[ "$(sha "$staged/wardline-agent")" = "$hash" ] || { rm -rf "$staged"; fail hash wardline-agent; }
chown 0:0 "$staged/wardline-agent" && chmod 0755 "$staged/wardline-agent" || fail write "$staged"
told=$("$staged/wardline-agent" --version --json </dev/null 2>"$staged/problem" 9>&-) || {
  problem=$(head -c 300 "$staged/problem" | tr '\\n' ' ')
  rm -rf "$staged"
  fail runs "$problem"
}
rm -f "$staged/problem"
say version "$told"
while next name; do
  [ "$name" = end ] && break
  next hash
  is_name "$name" && is_hash "$hash" || fail input "$name"
  cp "$directory/$name" "$staged/$name" && chown 0:0 "$staged/$name" && chmod 0644 "$staged/$name" || fail write "$name"
  [ "$(sha "$staged/$name")" = "$hash" ] || { rm -rf "$staged"; fail hash "$name"; }
done
sync "$staged/wardline-agent" 2>/dev/null
exit 0
`);

/**
 * From the exchange of the binary on, the script must come to its end although the connection is gone: it ignores the
 * signals of that, and whether the new agent came up is judged here and not by the console.
 */
const EXCHANGE = `${BEGIN}
trap '' HUP PIPE TERM INT
mark() { stat -c %i:%z "$socket" 2>/dev/null; }
# The agent passes over no file modes, and the socket of Yggdrasil is its group's. A group that is missing would keep the unit
# from starting: it is named only where it is there, and made at each start of the host where it was taken away.
dropin=$units/wardline-agent.service.d/wardline-yggdrasil.conf
dropin_group=/usr/lib/sysusers.d/wardline-yggdrasil.conf
write_line() { printf '%b' "$2" > "$1.wardline-new" && chmod 0644 "$1.wardline-new" && mv -f "$1.wardline-new" "$1"; }
mesh_group() {
  if getent group yggdrasil >/dev/null 2>&1; then
    mkdir -p "\${dropin%/*}" "\${dropin_group%/*}" && write_line "$dropin_group" 'g yggdrasil -\n' && write_line "$dropin" '[Service]\nSupplementaryGroups=yggdrasil\n'
  else
    forget_mesh_group
  fi
}
forget_mesh_group() {
  rm -f "$dropin" "$dropin_group"
  rmdir "\${dropin%/*}" 2>/dev/null
}
# True once the agent has put a new socket into place. False when it does not within 30 s, or keeps ending.
restart() {
  before=$(mark)
  mesh_group
  systemctl daemon-reload 9>&-
  systemctl restart wardline-agent.service 9>&- 2>/dev/null
  tries=0
  down=0
  while [ "$tries" -lt 150 ]; do
    if [ -S "$socket" ] && [ "$(mark)" != "$before" ]; then
      systemctl is-active --quiet wardline-agent.service 9>&- && return 0
    fi
    tries=$((tries + 1))
    if [ "$((tries % 5))" -eq 0 ] && ! systemctl is-active --quiet wardline-agent.service 9>&-; then
      down=$((down + 1))
      [ "$down" -ge 3 ] && return 1
    fi
    sleep 0.2
  done
  return 1
}
last_words() {
  journalctl -u wardline-agent.service -n 3 -o cat --no-pager 2>/dev/null | cut -c1-300 | while IFS= read -r line; do say log "$line"; done
}
running() {
  pid=$(systemctl show -p MainPID --value wardline-agent.service 2>/dev/null 9>&-)
  is_number "$pid" && say running "$(readlink "/proc/$pid/exe" 2>/dev/null)"
}
# Puts a file into place as a whole, and keeps the one before.
replace() {
  rm -f "$2.wardline-new"
  cp "$1" "$2.wardline-new" && chmod "$3" "$2.wardline-new" && mv -f "$2.wardline-new" "$2"
}
keep() {
  rm -f "$2.wardline-new"
  { ln "$1" "$2.wardline-new" 2>/dev/null || cp -p "$1" "$2.wardline-new"; } && mv -f "$2.wardline-new" "$2"
}
# Exchanges the binary and the units with the ones before. The path of the binary is never empty.
exchange() {
  [ -f "$agent.previous" ] || return 1
  keep "$agent" "$agent.exchanged" && mv -f "$agent.previous" "$agent" && mv -f "$agent.exchanged" "$agent.previous" || return 1
  for unit in $unit_names; do
    [ -f "$lib/$unit.previous" ] || continue
    keep "$units/$unit" "$lib/$unit.exchanged" && replace "$lib/$unit.previous" "$units/$unit" 0644 && mv -f "$lib/$unit.exchanged" "$lib/$unit.previous"
  done
  return 0
}
if [ -f "$agent.exchanged" ]; then
  if [ -f "$agent.previous" ]; then rm -f "$agent.exchanged"; else mv -f "$agent.exchanged" "$agent.previous"; fi
fi
` as const;

/** Puts what was staged into place and starts it. What was there before comes back when it does not come up. */
export const LINUX_SWAP = fixedScript(`${EXCHANGE}
next hash
is_hash "$hash" || fail input hash
is_first=no
[ -f "$agent" ] || is_first=yes
if [ "$(sha "$staged/wardline-agent")" = "$hash" ]; then
  # A second start of the same exchange must not take the new one for the one before.
  if [ "$is_first" = no ] && [ "$(sha "$agent")" != "$hash" ]; then
    keep "$agent" "$agent.previous" || fail write "$agent.previous"
    for unit in $unit_names; do [ -f "$units/$unit" ] && keep "$units/$unit" "$lib/$unit.previous"; done
  fi
  for unit in $unit_names; do
    [ -f "$staged/$unit" ] || continue
    replace "$staged/$unit" "$units/$unit" 0644 || fail write "$units"
  done
  mkdir -p /usr/lib/sysusers.d && replace "$staged/wardline.sysusers.conf" /usr/lib/sysusers.d/wardline.conf 0644
  mv -f "$staged/wardline-agent" "$agent" || fail write "$agent"
  rm -rf "$staged"
elif [ "$(sha "$agent")" != "$hash" ]; then
  fail staged wardline-agent
fi
systemctl enable $unit_names >/dev/null 2>&1 9>&-
if restart; then
  running
  say outcome running
  exit 0
fi
last_words
if [ "$is_first" = yes ]; then
  systemctl disable --now $unit_names >/dev/null 2>&1 9>&-
  for unit in $unit_names; do rm -f "$units/$unit"; done
  forget_mesh_group
  rm -f "$agent" /usr/lib/sysusers.d/wardline.conf
  rmdir "$lib" 2>/dev/null
  systemctl daemon-reload 9>&-
  say outcome undone
elif exchange && restart; then
  say outcome rolled-back
else
  say outcome down
fi
exit 0
`);

/** Puts the binary and units of before into place; a second time returns to the ones of now. */
export const LINUX_ROLL_BACK = fixedScript(`${EXCHANGE}
[ -f "$agent.previous" ] || fail previous "$agent.previous"
exchange || fail write "$agent"
if restart; then
  running
  say version "$("$agent" --version --json </dev/null 2>/dev/null 9>&-)"
  say outcome running
  exit 0
fi
last_words
if exchange && restart; then say outcome rolled-back; else say outcome down; fi
exit 0
`);

/** Ends enforcement and removes the agent. Where the agent refuses to be removed, it runs on. */
export const LINUX_UNINSTALL = fixedScript(`${EXCHANGE}
next keep_state
case $keep_state in yes|no) ;; *) fail input keep_state ;; esac
if [ -x "$agent" ]; then
  # The agent is removed with the options that its unit, or a drop-in of root, runs it with. Nothing in them is expanded.
  set -f
  options=$(systemctl cat wardline-agent.service 2>/dev/null 9>&- | sed -n "s|^ExecStart=$agent run||p" | tail -n 1)
  [ "$keep_state" = yes ] && options="--keep-state $options"
  systemctl stop wardline-agent.service >/dev/null 2>&1 9>&-
  if told=$("$agent" uninstall $options </dev/null 2>&1 9>&-); then
    printf '%s\\n' "$told" | grep '^Removed ' | head -n 20 | while IFS= read -r line; do say removed "$line"; done
  else
    systemctl start wardline-agent.service >/dev/null 2>&1 9>&-
    fail refused "$(printf '%s' "$told" | tail -n 1)"
  fi
elif [ -d /sys/fs/bpf/wardline ] || [ -f /var/lib/wardline/index.json ]; then
  fail nobinary "$agent"
fi
systemctl disable --now $unit_names >/dev/null 2>&1 9>&-
for unit in $unit_names; do rm -f "$units/$unit" "$lib/$unit.previous" "$lib/$unit.exchanged"; done
forget_mesh_group
systemctl daemon-reload 9>&-
rm -rf "$staged"
rm -f "$agent" "$agent.previous" "$agent.exchanged" /usr/lib/sysusers.d/wardline.conf
rmdir "$lib" 2>/dev/null
if [ "$keep_state" = no ]; then
  for group in wardline wardline-operators wardline-admins; do
    getent group "$group" >/dev/null 2>&1 && groupdel "$group" >/dev/null 2>&1 9>&-
  done
fi
say outcome removed
exit 0
`);
