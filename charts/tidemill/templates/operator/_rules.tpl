{{/* What the operator may do: the same rules for a ClusterRole and for the Roles of a namespace. */}}
{{- define "tidemill.operatorRules" -}}
- apiGroups: [tidemill.dev]
  resources: [taskqueues]
  verbs: [get, list, watch]
- apiGroups: [tidemill.dev]
  resources: [taskqueues/status]
  verbs: [get, update, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, update, patch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
# patch: the deletion cost of idle workers
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
# get only, one by one: is the Secret that a TaskQueue names there?
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "tidemill.operatorSubject" -}}
- kind: ServiceAccount
  name: {{ include "tidemill.fullname" . }}-operator
  namespace: {{ .Release.Namespace }}
{{- end }}
