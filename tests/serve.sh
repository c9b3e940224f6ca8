#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# bragg serve beside bragg operando --follow: the page comes and shows frames as they are
# fitted, nothing else is served, only loopback is listened on, SIGTERM ends it.
set -u
export LC_ALL=C
src=$(cd "${TOP_SRCDIR:-.}" && pwd) bragg=$(cd "${TOP_BUILDDIR:-.}" && pwd)/bragg
work=$(mktemp -d) || exit 99
server= follower=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    [ -z "$follower" ] || kill "$follower" 2>/dev/null
    wait
    rm -rf "$work"
}
trap end EXIT
bad=0
fail() { echo "$*"; bad=1; }
for option in HDF5 uPlot libmicrohttpd; do
    "$bragg" --version | grep -q "no $option" && { echo "skipped: this build has no $option"; exit 77; }
done

# refused: other addresses, folders that are not there, stores that are none
"$bragg" serve "$work" --address 0.0.0.0 2>"$work/err" && fail "0.0.0.0 was listened on"
grep -q -- --anyone "$work/err" || fail "says '$(cat "$work/err")', expected --anyone"
"$bragg" serve "$work/nowhere/results" 2>"$work/err" && fail "served a folder that cannot come"
"$bragg" serve "$work/results.h5" 2>"$work/err" && fail "served a store that is not there"
mkdir "$work/other" && echo text >"$work/other/series.h5"
"$bragg" serve "$work/other" 2>"$work/err" && fail "served what is no store"
command -v curl >/dev/null 2>&1 || { echo "skipped: no curl"; exit 77; }

# frames come while it runs
"$bragg" simulate "$src/tests/report/truth.yaml" -o "$work/run" 2>/dev/null || fail "simulate failed"
cp "$src/tests/report/experiment.yaml" "$work/run"
cp "$work/run/cycler.mpt" "$work/whole.mpt" && head -c 12345 "$work/whole.mpt" >"$work/run/cycler.mpt" # which is still written
mkdir "$work/later" && mv "$work/run/frames/"*.xye "$work/later"
"$bragg" serve "$work/results/" --port 0 >"$work/url" 2>"$work/err" & # a folder that operando will make
server=$!
for k in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -s "$work/url" ] && break
    sleep 0.2
done
url=$(cat "$work/url")
case $url in http://127.0.0.1:*/) ;; *) fail "printed '$url': $(cat "$work/err")"; exit 1 ;; esac
grep -q "is not there yet: the page waits for bragg operando EXPERIMENT.yaml --follow -o" "$work/err" || fail "says '$(cat "$work/err")', expected what it waits for"
get() { curl -s -o "$work/answer" -w '%{http_code}' --max-time 20 "$@"; }
[ "$(get "${url}run")" = 503 ] || fail "a run that has not begun is served"
"$bragg" operando "$work/run/experiment.yaml" -o "$work/results" --follow --no-figures >"$work/out" 2>"$work/follow.err" &
follower=$!
bring() { for frame in "$@"; do mv "$work/later/000$frame.xye" "$work/run/frames"; done; }
frames() { # as many as the store holds, waiting for $1
    for k in $(seq 100); do
        get "${url}run" >/dev/null
        epoch=$(tr -d '\000' <"$work/answer" | sed -n 's/.*"epoch":\([0-9]*\).*/\1/p' | head -1)
        get "${url}changes?after=0&epoch=${epoch:-0}" >/dev/null
        n=$(tr -d '\000' <"$work/answer" | grep -a -o '"[0-9]*\.xye"' | wc -l)
        [ "$n" -ge "$1" ] && break
        sleep 0.2
    done
    echo "$n"
}
bring 01 02 03 04
n=$(frames 4)
[ "$n" = 4 ] || fail "$n frames are served, expected 4: $(cat "$work/follow.err")"
[ "$(get "$url")" = 200 ] || fail "the page does not come"
grep -q 'id="interactive"' "$work/answer" || fail "the page is another"

# what is not asked rightly
[ "$(get "${url}frame?k=2")" = 200 ] || fail "frame 2 does not come"
[ "$(get "${url}frame?k=99999")" = 404 ] || fail "a frame that is not there comes"
[ "$(get "${url}frame?k=-1")" = 400 ] || fail "frame -1 is taken for a number"
[ "$(get "${url}changes?after=x")" = 400 ] || fail "x is taken for a number"
for path in series.h5 ../series.h5 %2e%2e/results/series.h5 results run/experiment.yaml etc/passwd; do
    [ "$(get --path-as-is "$url$path")" = 404 ] || fail "$path is served"
done
[ "$(get -X POST -d x "$url")" = 405 ] || fail "POST is taken"
[ "$(get -H 'Host: evil.example' "${url}run")" = 403 ] || fail "answers under another name"
printf 'GARBAGE\r\n\r\n' | curl -s --max-time 2 "telnet://${url#http://}" >/dev/null 2>&1
[ "$(get "$url")" = 200 ] || fail "does not answer after garbage"

chromium=
for name in ${CHROMIUM:-chromium chromium-browser google-chrome}; do
    command -v "$name" >/dev/null 2>&1 && { chromium=$name; break; }
done
if [ -n "$chromium" ]; then
    (sleep 1; cp "$work/whole.mpt" "$work/run/cycler.mpt"; bring 05 06 07 08 09 10 11 12) &
    # its clock runs ahead of ours between one question and the next: ten minutes are some seconds
    "$chromium" --headless --disable-gpu --no-first-run --disable-background-networking --disable-dev-shm-usage --user-data-dir="$work/profile" \
        $([ "$(id -u)" = 0 ] && echo --no-sandbox) --window-size=1200,1800 --enable-logging=stderr --virtual-time-budget=600000 --dump-dom "$url" >"$work/dom" 2>"$work/console"
    wait $!
    grep -q 'live: 12 frames' "$work/dom" || fail "the page shows '$(grep -o 'id="state"[^<]*<' "$work/dom")', expected 12 frames"
    grep -q 'Frame 11 (00012.xye)' "$work/dom" || fail "the last frame is not shown"
    grep -q 'live: 12 frames.* are preliminary' "$work/dom" || fail "the page shows '$(grep -o 'id="state"[^<]*<' "$work/dom")', expected that the log is preliminary"
    grep -q '<label><input type="checkbox"[^>]*> Voltage (V)' "$work/dom" || fail "the voltage is not offered while the run goes on"
    for name in 'a Cu' 'a Bi' 'c Bi' 'V Cu'; do
        grep -q "<label><input type=\"checkbox\"[^>]*> $name (" "$work/dom" || fail "$name is not offered among the quantities"
    done
    for name in 'b Cu' 'c Cu' 'alpha Cu' 'b Bi' 'size Cu' Temperature; do # tied, held, not logged: nothing to draw
        grep -q "<label><input type=\"checkbox\"[^>]*> $name (" "$work/dom" && fail "$name is offered and has no number"
    done
    grep ':CONSOLE' "$work/console" && fail "something was written to the console"
else
    echo "no Chromium: the page was not opened"
    cp "$work/whole.mpt" "$work/run/cycler.mpt"
    bring 05 06 07 08 09 10 11 12
fi
n=$(frames 12)
[ "$n" = 12 ] || fail "$n frames are served at the end"
preliminary() { for k in $(seq "$1"); do frames 12 >/dev/null; tr -d '\000' <"$work/answer" | grep -a -q '"preliminary":true' && return; sleep 0.3; done; return 1; }
preliminary 60 || fail "nothing of the log is served while the run goes on: $(cat "$work/follow.err")"
grep "cannot be read now" "$work/follow.err" && fail "a log that is still written cannot be read"
kill -TERM "$follower"
wait "$follower" || fail "operando ended with $?"
follower=
n=$(frames 12) # the store has been replaced by its final one
[ "$n" = 12 ] || fail "$n frames are served after the end"
preliminary 1 && fail "the log is preliminary after the end"
kill -TERM "$server"
wait "$server" || fail "SIGTERM: ended with $?"
server=
[ "$(get "$url")" = 000 ] || fail "it still listens"
exit $bad
