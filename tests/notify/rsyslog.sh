#!/usr/bin/env bash
# Incidents of the sample account to a real rsyslogd on loopback, plain and by TLS; tests/notify/rsyslog.py judges what it parsed.
# Needs rsyslogd (with its module for gnutls or openssl), openssl and python3.   usage: tests/notify/rsyslog.sh [STORE-FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/target/notify
rm -rf "$out" && mkdir -p "$out"
[ -n "${FLOWTRAIL:-}" ] || cargo build --quiet
bin=${FLOWTRAIL:-target/debug/flowtrail}
rsyslogd=$(command -v rsyslogd || echo /usr/sbin/rsyslogd)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# A certificate authority of our own, and a certificate for localhost.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=flowtrail test" -keyout "$out/ca.key" -out "$out/ca.pem" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout "$out/host.key" -out "$out/host.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n' >"$out/host.ext"
openssl x509 -req -in "$out/host.csr" -CA "$out/ca.pem" -CAkey "$out/ca.key" -CAcreateserial -days 2 -extfile "$out/host.ext" \
  -out "$out/host.pem" 2>/dev/null

collector() { # NAME PORT IMTCP-OPTIONS
  cat >"$out/$1.conf" <<CONF
global(workDirectory="$out" net.permitACLWarning="off"
  defaultNetstreamDriverCAFile="$out/ca.pem" defaultNetstreamDriverCertFile="$out/host.pem" defaultNetstreamDriverKeyFile="$out/host.key")
module(load="imtcp" $3)
module(load="mmpstrucdata")
template(name="record" type="list") {
  constant(value="{\"pri\":\"") property(name="pri")
  constant(value="\",\"time\":\"") property(name="timestamp" dateFormat="rfc3339")
  constant(value="\",\"host\":\"") property(name="hostname" format="json")
  constant(value="\",\"app\":\"") property(name="app-name" format="json")
  constant(value="\",\"msgid\":\"") property(name="msgid" format="json")
  constant(value="\",\"msg\":\"") property(name="msg" format="json")
  constant(value="\",\"raw\":\"") property(name="rawmsg" format="json")
  constant(value="\",\"rfc5424-sd\":") property(name="\$!rfc5424-sd") constant(value="}\n")
}
ruleset(name="in") {
  action(type="mmpstrucdata" sd_name.lowercase="off")
  action(type="omfile" file="$out/$1.ndjson" template="record")
}
input(type="imtcp" address="127.0.0.1" port="$2" ruleset="in")
CONF
  "$rsyslogd" -n -f "$out/$1.conf" -i "$out/$1.pid" >"$out/$1.log" 2>&1 &
  pids="${pids:-} $!"
  for _ in $(seq 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return
    sleep 0.1
  done
  cat "$out/$1.log" >&2
  exit 1
}
trap 'kill ${pids:-} 2>/dev/null || true' EXIT

plain=$(free_port)
collector plain "$plain" ""
tls=$(free_port)
driver=ossl
[ -e /usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_ossl.so ] || driver=gtls
collector tls "$tls" "streamDriver.name=\"$driver\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\""

cat >"$out/flowtrail.toml" <<TOML
[notify.plain]
kind = "syslog"
address = "127.0.0.1:$plain"
min-severity = "low"
facility = "auth"
hostname = "scanner"
[notify.tls]
kind = "syslog"
address = "localhost:$tls"
tls = true
min-severity = "low"
TOML
export SSL_CERT_FILE="$out/ca.pem"
account=(samples/account/flow --trail samples/account/trail --tor-exits samples/account/intel/torbulkexitlist
  --threat-list samples/account/intel/threat-list.txt --inventory samples/account/inventory/describe-network-interfaces.json)
for run in first second; do
  "$bin" scan "${account[@]}" --config "$out/flowtrail.toml" --notify plain --notify tls --notify-journal "$out/journal" \
    --format ndjson -o "$out/incidents.ndjson" 2>"$out/$run.err" || { cat "$out/$run.err" "$out"/*.log; exit 1; }
  grep '^flowtrail: notify' "$out/$run.err"
done
sleep 1
python3 tests/notify/rsyslog.py "$out/incidents.ndjson" "$out/plain.ndjson" auth scanner
python3 tests/notify/rsyslog.py "$out/incidents.ndjson" "$out/tls.ndjson" local0 -
if [ -n "${1:-}" ]; then
  sort "$out/plain.ndjson" >"$1/rsyslog.ndjson"
  cp "$out/incidents.ndjson" "$1/incidents.ndjson"
fi
