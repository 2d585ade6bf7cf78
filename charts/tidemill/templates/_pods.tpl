{{/* What every pod of the chart has in common. */}}

{{/* The restricted Pod Security Standard, for the pod. Call with the user id. */}}
{{- define "tidemill.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The same for each container. */}}
{{- define "tidemill.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where a pod runs. Call with the component's values. */}}
{{- define "tidemill.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Spread evenly, each rollout for itself, where there is room. Call with (list $ "api" .Values.api). */}}
{{- define "tidemill.spread" -}}
{{- with (index . 2).spreadOver }}
topologySpreadConstraints:
  {{- range . }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tidemill.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end }}

{{/* Metadata of a pod template. Call with (list $ "api" .Values.api). */}}
{{- define "tidemill.podMetadata" -}}
labels:
  {{- include "tidemill.labels" (list (index . 0) (index . 1)) | nindent 2 }}
  {{- if eq (index . 1) "worker" }}
  tidemill.dev/worker: "true"
  {{- end }}
  {{- with (index . 2).podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with (index . 2).podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tidemill.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A container of Tidemill's image, up to its arguments and variables. Call with (list $ "api"). */}}
{{- define "tidemill.container" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
image: {{ include "tidemill.ownImage" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  {{- include "tidemill.containerSecurity" $root | nindent 2 }}
{{- end }}

{{/* Variables of every container of Tidemill's image. Call with (list $ "app"): whose login. */}}
{{- define "tidemill.env" -}}
{{- $root := index . 0 -}}
{{- $login := index . 1 -}}
- name: TIDEMILL_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ include "tidemill.secretOf" . }}, key: url}
- name: TIDEMILL_DATABASE_WAIT_SECONDS
  value: {{ $root.Values.database.waitSeconds | quote }}
{{- if ne $root.Values.database.pooler "none" }}
- name: TIDEMILL_DATABASE_POOLER
  value: {{ $root.Values.database.pooler }}
- name: TIDEMILL_DATABASE_DIRECT_URL
  valueFrom:
    secretKeyRef: {name: {{ include "tidemill.secretOf" . }}, key: direct-url, optional: true}
{{- end }}
{{- if $root.Values.database.verifyCa }}
- name: TIDEMILL_DATABASE_CA_FILE
  value: /etc/tidemill/{{ $login }}/ca.crt
{{- end }}
- name: TIDEMILL_LOG_LEVEL
  value: {{ $root.Values.logs.level }}
- name: TIDEMILL_LOG_FORMAT
  value: {{ $root.Values.logs.format }}
{{- end }}

{{/* Mounts and volumes: a writable /tmp, and the database's CA where it is verified. */}}
{{- define "tidemill.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if (index . 0).Values.database.verifyCa }}
- {name: ca-{{ index . 1 }}, mountPath: /etc/tidemill/{{ index . 1 }}, readOnly: true}
{{- end }}
{{- end }}

{{/* Call with (list $ "app" "owner"…): the logins whose CA is mounted. */}}
{{- define "tidemill.volumes" -}}
{{- $root := index . 0 -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if $root.Values.database.verifyCa }}
{{- range $login := rest . }}
- name: ca-{{ $login }}
  secret:
    secretName: {{ include "tidemill.secretOf" (list $root $login) }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end }}
{{- end }}

{{/* Probes that ask an HTTP path of the port `probes`; a start may take as long as the database. */}}
{{- define "tidemill.startupProbe" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ index . 1 }}}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: {{ add (index . 0).Values.database.waitSeconds 60 }}
livenessProbe:
  httpGet: {path: /healthz, port: {{ index . 1 }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}
