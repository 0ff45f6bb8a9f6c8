{{/* The topics and rights that the code needs, worked out as src/kafka/topics.ts and src/windows/levels.ts do. */}}

{{/* Every kind of window, as a YAML list of the end of its topic's name and its length in milliseconds. */}}
{{- define "tidemark.levels" -}}
- {end: "", ms: {{ include "tidemark.milliseconds" (include "tidemark.setting" (dict "root" . "name" "WINDOW_SIZE" "default" "10s")) }}}
{{- $rollups := include "tidemark.setting" (dict "root" . "name" "ROLLUPS" "default" "1m,1h,1d") }}
{{- if ne $rollups "none" }}
{{- range splitList "," $rollups }}
{{- $ms := include "tidemark.milliseconds" (trim .) }}
- {end: -{{ include "tidemark.duration" $ms }}, ms: {{ $ms }}}
{{- end }}
{{- end }}
{{- with include "tidemark.setting" (dict "root" . "name" "SLIDING_WINDOWS" "default" "") }}
{{- range splitList "," . }}
{{- $parts := splitList "/" (trim .) }}
{{- $ms := include "tidemark.milliseconds" (first $parts) }}
{{- $hopMs := include "tidemark.milliseconds" (last $parts) }}
- {end: -{{ include "tidemark.duration" $ms }}-{{ include "tidemark.duration" $hopMs }}, ms: {{ $ms }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The names of the topics by their role, as a YAML map; `partials` is a list, the base level first. */}}
{{- define "tidemark.topicNames" -}}
{{- $topics := .Values.kafka.topics }}
{{- $suffix := include "tidemark.generationSuffix" . }}
source: {{ $topics.source }}
enriched: {{ $topics.enriched }}
deadLetters: {{ $topics.deadLetters }}
redrives: {{ $topics.deadLetters }}-redriven
results: {{ $topics.results }}{{ $suffix }}
deviceStats: {{ $topics.deviceStats }}{{ $suffix }}
partials:
  {{- range include "tidemark.levels" . | fromYamlArray }}
  - {{ $topics.partials }}{{ .end }}{{ $suffix }}
  {{- end }}
{{- end }}

{{/* Bytes of a size as 1MiB. */}}
{{- define "tidemark.bytes" -}}
{{- $number := regexFind "^[0-9]+" . | default "0" | int64 }}
{{- $unit := regexFind "[a-zA-Z]+$" . }}
{{- mul $number (get (dict "B" 1 "KiB" 1024 "MiB" 1048576 "GiB" 1073741824) $unit | default 0) }}
{{- end }}

{{/* Every topic as a YAML list of name, partitions and config. */}}
{{- define "tidemark.topicPlan" -}}
{{- $topics := .Values.kafka.topics }}
{{- $names := include "tidemark.topicNames" . | fromYaml }}
{{- $mib := 1048576 }}
{{- $eventBytes := include "tidemark.bytes" (include "tidemark.setting" (dict "root" . "name" "MAX_EVENT_BYTES" "default" "1MiB")) | int64 }}
{{- $dimensionValues := include "tidemark.setting" (dict "root" . "name" "MAX_DIMENSION_VALUES" "default" "1000") | int64 }}
{{- $resultBytes := add (max $mib (mul 6 $dimensionValues 400)) 262144 }}
{{- $users := include "tidemark.setting" (dict "root" . "name" "USER_SAMPLE_SIZE" "default" "1024") | int64 }}
{{- $gapMs := include "tidemark.milliseconds" (include "tidemark.setting" (dict "root" . "name" "SESSION_GAP" "default" "30m")) | int64 }}
{{- $latenessMs := include "tidemark.milliseconds" (include "tidemark.setting" (dict "root" . "name" "ALLOWED_LATENESS" "default" "30s")) | int64 }}
{{- $horizonMs := include "tidemark.milliseconds" (include "tidemark.setting" (dict "root" . "name" "CORRECTION_HORIZON" "default" "5m")) | int64 }}
- name: {{ $names.source }}
  partitions: {{ $topics.partitions }}
  config: {message.timestamp.type: CreateTime}
- name: {{ $names.enriched }}
  partitions: {{ $topics.partitions }}
  config: {max.message.bytes: {{ add $eventBytes $mib }}}
- name: {{ $names.deadLetters }}
  partitions: {{ $topics.partitions }}
  config: {max.message.bytes: {{ add (max $resultBytes $eventBytes) $mib }}}
- name: {{ $names.redrives }}
  partitions: 1
  config: {cleanup.policy: compact}
{{- range $index, $level := include "tidemark.levels" . | fromYamlArray }}
{{- $ms := int64 $level.ms }}
- name: {{ index $names.partials $index }}
  partitions: {{ $topics.partialsPartitions }}
  config:
    cleanup.policy: delete
    message.timestamp.type: LogAppendTime
    retention.ms: {{ add $ms $latenessMs $horizonMs 86400000 }}
    retention.bytes: -1
    max.message.bytes: {{ add $resultBytes (mul $users (add 128 (mul 20 (add 1 (div (sub (add $ms $gapMs) 1) $gapMs))))) }}
{{- end }}
{{- range $name := list $names.results $names.deviceStats }}
- name: {{ $name }}
  partitions: {{ $topics.partialsPartitions }}
  config:
    cleanup.policy: compact
    segment.bytes: 67108864
    segment.ms: 3600000
    min.cleanable.dirty.ratio: 0.2
    {{- if eq $name $names.results }}
    max.message.bytes: {{ $resultBytes }}
    {{- end }}
{{- end }}
{{- end }}

{{/*
What each role may do, as a YAML map of lists of [type, name, pattern, operations]. Every topic that a role can see must let it
read the topic's settings, which are verified at its start.
*/}}
{{- define "tidemark.rights" -}}
{{- $topics := include "tidemark.topicNames" . | fromYaml }}
{{- $base := first $topics.partials }}
{{- $rollups := rest $topics.partials }}
{{- $read := "Read, Describe, DescribeConfigs" }}
{{- $write := "Write, Describe, DescribeConfigs" }}
{{- $exactlyOnce := eq (include "tidemark.setting" (dict "root" . "name" "DELIVERY" "default" "exactly-once")) "exactly-once" }}
aggregate:
  - [topic, {{ $topics.source }}, literal, [{{ $read }}]]
  # Partials are read once, at a start without any commit: they tell a loss of commits from a first start.
  - [topic, {{ $base }}, literal, [Read, {{ $write }}]]
  {{- if eq (include "tidemark.setting" (dict "root" . "name" "ENRICHED_ENABLED" "default" "true")) "true" }}
  - [topic, {{ $topics.enriched }}, literal, [{{ $write }}]]
  {{- end }}
  - [topic, {{ $topics.deadLetters }}, literal, [{{ $write }}]]
  - [group, {{ include "tidemark.group" (dict "root" . "component" "aggregate") }}, literal, [Read, Describe]]
  {{- if $exactlyOnce }}
  - [transactionalId, {{ include "tidemark.group" (dict "root" . "component" "aggregate") }}-, prefix, [Write, Describe]]
  {{- end }}
reduce:
  - [topic, {{ $topics.source }}, literal, [Describe, DescribeConfigs]]
  - [topic, {{ $base }}, literal, [{{ $read }}]]
  {{- range $rollups }}
  - [topic, {{ . }}, literal, [Read, {{ $write }}]]
  {{- end }}
  {{- range list $topics.results $topics.deviceStats $topics.deadLetters }}
  - [topic, {{ . }}, literal, [{{ $write }}]]
  {{- end }}
  - [group, {{ include "tidemark.group" (dict "root" . "component" "reduce") }}, literal, [Read, Describe]]
  - [transactionalId, {{ include "tidemark.group" (dict "root" . "component" "reduce") }}-, prefix, [Write, Describe]]
sink:
  - [topic, {{ $topics.results }}, literal, [{{ $read }}]]
  - [group, {{ include "tidemark.group" (dict "root" . "component" "sink") }}, literal, [Read, Describe]]
serve:
  - [topic, {{ $topics.results }}, literal, [{{ $read }}]]
generate:
  - [topic, {{ $topics.source }}, literal, [{{ $write }}]]
prepare:
  # The check alone: the topics are Strimzi's, or there already.
  - [topic, {{ $topics.source }}, literal, [Describe]]
  - [topic, {{ $base }}, literal, [Read, Describe]]
  {{- range $rollups }}
  - [topic, {{ . }}, literal, [Describe]]
  {{- end }}
  {{- range list "aggregate" "reduce" }}
  - [group, {{ include "tidemark.group" (dict "root" $ "component" .) }}, literal, [Describe]]
  {{- end }}
audit:
  {{- range list $topics.source $topics.results $topics.deviceStats }}
  - [topic, {{ . }}, literal, [{{ $read }}]]
  {{- end }}
test:
  - [topic, {{ $topics.source }}, literal, [{{ $write }}]]
  - [topic, {{ $topics.results }}, literal, [{{ $read }}]]
{{- end }}
