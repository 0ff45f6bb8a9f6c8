#!/bin/sh
# Starts one broker. KAFKA_LOG_DIRS in the environment is log.dirs in its settings, and so on, as in apache/kafka.
set -eu

settings=/tmp/server.properties
java_options="${KAFKA_HEAP_OPTS:--Xms256m -Xmx512m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Djava.awt.headless=true"
cluster_id="${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}"

env | while IFS='=' read -r name value; do
  case "$name" in
    KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_JVM_PERFORMANCE_OPTS | KAFKA_VERSION) ;;
    KAFKA_*) printf '%s=%s\n' "$(printf '%s' "${name#KAFKA_}" | tr '[:upper:]_' '[:lower:].')" "$value" ;;
  esac
done > "$settings"

if [ ! -e "${KAFKA_LOG_DIRS:?}/meta.properties" ]; then
  # shellcheck disable=SC2086
  java $java_options -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format --ignore-formatted -t "$cluster_id" -c "$settings"
fi
# shellcheck disable=SC2086
exec java $java_options -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties -cp '/opt/kafka/libs/*' kafka.Kafka "$settings"
