{{/* Names, labels and small conversions. */}}

{{- define "tidemark.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The longest name is `<fullname>-prepare-check`, and a CronJob's may have 52 characters: 42 leave room for all. */}}
{{- define "tidemark.fullname" -}}
{{- $name := include "tidemark.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 42 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 42 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 42 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Takes (dict "root" $ "component" "aggregate"): the name of the component's objects. */}}
{{- define "tidemark.componentName" -}}
{{- printf "%s-%s" (include "tidemark.fullname" .root) .component }}
{{- end }}

{{/* What never changes in the life of a workload. Takes (dict "root" $ "component" "aggregate"). */}}
{{- define "tidemark.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidemark.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* The labels of pods: without the chart's version, which would roll them although nothing has changed for them. */}}
{{- define "tidemark.podLabels" -}}
{{ include "tidemark.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/part-of: tidemark
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Takes (dict "root" $ "component" "aggregate"); without a component for what belongs to all. */}}
{{- define "tidemark.labels" -}}
{{ include "tidemark.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{/* The body of an object's metadata. Takes (dict "root" $ "component" "aggregate" "name" "…" "annotations" (dict …)); the name may be left out. */}}
{{- define "tidemark.metadata" -}}
name: {{ .name | default (include "tidemark.componentName" .) }}
labels:
  {{- include "tidemark.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tidemark.image" -}}
{{- $image := .Values.image }}
{{- $repository := ternary (printf "%s/%s" $image.registry $image.repository) $image.repository (ne $image.registry "") }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository ($image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* The account of a component's pods; those of aggregators and reducers have one each. */}}
{{- define "tidemark.serviceAccountName" -}}
{{- if not .root.Values.serviceAccount.create }}
{{- .root.Values.serviceAccount.name | default "default" }}
{{- else if eq (include "tidemark.usesApi" .) "true" }}
{{- include "tidemark.componentName" . }}
{{- else }}
{{- include "tidemark.fullname" .root }}
{{- end }}
{{- end }}

{{/* "true" when the component's pods ask something of the cluster's API. */}}
{{- define "tidemark.usesApi" -}}
{{- and .root.Values.kubernetes.enabled (has .component (list "aggregate" "reduce")) }}
{{- end }}

{{/* A setting's value as the text of an environment variable: Helm reads 1000000 as the number 1e+06. */}}
{{- define "tidemark.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}
{{- printf "%d" (int64 .) }}
{{- else }}
{{- toString . }}
{{- end }}
{{- end }}

{{/* Milliseconds of a duration as 30s or 1500ms. */}}
{{- define "tidemark.milliseconds" -}}
{{- $number := regexFind "^[0-9]+" . | default "0" | int64 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- mul $number (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000) $unit | default 0) }}
{{- end }}

{{/* Milliseconds as the code writes them in names: in the greatest unit that divides them. */}}
{{- define "tidemark.duration" -}}
{{- $ms := int64 . }}
{{- if eq (mod $ms 86400000) 0 }}{{ div $ms 86400000 }}d
{{- else if eq (mod $ms 3600000) 0 }}{{ div $ms 3600000 }}h
{{- else if eq (mod $ms 60000) 0 }}{{ div $ms 60000 }}m
{{- else if eq (mod $ms 1000) 0 }}{{ div $ms 1000 }}s
{{- else }}{{ $ms }}ms
{{- end }}
{{- end }}

{{/* Takes (dict "root" $ "name" "FLUSH_INTERVAL" "default" "1s"): a setting of `config`, or the code's default. */}}
{{- define "tidemark.setting" -}}
{{- $value := get .root.Values.config .name }}
{{- if kindIs "invalid" $value }}{{ .default }}{{ else if eq (toString $value) "" }}{{ .default }}{{ else }}{{ include "tidemark.text" $value }}{{ end }}
{{- end }}

{{/* Takes a component's values and what a number of replicas may come to: the most that can be. (dict "root" $ "component" "aggregate") */}}
{{- define "tidemark.mostReplicas" -}}
{{- $values := .root.Values }}
{{- $own := get $values (ternary "generator" .component (eq .component "generate")) }}
{{- $keda := get $values.autoscaling.keda .component | default dict }}
{{- $hpa := get $values.autoscaling.hpa .component | default dict }}
{{- if and $values.autoscaling.keda.enabled $keda.enabled }}
{{- $keda.maxReplicas | default (include "tidemark.partitionsOf" .) | int }}
{{- else if $hpa.enabled }}
{{- $hpa.maxReplicas | default (include "tidemark.partitionsOf" .) | int }}
{{- else }}
{{- int $own.replicas }}
{{- end }}
{{- end }}

{{/* How many pods of a component can be busy at once. */}}
{{- define "tidemark.partitionsOf" -}}
{{- $topics := .root.Values.kafka.topics }}
{{- ternary $topics.partitions $topics.partialsPartitions (eq .component "aggregate") | int }}
{{- end }}

{{/* "true" when something else than `replicas` sets the number of a component's pods. */}}
{{- define "tidemark.isScaled" -}}
{{- or (eq (include "tidemark.isScaledByKeda" .) "true") (eq (include "tidemark.isScaledByHpa" .) "true") }}
{{- end }}

{{- define "tidemark.isScaledByKeda" -}}
{{- $keda := .root.Values.autoscaling.keda }}
{{- and $keda.enabled (dig "enabled" false (get $keda .component | default dict)) }}
{{- end }}

{{/* "true" when the aggregators raise their ScaledObject's limit as partitions are added: a limit that somebody has set stays. */}}
{{- define "tidemark.keepsLimit" -}}
{{- $scaled := eq (include "tidemark.isScaledByKeda" (dict "root" . "component" "aggregate")) "true" }}
{{- and .Values.kubernetes.enabled $scaled (empty .Values.autoscaling.keda.aggregate.maxReplicas) }}
{{- end }}

{{- define "tidemark.isScaledByHpa" -}}
{{- dig "enabled" false (get .root.Values.autoscaling.hpa .component | default dict) }}
{{- end }}

{{/* Suffix of what belongs to one generation: nothing for the first. */}}
{{- define "tidemark.generationSuffix" -}}
{{- $generation := include "tidemark.setting" (dict "root" . "name" "STREAM_GENERATION" "default" "1") | int }}
{{- if gt $generation 1 }}{{ printf "-g%d" $generation }}{{ end }}
{{- end }}

{{/* Takes (dict "root" $ "component" "aggregate"): the consumer group. */}}
{{- define "tidemark.group" -}}
{{- printf "%s-%s%s" .root.Values.kafka.consumerGroup .component (include "tidemark.generationSuffix" .root) }}
{{- end }}

{{/* Records that may wait for each aggregator: what one works off in the time that is wanted, or the plain threshold. */}}
{{- define "tidemark.aggregateLagThreshold" -}}
{{- $keda := .Values.autoscaling.keda }}
{{- if $keda.capacity.eventsPerSecondPerPod }}
{{- mul (int64 $keda.capacity.eventsPerSecondPerPod) (int64 $keda.capacity.targetDrainSeconds) }}
{{- else }}
{{- include "tidemark.text" $keda.lagThreshold }}
{{- end }}
{{- end }}
