#!/usr/bin/env bash
# A real Apache Kafka broker for tests: one process on loopback, free ports, its
# own folder. Needs java (17 or later), openssl and, the first time, mvn.
# Beside the plain listener it has two more, written to FOLDER/address.sasl
# (SASL_PLAINTEXT: SCRAM-SHA-256 as alice/alice-secret, and OAUTHBEARER with
# unsecured tokens) and FOLDER/address.ssl (TLS under FOLDER/ca.pem, a CA made
# for this broker and thrown away with it).
#
#   kafka.sh fetch                     brings the jars into the user's cache, once
#   kafka.sh start FOLDER [OWNER_PID]  starts a broker, prints HOST:PORT when it answers;
#                                      with OWNER_PID it is stopped when that process is gone
#   kafka.sh pause FOLDER              stops it at once (kill -9), its data stays
#   kafka.sh resume FOLDER             starts it again on the same ports and data
#   kafka.sh stop FOLDER               stops it and removes the folder
set -euo pipefail

readonly version=4.3.0
readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly jars="${XDG_CACHE_HOME:-$HOME/.cache}/springtide/services/kafka-$version"
readonly ready_seconds=60

fail() {
  echo "kafka.sh: $*" >&2
  exit 1
}

need() {
  command -v "$1" >/dev/null || fail "'$1' is missing ($2). Install it (Debian: $3) or run \`make setup-test\`; SPRINGTIDE_TEST_SERVICES=none leaves these tests out."
}

fetch() {
  [[ -e "$jars/complete" ]] && return
  need mvn "it brings the broker's jars, once" maven
  need flock "one fetch at a time" util-linux
  mkdir -p "$jars"
  (
    flock 9
    [[ -e "$jars/complete" ]] && exit
    echo "kafka.sh: bringing Apache Kafka $version (about 55 MB, once) into $jars" >&2
    rm -rf "$jars/lib"
    mvn -q -B -f "$here/kafka/pom.xml" dependency:copy-dependencies \
      -DoutputDirectory="$jars/lib" >&2 || fail "Maven could not bring the jars: see above"
    : >"$jars/complete"
  ) 9>"$jars/lock"
}

# A port nobody listens on. Another process may take it first: start tries again.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 30000))
    (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# A CA and a certificate of 127.0.0.1 under it, for this broker alone.
certify() {
  local folder=$1
  (
    umask 077
    cd "$folder"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
      -subj "/CN=CA of a test" -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
      -subj "/CN=127.0.0.1" -keyout broker.key -out broker.csr
    openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
      -extfile <(echo "subjectAltName=IP:127.0.0.1") -out broker.pem
    cat broker.key broker.pem >keystore.pem
    rm -f ca.key broker.key broker.csr
  ) >"$folder/certify.log" 2>&1 || { cat "$folder/certify.log" >&2; return 1; }
}

configure() {
  local folder=$1 ports=() port broker controller sasl ssl
  while ((${#ports[@]} < 4)); do
    port=$(free_port)
    [[ " ${ports[*]} " == *" $port "* ]] || ports+=("$port")
  done
  broker=${ports[0]} controller=${ports[1]} sasl=${ports[2]} ssl=${ports[3]}
  echo "127.0.0.1:$broker" >"$folder/address"
  echo "127.0.0.1:$sasl" >"$folder/address.sasl"
  echo "127.0.0.1:$ssl" >"$folder/address.ssl"
  certify "$folder" || return 1
  cat >"$folder/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$broker,SASL_PLAINTEXT://127.0.0.1:$sasl,SSL://127.0.0.1:$ssl,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$broker,SASL_PLAINTEXT://127.0.0.1:$sasl,SSL://127.0.0.1:$ssl
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256,OAUTHBEARER
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
ssl.keystore.type=PEM
ssl.keystore.location=$folder/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$folder/ca.pem
log.dirs=$folder/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=500
log.initial.task.delay.ms=500
file.delete.delay.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=5000
PROPERTIES
  cat >"$folder/log4j2.properties" <<PROPERTIES
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c: %m%n
PROPERTIES
  (become_kafka kafka.tools.StorageTool "$folder" format -t "$(cluster_id)" \
    -c "$folder/server.properties" \
    --add-scram "SCRAM-SHA-256=[name=alice,password=alice-secret]") >"$folder/format.log" 2>&1
}

# 16 random bytes in URL-safe base64, as Kafka writes ids.
cluster_id() {
  head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 1-22
}

# Replaces the shell it runs in, so that a background job's pid is java's own.
become_kafka() {
  local class=$1 folder=$2
  shift 2
  exec java -Xmx384m -XX:+UseSerialGC "-Dlog4j2.configurationFile=$folder/log4j2.properties" \
    -cp "$jars/lib/*" "$class" "$@"
}

# Runs the broker of a folder that is configured; fails if it ends or is not ready in time.
run() {
  local folder=$1 address port pid
  address=$(<"$folder/address")
  port=${address##*:}
  # No descriptor is inherited: whoever reads our output must not wait for the broker.
  become_kafka kafka.Kafka "$folder" "$folder/server.properties" \
    </dev/null >>"$folder/broker.log" 2>&1 &
  pid=$!
  echo "$pid" >"$folder/pid"
  disown "$pid"
  for ((tenths = 0; tenths < ready_seconds * 10; tenths++)); do
    kill -0 "$pid" 2>/dev/null || return 1
    if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  return 1
}

# Stops the broker when its owner is gone, however that went.
watch_owner() {
  local folder=$1 owner=$2
  (
    while kill -0 "$owner" 2>/dev/null && [[ -d $folder ]]; do sleep 0.5; done
    [[ -d $folder ]] && stop "$folder"
  ) </dev/null >/dev/null 2>&1 &
  disown $!
}

start() {
  local folder=$1 owner=${2:-}
  need java "it runs the broker" openjdk-17-jre-headless
  need openssl "it makes the certificate of the broker's TLS listener" openssl
  fetch
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  for attempt in 1 2 3; do
    rm -rf "$folder/data"
    if configure "$folder" && run "$folder"; then
      [[ -n $owner ]] && watch_owner "$folder" "$owner"
      cat "$folder/address"
      return
    fi
  done
  tail -n 20 "$folder/format.log" "$folder/broker.log" >&2 || true
  fail "the broker did not start; its log is above"
}

pause() {
  local pid
  pid=$(<"$1/pid")
  kill -9 "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

stop() {
  [[ -e "$1/pid" ]] && pause "$1"
  rm -rf "$1"
}

command=${1:-}
case $command in
  fetch) fetch ;;
  start) start "${2:?a folder is needed}" "${3:-}" ;;
  pause | stop) "$command" "${2:?a folder is needed}" ;;
  resume)
    run "${2:?a folder is needed}" || { tail -n 20 "$2/broker.log" >&2; fail "the broker did not come back"; }
    cat "$2/address"
    ;;
  *) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
