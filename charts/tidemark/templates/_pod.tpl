{{/*
A pod's metadata and spec, alike for all components. Takes a dict:
  root, component
  values   the component's own values
  args     the command line
  probes   whether it answers on /livez and /readyz
  inline   the settings stand in the container instead of the release's ConfigMap, which a hook comes before
  restart  restartPolicy, for Jobs
*/}}
{{- define "tidemark.podTemplate" -}}
{{- $root := .root }}
{{- $own := .values -}}
metadata:
  labels:
    {{- include "tidemark.podLabels" . | nindent 4 }}
    {{- with merge (dict) ($own.podLabels | default dict) $root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .component }}
    {{- if not .inline }}
    checksum/config: {{ include "tidemark.settings" $root | sha256sum }}
    {{- end }}
    {{- with merge (dict) ($own.podAnnotations | default dict) $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "tidemark.podSpec" . | nindent 2 }}
{{- end }}

{{- define "tidemark.podSpec" -}}
{{- $root := .root }}
{{- $own := .values -}}
restartPolicy: {{ .restart | default "Always" }}
{{- if .inline }}
# A hook comes before the release's own accounts.
serviceAccountName: {{ ternary "default" ($root.Values.serviceAccount.name | default "default") $root.Values.serviceAccount.create }}
{{- else }}
serviceAccountName: {{ include "tidemark.serviceAccountName" . }}
{{- end }}
automountServiceAccountToken: {{ include "tidemark.usesApi" . }}
enableServiceLinks: false
{{- with $own.terminationGracePeriodSeconds }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $own.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ .component }}
    {{- include "tidemark.container" . | nindent 4 }}
  {{- with $own.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes:
  {{- include "tidemark.volumes" . | nindent 2 }}
{{- include "tidemark.placement" . }}
{{- end }}

{{/* A container without its name. */}}
{{- define "tidemark.container" -}}
{{- $root := .root }}
{{- $own := .values -}}
image: {{ include "tidemark.image" $root | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args:
  {{- range .args }}
  - {{ . | quote }}
  {{- end }}
{{- if not .inline }}
envFrom:
  - configMapRef:
      name: {{ include "tidemark.fullname" $root }}
  {{- with $root.Values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- else }}
{{- with $root.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with include "tidemark.env" . | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- if .probes }}
ports:
  - name: http
    containerPort: 8080
    protocol: TCP
startupProbe:
  httpGet: {path: /livez, port: http}
  {{- toYaml $root.Values.probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: http}
  {{- toYaml $root.Values.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  {{- toYaml $root.Values.probes.readiness | nindent 2 }}
{{- end }}
{{- with $own.preStopSleepSeconds }}
lifecycle:
  preStop:
    {{- if semverCompare ">=1.30.0-0" $root.Capabilities.KubeVersion.Version }}
    sleep:
      seconds: {{ . }}
    {{- else }}
    exec:
      command: [sleep, {{ . | quote }}]
    {{- end }}
{{- end }}
{{- with $own.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $root.Values.securityContext | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- if include "tidemark.kafkaVolumeSources" . | trim }}
  - name: kafka
    mountPath: /etc/tidemark/kafka
    readOnly: true
  {{- end }}
  {{- if eq (include "tidemark.usesDatabase" .) "true" }}
  - name: database
    mountPath: /etc/tidemark/database
    readOnly: true
  {{- end }}
  {{- with concat $root.Values.extraVolumeMounts ($own.extraVolumeMounts | default list) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The variables of a container: what stands later wins. */}}
{{- define "tidemark.env" -}}
{{- if .inline }}
{{- range $name, $value := include "tidemark.settings" .root | fromYaml }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- include "tidemark.kafkaEnv" . }}
{{- include "tidemark.kubernetesEnv" . }}
{{- if eq (include "tidemark.usesDatabase" .) "true" }}
- name: DATABASE_URL_FILE
  value: /etc/tidemark/database/url
{{- end }}
{{- with concat .root.Values.extraEnv (.values.extraEnv | default list) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tidemark.usesDatabase" -}}
{{- and (eq .component "sink") (not .root.Values.sink.embedded) }}
{{- end }}

{{- define "tidemark.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .root.Values.tmpSizeLimit }}
{{- with include "tidemark.kafkaVolumeSources" . | trim }}
- name: kafka
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- if eq (include "tidemark.usesDatabase" .) "true" }}
- name: database
  secret:
    secretName: {{ .root.Values.sink.database.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .root.Values.sink.database.key }}
        path: url
{{- end }}
{{- with concat .root.Values.extraVolumes (.values.extraVolumes | default list) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where pods may run: a component's own values before the common ones. */}}
{{- define "tidemark.placement" -}}
{{- $common := .root.Values }}
{{- $own := .values }}
{{- with merge (dict) ($own.nodeSelector | default dict) $common.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations | default $common.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.affinity | default $common.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.priorityClassName | default $common.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .probes }}
{{- $selector := dict "matchLabels" (include "tidemark.selectorLabels" . | fromYaml) }}
{{- with $own.topologySpreadConstraints | default $common.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- /* Pods of the revision that goes do not count: they would push those of the next one together. */}}
  {{- $filled := ternary . (merge (dict "labelSelector" $selector "matchLabelKeys" (list "pod-template-hash")) .) (hasKey . "labelSelector") }}
  - {{ toYaml $filled | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
