{{/* The settings that all pods share, as a YAML map of names in the environment and texts. */}}
{{- define "tidemark.settings" -}}
{{- $kafka := .Values.kafka }}
KAFKA_BROKERS: {{ $kafka.brokers | quote }}
KAFKA_CLIENT_ID: {{ $kafka.clientId | quote }}
KAFKA_WAIT: {{ $kafka.wait | quote }}
CONSUMER_GROUP: {{ $kafka.consumerGroup | quote }}
SOURCE_TOPIC: {{ $kafka.topics.source | quote }}
ENRICHED_TOPIC: {{ $kafka.topics.enriched | quote }}
DLQ_TOPIC: {{ $kafka.topics.deadLetters | quote }}
PARTIALS_TOPIC: {{ $kafka.topics.partials | quote }}
RESULTS_TOPIC: {{ $kafka.topics.results | quote }}
DEVICE_STATS_TOPIC: {{ $kafka.topics.deviceStats | quote }}
SOURCE_PARTITIONS: {{ include "tidemark.text" $kafka.topics.partitions | quote }}
PARTIALS_PARTITIONS: {{ include "tidemark.text" $kafka.topics.partialsPartitions | quote }}
REPLICATION_FACTOR: {{ include "tidemark.text" $kafka.topics.replicationFactor | quote }}
HTTP_PORT: "8080"
{{- range $name, $value := .Values.config }}
{{- if not (kindIs "invalid" $value) }}
{{ $name }}: {{ include "tidemark.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/*
How a component signs in to the brokers, as YAML: tls {enabled, caSecret, caKey, secret, certKey, keyKey} and sasl {mechanism,
username, secret, passwordKey}. With Strimzi's users each component has a secret of its own, else all share those of `kafka`.
*/}}
{{- define "tidemark.kafkaAccess" -}}
{{- $values := .root.Values }}
{{- $tls := $values.kafka.tls }}
{{- $sasl := $values.kafka.sasl }}
{{- $user := include "tidemark.componentName" . }}
{{- $clusterCa := printf "%s-cluster-ca-cert" $values.strimzi.cluster }}
{{- if and $values.strimzi.users.enabled (eq $values.strimzi.users.authentication "tls") }}
tls: {enabled: true, caSecret: {{ $tls.caExistingSecret | default $clusterCa }}, caKey: ca.crt, secret: {{ $user }}, certKey: user.crt, keyKey: user.key}
sasl: {mechanism: ""}
{{- else if $values.strimzi.users.enabled }}
tls: {enabled: {{ $tls.enabled }}, caSecret: {{ $tls.caExistingSecret | default $clusterCa }}, caKey: ca.crt, secret: "", certKey: "", keyKey: ""}
sasl: {mechanism: scram-sha-512, username: {{ $user }}, secret: {{ $user }}, passwordKey: password}
{{- else }}
tls:
  enabled: {{ $tls.enabled }}
  caSecret: {{ $tls.caExistingSecret | default $tls.existingSecret | quote }}
  caKey: {{ $tls.caKey | quote }}
  secret: {{ $tls.existingSecret | quote }}
  certKey: {{ $tls.certKey | quote }}
  keyKey: {{ $tls.keyKey | quote }}
sasl:
  mechanism: {{ $sasl.mechanism | quote }}
  username: {{ $sasl.username | quote }}
  secret: {{ $sasl.existingSecret | quote }}
  passwordKey: {{ $sasl.passwordKey | quote }}
{{- end }}
{{- end }}

{{/* The environment that belongs to how a component signs in. Takes (dict "root" $ "component" "aggregate"). */}}
{{- define "tidemark.kafkaEnv" -}}
{{- $access := include "tidemark.kafkaAccess" . | fromYaml }}
{{- if $access.tls.enabled }}
- name: KAFKA_TLS_ENABLED
  value: "true"
{{- if and $access.tls.caSecret $access.tls.caKey }}
- name: KAFKA_TLS_CA
  value: /etc/tidemark/kafka/ca.crt
{{- end }}
{{- if $access.tls.certKey }}
- name: KAFKA_TLS_CERT
  value: /etc/tidemark/kafka/tls.crt
- name: KAFKA_TLS_KEY
  value: /etc/tidemark/kafka/tls.key
{{- end }}
{{- end }}
{{- with $access.sasl }}
{{- if .mechanism }}
- name: KAFKA_SASL_MECHANISM
  value: {{ .mechanism | quote }}
{{- if .username }}
- name: KAFKA_SASL_USERNAME
  value: {{ .username | quote }}
{{- end }}
- name: KAFKA_SASL_PASSWORD_FILE
  value: /etc/tidemark/kafka/password
{{- end }}
{{- end }}
{{- end }}

{{/* The sources of the projected volume /etc/tidemark/kafka; nothing when there is no secret. */}}
{{- define "tidemark.kafkaVolumeSources" -}}
{{- $access := include "tidemark.kafkaAccess" . | fromYaml }}
{{- if and $access.tls.enabled $access.tls.caSecret $access.tls.caKey }}
- secret:
    name: {{ $access.tls.caSecret }}
    items:
      - key: {{ $access.tls.caKey }}
        path: ca.crt
{{- end }}
{{- if and $access.tls.enabled $access.tls.secret $access.tls.certKey }}
- secret:
    name: {{ $access.tls.secret }}
    items:
      - key: {{ $access.tls.certKey }}
        path: tls.crt
      - key: {{ $access.tls.keyKey }}
        path: tls.key
{{- end }}
{{- if and $access.sasl.mechanism $access.sasl.secret }}
- secret:
    name: {{ $access.sasl.secret }}
    items:
      - key: {{ $access.sasl.passwordKey }}
        path: password
{{- end }}
{{- end }}

{{/* The names by which a pod finds itself in its cluster, for those that use its API. */}}
{{- define "tidemark.kubernetesEnv" -}}
{{- if eq (include "tidemark.usesApi" .) "true" }}
- name: KUBERNETES_ENABLED
  value: "true"
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: KUBERNETES_WORKLOAD
  value: {{ include "tidemark.componentName" . }}
{{- if and (eq .component "aggregate") (eq (include "tidemark.keepsLimit" .root) "true") }}
- name: KUBERNETES_SCALED_OBJECT
  value: {{ include "tidemark.componentName" . }}
{{- end }}
{{- end }}
{{- end }}
