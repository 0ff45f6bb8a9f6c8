{{/*
What values.schema.json cannot see: values that are right each by itself and cannot work together, and what the cluster lacks.
All that is wrong is told at once, each with what is allowed and what to do.
*/}}
{{- define "tidemark.check" -}}
{{- $complaints := list }}
{{- range $check := list "replicas" "autoscaling" "connection" "sink" "grace" "monitoring" "strimzi" "kinds" "secrets" }}
{{- range splitList "\n" (include (printf "tidemark.check.%s" $check) $) }}
{{- with trim . }}
{{- $complaints = append $complaints (printf "  - %s" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $complaints }}
{{- fail (printf "\n\nTidemark cannot run with these values:\n%s\n" (join "\n" $complaints)) }}
{{- end }}
{{- end }}

{{/* A pod without a partition would be idle for ever. One complaint a line, as in all that follow. */}}
{{- define "tidemark.check.replicas" -}}
{{- $values := .Values }}
{{- range $component, $key := dict "aggregate" "partitions" "reduce" "partialsPartitions" "sink" "partialsPartitions" }}
{{- $own := get $values $component }}
{{- $scope := dict "root" $ "component" $component }}
{{- $partitions := int (include "tidemark.partitionsOf" $scope) }}
{{- $limit := printf "kafka.topics.%s is %d, and each pod needs a partition of its own" $key $partitions }}
{{- $fix := ternary
  "if the topic has more partitions, tell their number in kafka.topics.partitions"
  "more partitions need a new generation of the internal topics (config.STREAM_GENERATION)" (eq $component "aggregate") }}
{{- $names := list }}
{{- if eq (include "tidemark.isScaledByKeda" $scope) "true" }}
{{- $names = append $names (list "autoscaling.keda" (get $values.autoscaling.keda $component)) }}
{{- end }}
{{- if eq (include "tidemark.isScaledByHpa" $scope) "true" }}
{{- $names = append $names (list "autoscaling.hpa" (get $values.autoscaling.hpa $component)) }}
{{- end }}
{{- range $names }}
{{- $name := printf "%s.%s" (first .) $component }}
{{- $most := (last .).maxReplicas | default $partitions | int }}
{{- $least := (last .).minReplicas | int }}
{{- if gt $most $partitions }}
{{ $name }}.maxReplicas is {{ $most }}: {{ $limit }}. Allowed is at most {{ $partitions }}; leave it empty for just that, or {{ $fix }}.
{{- end }}
{{- if gt $least $most }}
{{ $name }}.minReplicas is {{ $least }}: allowed is at most maxReplicas, {{ $most }}.
{{- end }}
{{- end }}
{{- if and $own.enabled (not $names) (gt (int $own.replicas) $partitions) }}
{{ $component }}.replicas is {{ $own.replicas }}: {{ $limit }}. Allowed is at most {{ $partitions }}; or {{ $fix }}.
{{- end }}
{{- end }}
{{- end }}

{{- define "tidemark.check.autoscaling" -}}
{{- $values := .Values }}
{{- range $component := list "aggregate" "reduce" "serve" }}
{{- $scope := dict "root" $ "component" $component }}
{{- $hpa := eq (include "tidemark.isScaledByHpa" $scope) "true" }}
{{- if and $hpa (eq (include "tidemark.isScaledByKeda" $scope) "true") }}
autoscaling.hpa.{{ $component }}.enabled and autoscaling.keda.{{ $component }}.enabled are both on: KEDA makes an HPA of its own, and two of them would fight over the Deployment. Switch one off.
{{- end }}
{{- if and $hpa (not (dig "requests" "cpu" "" (get $values $component).resources)) }}
autoscaling.hpa.{{ $component }}.enabled is on, but {{ $component }}.resources.requests.cpu is not given: an HPA compares what is used with what is requested. Set it, as to 250m.
{{- end }}
{{- end }}
{{- with $values.autoscaling.hpa.serve }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
autoscaling.hpa.serve.minReplicas is {{ .minReplicas }}: allowed is at most maxReplicas, {{ .maxReplicas }}.
{{- end }}
{{- end }}
{{- with $values.autoscaling.keda }}
{{- if and .enabled (eq $values.kafka.sasl.mechanism "oauthbearer") (not .authenticationRef.name) }}
autoscaling.keda.enabled is on and kafka.sasl.mechanism is oauthbearer: KEDA asks for tokens itself, and cannot use the one in the secret. Name a TriggerAuthentication of your own in autoscaling.keda.authenticationRef.name.
{{- end }}
{{- end }}
{{- end }}

{{- define "tidemark.check.connection" -}}
{{- $kafka := .Values.kafka }}
{{- $users := .Values.strimzi.users.enabled }}
{{- with $kafka.tls }}
{{- if and (not .enabled) (not $users) (or .existingSecret .caExistingSecret) }}
kafka.tls.existingSecret or caExistingSecret is given, but kafka.tls.enabled is false: set it to true, or take the secrets away.
{{- end }}
{{- if ne (empty .certKey) (empty .keyKey) }}
kafka.tls.certKey and kafka.tls.keyKey go together: name both for a certificate of our own (Strimzi: user.crt and user.key), or none.
{{- end }}
{{- if and .enabled .certKey (not .existingSecret) (not $users) }}
kafka.tls.certKey is {{ .certKey }}, but kafka.tls.existingSecret is not given: name the secret that holds it.
{{- end }}
{{- if and .caExistingSecret (not .caKey) }}
kafka.tls.caExistingSecret is {{ .caExistingSecret }}, but kafka.tls.caKey is empty: name the key of the certificates in it, as ca.crt.
{{- end }}
{{- end }}
{{- with $kafka.sasl }}
{{- if and .mechanism $users }}
kafka.sasl.mechanism is {{ .mechanism }}, and strimzi.users.enabled is on: each role then signs in as its own KafkaUser. Leave kafka.sasl empty, and choose by strimzi.users.authentication.
{{- else if .mechanism }}
{{- if not .existingSecret }}
kafka.sasl.mechanism is {{ .mechanism }}, but kafka.sasl.existingSecret is not given: name a secret of this namespace with the password under the key {{ .passwordKey }}.
{{- end }}
{{- if and (not .username) (ne .mechanism "oauthbearer") }}
kafka.sasl.mechanism is {{ .mechanism }}, but kafka.sasl.username is not given: set it.
{{- end }}
{{- else if or .existingSecret .username }}
kafka.sasl.username or existingSecret is given, but kafka.sasl.mechanism is empty: set it to plain, scram-sha-256, scram-sha-512 or oauthbearer.
{{- end }}
{{- end }}
{{- end }}

{{- define "tidemark.check.sink" -}}
{{- with .Values.sink }}
{{- if .enabled }}
{{- if and .embedded .database.existingSecret }}
sink.embedded is true and sink.database.existingSecret is {{ .database.existingSecret }}: the results go to one database. Take one of them away.
{{- else if and .embedded (gt (int .replicas) 1) }}
sink.replicas is {{ .replicas }} with sink.embedded: each pod would hold a part of the results. Allowed is 1; for more use PostgreSQL (sink.database.existingSecret).
{{- else if not (or .embedded .database.existingSecret) }}
sink.enabled is on, but there is no database: name a secret with a PostgreSQL URL in sink.database.existingSecret (its key in sink.database.key, now {{ .database.key }}), or set sink.embedded=true for a database in memory, for a look around.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tidemark.check.grace" -}}
{{- with .Values.serve }}
{{- $needed := add 10 (int .preStopSleepSeconds) }}
{{- if and .enabled (lt (int .terminationGracePeriodSeconds) (int $needed)) }}
serve.terminationGracePeriodSeconds is {{ .terminationGracePeriodSeconds }}: allowed is at least {{ $needed }}, serve.preStopSleepSeconds and 10 s for requests under way.
{{- end }}
{{- end }}
{{- end }}

{{- define "tidemark.check.monitoring" -}}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled }}
metrics.podMonitor.enabled and metrics.serviceMonitor.enabled are both on: every pod would be scraped twice, and counted twice. Switch one off.
{{- end }}
{{- end }}

{{- define "tidemark.check.strimzi" -}}
{{- $values := .Values }}
{{- with $values.strimzi }}
{{- if and (or .topics.enabled .users.enabled) (not .cluster) }}
strimzi.topics or strimzi.users is on, but strimzi.cluster is not given: name the Kafka object whose operators shall take care of them.
{{- end }}
{{- if and .users.enabled (not .topics.enabled) $values.prepare.enabled $values.prepare.createTopics }}
strimzi.users.enabled is on and strimzi.topics.enabled is not: the users come with the release, so that no one could create the topics before it. Set strimzi.topics.enabled=true, or prepare.createTopics=false when the topics are there.
{{- end }}
{{- end }}
{{- end }}

{{/* Kinds that the cluster must know. Without a cluster Helm knows of none. */}}
{{- define "tidemark.check.kinds" -}}
{{- if not .Values.skipCapabilitiesCheck }}
{{- $wanted := list
  (list .Values.autoscaling.keda.enabled "autoscaling.keda.enabled" "keda.sh/v1alpha1" "ScaledObject" "KEDA")
  (list .Values.metrics.podMonitor.enabled "metrics.podMonitor.enabled" "monitoring.coreos.com/v1" "PodMonitor" "the Prometheus operator")
  (list .Values.metrics.serviceMonitor.enabled "metrics.serviceMonitor.enabled" "monitoring.coreos.com/v1" "ServiceMonitor" "the Prometheus operator")
  (list .Values.metrics.prometheusRule.enabled "metrics.prometheusRule.enabled" "monitoring.coreos.com/v1" "PrometheusRule" "the Prometheus operator")
  (list .Values.strimzi.topics.enabled "strimzi.topics.enabled" "kafka.strimzi.io/v1" "KafkaTopic" "the Strimzi operator")
  (list .Values.strimzi.users.enabled "strimzi.users.enabled" "kafka.strimzi.io/v1" "KafkaUser" "the Strimzi operator") }}
{{- range $wanted }}
{{- $group := index . 2 }}
{{- $kind := index . 3 }}
{{- $known := or ($.Capabilities.APIVersions.Has (printf "%s/%s" $group $kind)) ($.Capabilities.APIVersions.Has $group) }}
{{- if and (first .) (not $known) }}
{{ index . 1 }} is on, but the cluster does not know the kind {{ $kind }} ({{ $group }}): install {{ last . }} first, or switch it off. To render without a cluster set skipCapabilitiesCheck=true, or give helm template --api-versions {{ $group }}/{{ $kind }}.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where a cluster answers, what is named must be there: a pod would wait for it without a word. */}}
{{- define "tidemark.check.secrets" -}}
{{- $namespace := .Release.Namespace }}
{{- if and (not .Values.skipSecretsCheck) (lookup "v1" "ConfigMap" $namespace "kube-root-ca.crt") }}
{{- $wanted := list }}
{{- with .Values.kafka.tls }}
{{- $users := $.Values.strimzi.users.enabled }}
{{- if and .enabled (not $users) .existingSecret }}
{{- $ca := ternary (list) (list .caKey) (or (not (empty .caExistingSecret)) (empty .caKey)) }}
{{- $wanted = append $wanted (list "kafka.tls.existingSecret" .existingSecret (concat $ca (compact (list .certKey .keyKey)))) }}
{{- end }}
{{- if and .enabled .caExistingSecret }}
{{- $wanted = append $wanted (list "kafka.tls.caExistingSecret" .caExistingSecret (list .caKey)) }}
{{- end }}
{{- end }}
{{- with .Values.kafka.sasl }}
{{- if and .mechanism .existingSecret }}
{{- $wanted = append $wanted (list "kafka.sasl.existingSecret" .existingSecret (list .passwordKey)) }}
{{- end }}
{{- end }}
{{- with .Values.sink }}
{{- if and .enabled .database.existingSecret }}
{{- $wanted = append $wanted (list "sink.database.existingSecret" .database.existingSecret (list .database.key)) }}
{{- end }}
{{- end }}
{{- range .Values.image.pullSecrets }}
{{- $wanted = append $wanted (list "image.pullSecrets" . (list)) }}
{{- end }}
{{- range $wanted }}
{{- $value := first . }}
{{- $name := index . 1 }}
{{- $secret := lookup "v1" "Secret" $namespace $name }}
{{- if not $secret }}
{{ $value }} is {{ $name }}: there is no such secret in the namespace {{ $namespace }}. Create it there{{ with last . }} with the key{{ if gt (len .) 1 }}s{{ end }} {{ join ", " . }}{{ end }}, or name another.
{{- else }}
{{- $there := keys ($secret.data | default dict) | sortAlpha }}
{{- range $key := last . }}
{{- if not (has $key $there) }}
{{ $value }} is {{ $name }}: that secret has no key {{ $key }}, only {{ join ", " $there | default "none at all" }}. Add it, or name the key that it has.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
