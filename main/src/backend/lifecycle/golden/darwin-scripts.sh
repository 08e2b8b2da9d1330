# DARWIN_GROUPS
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
say() { printf '@@ %s %s\n' "$1" "$2"; }
fail() { say failed "$1 $2"; exit 1; }
next() { IFS= read -r "$1" || fail input "$1"; }
sha() { { if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi; } < "$1" 2>/dev/null | cut -c1-64; }
is_hash() { case $1 in ''|*[!0-9a-f]*) return 1 ;; esac; [ "${#1}" -eq 64 ]; }
is_name() { case $1 in ''|.*|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 100 ]; }
is_account() { case $1 in ''|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 32 ]; }
is_number() { case $1 in ''|*[!0-9]*) return 1 ;; esac; [ "${#1}" -le 12 ]; }
is_path() { case $1 in /*) ;; *) return 1 ;; esac; case $1 in */../*|*/..) return 1 ;; esac; [ "${#1}" -le 300 ]; }
free_kb() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }

lib=/usr/local/lib/wardline
agent=$lib/wardline-agent
staged=$lib/staged
label=io.wardline.agent
plist=/Library/LaunchDaemons/$label.plist
socket=/var/run/wardline/agent.sock
[ "$(id -u)" -eq 0 ] || fail root "$(id -un)"
lock=/var/run/wardline-install.lock
# There is no flock here: the lock is a directory with the process that holds it, and one of a dead process is taken over.
if mkdir "$lock" 2>/dev/null || { holder=$(cat "$lock/pid" 2>/dev/null) && is_number "$holder" && ! kill -0 "$holder" 2>/dev/null; }; then
  echo "$$" > "$lock/pid"
  trap 'rm -rf "$lock"' EXIT
else
  fail busy another
fi

accounts=
while next line; do
  [ "$line" = end ] && break
  role=${line%% *}
  name=${line#* }
  case $role in operators|admins) ;; *) fail input "$role" ;; esac
  is_account "$name" || fail input account
  id -u "$name" >/dev/null 2>&1 || fail account "$name"
  accounts="$accounts $role:$name"
done
for group in wardline wardline-operators wardline-admins; do
  dseditgroup -o read "$group" >/dev/null 2>&1 || dseditgroup -o create "$group" >/dev/null 2>&1 || fail group "$group"
done
for each in $accounts; do
  name=${each#*:}
  for group in wardline "wardline-${each%%:*}"; do
    dseditgroup -o edit -a "$name" -t user "$group" >/dev/null 2>&1 || fail member "$name"
  done
  say member "$name ${each%%:*}"
done
exit 0

# DARWIN_ROLL_BACK
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
say() { printf '@@ %s %s\n' "$1" "$2"; }
fail() { say failed "$1 $2"; exit 1; }
next() { IFS= read -r "$1" || fail input "$1"; }
sha() { { if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi; } < "$1" 2>/dev/null | cut -c1-64; }
is_hash() { case $1 in ''|*[!0-9a-f]*) return 1 ;; esac; [ "${#1}" -eq 64 ]; }
is_name() { case $1 in ''|.*|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 100 ]; }
is_account() { case $1 in ''|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 32 ]; }
is_number() { case $1 in ''|*[!0-9]*) return 1 ;; esac; [ "${#1}" -le 12 ]; }
is_path() { case $1 in /*) ;; *) return 1 ;; esac; case $1 in */../*|*/..) return 1 ;; esac; [ "${#1}" -le 300 ]; }
free_kb() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }

lib=/usr/local/lib/wardline
agent=$lib/wardline-agent
staged=$lib/staged
label=io.wardline.agent
plist=/Library/LaunchDaemons/$label.plist
socket=/var/run/wardline/agent.sock
[ "$(id -u)" -eq 0 ] || fail root "$(id -un)"
lock=/var/run/wardline-install.lock
# There is no flock here: the lock is a directory with the process that holds it, and one of a dead process is taken over.
if mkdir "$lock" 2>/dev/null || { holder=$(cat "$lock/pid" 2>/dev/null) && is_number "$holder" && ! kill -0 "$holder" 2>/dev/null; }; then
  echo "$$" > "$lock/pid"
  trap 'rm -rf "$lock"' EXIT
else
  fail busy another
fi

trap '' HUP PIPE TERM INT
mark() { stat -f %i:%Fc "$socket" 2>/dev/null; }
restart() {
  before=$(mark)
  launchctl bootout "system/$label" >/dev/null 2>&1
  launchctl bootstrap system "$plist" >/dev/null 2>&1
  launchctl enable "system/$label" >/dev/null 2>&1
  tries=0
  while [ "$tries" -lt 150 ]; do
    [ -S "$socket" ] && [ "$(mark)" != "$before" ] && return 0
    tries=$((tries + 1))
    sleep 0.2
  done
  return 1
}
last_words() { tail -n 3 /var/log/wardline-agent.log 2>/dev/null | cut -c1-300 | while IFS= read -r line; do say log "$line"; done; }
keep() { rm -f "$2.wardline-new"; ln "$1" "$2.wardline-new" && mv -f "$2.wardline-new" "$2"; }
replace() { cp "$1" "$2.wardline-new" && chmod "$3" "$2.wardline-new" && mv -f "$2.wardline-new" "$2"; }
exchange() {
  [ -f "$agent.previous" ] || return 1
  keep "$agent" "$agent.exchanged" && mv -f "$agent.previous" "$agent" && mv -f "$agent.exchanged" "$agent.previous"
}
if [ -f "$agent.exchanged" ]; then
  if [ -f "$agent.previous" ]; then rm -f "$agent.exchanged"; else mv -f "$agent.exchanged" "$agent.previous"; fi
fi

[ -f "$agent.previous" ] || fail previous "$agent.previous"
exchange || fail write "$agent"
if restart; then
  say version "$("$agent" --version --json </dev/null 2>/dev/null)"
  say outcome running
  exit 0
fi
last_words
if exchange && restart; then say outcome rolled-back; else say outcome down; fi
exit 0

# DARWIN_STAGE
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
say() { printf '@@ %s %s\n' "$1" "$2"; }
fail() { say failed "$1 $2"; exit 1; }
next() { IFS= read -r "$1" || fail input "$1"; }
sha() { { if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi; } < "$1" 2>/dev/null | cut -c1-64; }
is_hash() { case $1 in ''|*[!0-9a-f]*) return 1 ;; esac; [ "${#1}" -eq 64 ]; }
is_name() { case $1 in ''|.*|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 100 ]; }
is_account() { case $1 in ''|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 32 ]; }
is_number() { case $1 in ''|*[!0-9]*) return 1 ;; esac; [ "${#1}" -le 12 ]; }
is_path() { case $1 in /*) ;; *) return 1 ;; esac; case $1 in */../*|*/..) return 1 ;; esac; [ "${#1}" -le 300 ]; }
free_kb() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }

lib=/usr/local/lib/wardline
agent=$lib/wardline-agent
staged=$lib/staged
label=io.wardline.agent
plist=/Library/LaunchDaemons/$label.plist
socket=/var/run/wardline/agent.sock
[ "$(id -u)" -eq 0 ] || fail root "$(id -un)"
lock=/var/run/wardline-install.lock
# There is no flock here: the lock is a directory with the process that holds it, and one of a dead process is taken over.
if mkdir "$lock" 2>/dev/null || { holder=$(cat "$lock/pid" 2>/dev/null) && is_number "$holder" && ! kill -0 "$holder" 2>/dev/null; }; then
  echo "$$" > "$lock/pid"
  trap 'rm -rf "$lock"' EXIT
else
  fail busy another
fi

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
[ "${free:-0}" -ge "$needed_kb" ] || fail space "${free:-0}"
[ -r "$directory/$packed" ] || fail read "$directory"
gzip -dc < "$directory/$packed" 2>/dev/null | head -c "$((bytes + 1))" > "$staged/wardline-agent" || fail unpack "$packed"
[ "$(sha "$staged/wardline-agent")" = "$hash" ] || { rm -rf "$staged"; fail hash wardline-agent; }
chown 0:0 "$staged/wardline-agent" && chmod 0755 "$staged/wardline-agent" || fail write "$staged"
told=$("$staged/wardline-agent" --version --json </dev/null 2>"$staged/problem") || {
  problem=$(head -c 300 "$staged/problem" | tr '\n' ' ')
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
exit 0

# DARWIN_SWAP
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
say() { printf '@@ %s %s\n' "$1" "$2"; }
fail() { say failed "$1 $2"; exit 1; }
next() { IFS= read -r "$1" || fail input "$1"; }
sha() { { if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi; } < "$1" 2>/dev/null | cut -c1-64; }
is_hash() { case $1 in ''|*[!0-9a-f]*) return 1 ;; esac; [ "${#1}" -eq 64 ]; }
is_name() { case $1 in ''|.*|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 100 ]; }
is_account() { case $1 in ''|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 32 ]; }
is_number() { case $1 in ''|*[!0-9]*) return 1 ;; esac; [ "${#1}" -le 12 ]; }
is_path() { case $1 in /*) ;; *) return 1 ;; esac; case $1 in */../*|*/..) return 1 ;; esac; [ "${#1}" -le 300 ]; }
free_kb() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }

lib=/usr/local/lib/wardline
agent=$lib/wardline-agent
staged=$lib/staged
label=io.wardline.agent
plist=/Library/LaunchDaemons/$label.plist
socket=/var/run/wardline/agent.sock
[ "$(id -u)" -eq 0 ] || fail root "$(id -un)"
lock=/var/run/wardline-install.lock
# There is no flock here: the lock is a directory with the process that holds it, and one of a dead process is taken over.
if mkdir "$lock" 2>/dev/null || { holder=$(cat "$lock/pid" 2>/dev/null) && is_number "$holder" && ! kill -0 "$holder" 2>/dev/null; }; then
  echo "$$" > "$lock/pid"
  trap 'rm -rf "$lock"' EXIT
else
  fail busy another
fi

trap '' HUP PIPE TERM INT
mark() { stat -f %i:%Fc "$socket" 2>/dev/null; }
restart() {
  before=$(mark)
  launchctl bootout "system/$label" >/dev/null 2>&1
  launchctl bootstrap system "$plist" >/dev/null 2>&1
  launchctl enable "system/$label" >/dev/null 2>&1
  tries=0
  while [ "$tries" -lt 150 ]; do
    [ -S "$socket" ] && [ "$(mark)" != "$before" ] && return 0
    tries=$((tries + 1))
    sleep 0.2
  done
  return 1
}
last_words() { tail -n 3 /var/log/wardline-agent.log 2>/dev/null | cut -c1-300 | while IFS= read -r line; do say log "$line"; done; }
keep() { rm -f "$2.wardline-new"; ln "$1" "$2.wardline-new" && mv -f "$2.wardline-new" "$2"; }
replace() { cp "$1" "$2.wardline-new" && chmod "$3" "$2.wardline-new" && mv -f "$2.wardline-new" "$2"; }
exchange() {
  [ -f "$agent.previous" ] || return 1
  keep "$agent" "$agent.exchanged" && mv -f "$agent.previous" "$agent" && mv -f "$agent.exchanged" "$agent.previous"
}
if [ -f "$agent.exchanged" ]; then
  if [ -f "$agent.previous" ]; then rm -f "$agent.exchanged"; else mv -f "$agent.exchanged" "$agent.previous"; fi
fi

next hash
is_hash "$hash" || fail input hash
is_first=no
[ -f "$agent" ] || is_first=yes
if [ "$(sha "$staged/wardline-agent")" = "$hash" ]; then
  if [ "$is_first" = no ] && [ "$(sha "$agent")" != "$hash" ]; then
    keep "$agent" "$agent.previous" || fail write "$agent.previous"
  fi
  replace "$staged/io.wardline.agent.plist" "$plist" 0644 || fail write "$plist"
  mv -f "$staged/wardline-agent" "$agent" || fail write "$agent"
  rm -rf "$staged"
elif [ "$(sha "$agent")" != "$hash" ]; then
  fail staged wardline-agent
fi
mkdir -p /var/run/wardline && chmod 0755 /var/run/wardline
if restart; then say outcome running; exit 0; fi
last_words
if [ "$is_first" = yes ]; then
  launchctl bootout "system/$label" >/dev/null 2>&1
  rm -f "$plist" "$agent"
  rmdir "$lib" 2>/dev/null
  say outcome undone
elif exchange && restart; then
  say outcome rolled-back
else
  say outcome down
fi
exit 0

# DARWIN_UNINSTALL
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
say() { printf '@@ %s %s\n' "$1" "$2"; }
fail() { say failed "$1 $2"; exit 1; }
next() { IFS= read -r "$1" || fail input "$1"; }
sha() { { if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi; } < "$1" 2>/dev/null | cut -c1-64; }
is_hash() { case $1 in ''|*[!0-9a-f]*) return 1 ;; esac; [ "${#1}" -eq 64 ]; }
is_name() { case $1 in ''|.*|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 100 ]; }
is_account() { case $1 in ''|-*|*[!A-Za-z0-9._-]*) return 1 ;; esac; [ "${#1}" -le 32 ]; }
is_number() { case $1 in ''|*[!0-9]*) return 1 ;; esac; [ "${#1}" -le 12 ]; }
is_path() { case $1 in /*) ;; *) return 1 ;; esac; case $1 in */../*|*/..) return 1 ;; esac; [ "${#1}" -le 300 ]; }
free_kb() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }

lib=/usr/local/lib/wardline
agent=$lib/wardline-agent
staged=$lib/staged
label=io.wardline.agent
plist=/Library/LaunchDaemons/$label.plist
socket=/var/run/wardline/agent.sock
[ "$(id -u)" -eq 0 ] || fail root "$(id -un)"
lock=/var/run/wardline-install.lock
# There is no flock here: the lock is a directory with the process that holds it, and one of a dead process is taken over.
if mkdir "$lock" 2>/dev/null || { holder=$(cat "$lock/pid" 2>/dev/null) && is_number "$holder" && ! kill -0 "$holder" 2>/dev/null; }; then
  echo "$$" > "$lock/pid"
  trap 'rm -rf "$lock"' EXIT
else
  fail busy another
fi

trap '' HUP PIPE TERM INT
mark() { stat -f %i:%Fc "$socket" 2>/dev/null; }
restart() {
  before=$(mark)
  launchctl bootout "system/$label" >/dev/null 2>&1
  launchctl bootstrap system "$plist" >/dev/null 2>&1
  launchctl enable "system/$label" >/dev/null 2>&1
  tries=0
  while [ "$tries" -lt 150 ]; do
    [ -S "$socket" ] && [ "$(mark)" != "$before" ] && return 0
    tries=$((tries + 1))
    sleep 0.2
  done
  return 1
}
last_words() { tail -n 3 /var/log/wardline-agent.log 2>/dev/null | cut -c1-300 | while IFS= read -r line; do say log "$line"; done; }
keep() { rm -f "$2.wardline-new"; ln "$1" "$2.wardline-new" && mv -f "$2.wardline-new" "$2"; }
replace() { cp "$1" "$2.wardline-new" && chmod "$3" "$2.wardline-new" && mv -f "$2.wardline-new" "$2"; }
exchange() {
  [ -f "$agent.previous" ] || return 1
  keep "$agent" "$agent.exchanged" && mv -f "$agent.previous" "$agent" && mv -f "$agent.exchanged" "$agent.previous"
}
if [ -f "$agent.exchanged" ]; then
  if [ -f "$agent.previous" ]; then rm -f "$agent.exchanged"; else mv -f "$agent.exchanged" "$agent.previous"; fi
fi

next keep_state
case $keep_state in yes|no) ;; *) fail input keep_state ;; esac
options="--socket $socket --state-dir /var/db/wardline"
[ "$keep_state" = yes ] && options="--keep-state $options"
launchctl bootout "system/$label" >/dev/null 2>&1
if [ -x "$agent" ]; then
  if told=$("$agent" uninstall $options </dev/null 2>&1); then
    printf '%s\n' "$told" | grep '^Removed ' | head -n 20 | while IFS= read -r line; do say removed "$line"; done
  else
    restart
    fail refused "$(printf '%s' "$told" | tail -n 1)"
  fi
elif [ -f /var/db/wardline/index.json ]; then
  fail nobinary "$agent"
fi
rm -rf "$staged"
rm -f "$plist" "$agent" "$agent.previous" "$agent.exchanged"
rmdir "$lib" 2>/dev/null
if [ "$keep_state" = no ]; then
  for group in wardline wardline-operators wardline-admins; do
    dseditgroup -o delete "$group" >/dev/null 2>&1
  done
fi
say outcome removed
exit 0
