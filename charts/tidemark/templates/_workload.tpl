{{/* A role's Deployment, for those that read as members of a group. Takes (dict "root" $ "component" "aggregate" "values" … "args" …). */}}
{{- define "tidemark.consumerDeployment" -}}
{{- $scope := merge (dict "probes" true) . }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "tidemark.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  {{- if ne (include "tidemark.isScaled" .) "true" }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ .root.Values.revisionHistoryLimit }}
  # One after the other, and none in addition: a further member would make the group share out its partitions twice more.
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 0
      maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "tidemark.selectorLabels" . | nindent 6 }}
  template:
    {{- include "tidemark.podTemplate" $scope | nindent 4 }}
{{- end }}

{{/* Takes (dict "root" $ "component" "aggregate" "values" …). Nothing when there can be but one pod: it could never be evicted. */}}
{{- define "tidemark.podDisruptionBudget" -}}
{{- if and .values.enabled .values.podDisruptionBudget.enabled (gt (int (include "tidemark.mostReplicas" .)) 1) }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "tidemark.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready holds up no drain of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "tidemark.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* Takes (dict "root" $ "component" "serve"). */}}
{{- define "tidemark.horizontalPodAutoscaler" -}}
{{- $hpa := get .root.Values.autoscaling.hpa .component }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "tidemark.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "tidemark.componentName" . }}
  minReplicas: {{ $hpa.minReplicas }}
  maxReplicas: {{ include "tidemark.mostReplicas" . }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $hpa.targetCPUUtilizationPercentage }}
  {{- with .root.Values.autoscaling.hpa.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Takes (dict "root" $ "component" "aggregate" "topic" "…" "lagThreshold" n "extraTriggers" …). */}}
{{- define "tidemark.scaledObject" -}}
{{- $keda := .root.Values.autoscaling.keda }}
{{- $own := get $keda .component }}
{{- $access := include "tidemark.kafkaAccess" . | fromYaml }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "tidemark.metadata" (dict "root" .root "component" .component "annotations" $keda.annotations) | nindent 2 }}
spec:
  scaleTargetRef:
    name: {{ include "tidemark.componentName" . }}
  pollingInterval: {{ $keda.pollingInterval }}
  {{- if eq (int $own.minReplicas) 0 }}
  cooldownPeriod: {{ $keda.cooldownPeriod }}
  {{- end }}
  minReplicaCount: {{ $own.minReplicas }}
  maxReplicaCount: {{ include "tidemark.mostReplicas" . }}
  {{- with $keda.fallback }}
  {{- if .enabled }}
  fallback:
    failureThreshold: {{ .failureThreshold }}
    replicas: {{ .replicas }}
    behavior: {{ .behavior }}
  {{- end }}
  {{- end }}
  advanced:
    horizontalPodAutoscalerConfig:
      {{- with $keda.behavior }}
      behavior:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  triggers:
    - type: kafka
      {{- if $keda.useCachedMetrics }}
      useCachedMetrics: true
      {{- end }}
      metadata:
        {{- $metadata := dict
          "bootstrapServers" (include "tidemark.brokersFromElsewhere" .root)
          "consumerGroup" (include "tidemark.group" .)
          "topic" .topic
          "lagThreshold" (include "tidemark.text" .lagThreshold)
          "activationLagThreshold" (include "tidemark.text" $keda.activationLagThreshold)
          "offsetResetPolicy" "earliest"
          "allowIdleConsumers" "false"
          "scaleToZeroOnInvalidOffset" "false"
          "excludePersistentLag" "false"
          "limitToPartitionsWithLag" "false" }}
        {{- if $access.tls.enabled }}
        {{- $_ := set $metadata "tls" "enable" }}
        {{- end }}
        {{- with get (dict "plain" "plaintext" "scram-sha-256" "scram_sha256" "scram-sha-512" "scram_sha512") $access.sasl.mechanism }}
        {{- $_ := set $metadata "sasl" . }}
        {{- end }}
        {{- toYaml (merge (dict) $keda.triggerMetadata $metadata) | nindent 8 }}
      {{- if $keda.authenticationRef.name }}
      authenticationRef:
        name: {{ $keda.authenticationRef.name }}
        kind: {{ $keda.authenticationRef.kind }}
      {{- else if or (include "tidemark.kafkaVolumeSources" . | trim) $access.sasl.username }}
      authenticationRef:
        name: {{ include "tidemark.triggerAuthenticationName" . }}
      {{- end }}
    {{- with .extraTriggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The brokers as another namespace reaches them, where KEDA's operator runs: a name without a dot is one of this namespace. */}}
{{- define "tidemark.brokersFromElsewhere" -}}
{{- $brokers := list }}
{{- range splitList "," .Values.kafka.brokers }}
{{- $parts := splitList ":" (trim .) }}
{{- $host := first $parts }}
{{- $brokers = append $brokers (printf "%s:%s" (contains "." $host | ternary $host (printf "%s.%s.svc" $host $.Release.Namespace)) (last $parts)) }}
{{- end }}
{{- join "," $brokers }}
{{- end }}

{{/* One for both, or one each when each signs in as a user of its own. */}}
{{- define "tidemark.triggerAuthenticationName" -}}
{{- if .root.Values.strimzi.users.enabled }}{{ include "tidemark.componentName" . }}{{ else }}{{ include "tidemark.fullname" .root }}{{ end }}
{{- end }}

{{- define "tidemark.triggerAuthentication" -}}
{{- $access := include "tidemark.kafkaAccess" . | fromYaml }}
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "tidemark.metadata" (dict "root" .root "component" .component "name" (include "tidemark.triggerAuthenticationName" .)) | nindent 2 }}
spec:
  {{- if $access.sasl.username }}
  env:
    # The pods' own, from the first container of the workload that is scaled.
    - parameter: username
      name: KAFKA_SASL_USERNAME
  {{- end }}
  {{- if include "tidemark.kafkaVolumeSources" . | trim }}
  secretTargetRef:
    {{- with $access.tls }}
    {{- if and .enabled .caSecret .caKey }}
    - parameter: ca
      name: {{ .caSecret }}
      key: {{ .caKey }}
    {{- end }}
    {{- if and .enabled .secret .certKey }}
    - parameter: cert
      name: {{ .secret }}
      key: {{ .certKey }}
    - parameter: key
      name: {{ .secret }}
      key: {{ .keyKey }}
    {{- end }}
    {{- end }}
    {{- with $access.sasl }}
    {{- if .mechanism }}
    - parameter: password
      name: {{ .secret }}
      key: {{ .passwordKey }}
    {{- end }}
    {{- end }}
  {{- end }}
{{- end }}

{{/* Binds a component's Role to its account. Takes (dict "root" $ "component" "aggregate"). */}}
{{- define "tidemark.roleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "tidemark.metadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "tidemark.componentName" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "tidemark.serviceAccountName" . }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
